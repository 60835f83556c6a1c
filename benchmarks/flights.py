"""The month of flights: small days, so that what a day costs at least is seen."""

from __future__ import annotations

import tempfile
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.child import run_task
from benchmarks.data import make_project

FIRST = date(2013, 1, 11)


def measure(machine: dict[str, Any], days: int = 30, repeat: int = 1) -> tuple[str, dict[str, Any]]:
    """Return the report, and its figures, of all stages over the first days of the sample.

    All stages run in one process, as in a backfill. Of several runs the one with the least CPU
    is shown.
    """
    from stupid_dagster.project import days_between

    names = days_between(FIRST, FIRST + timedelta(days=days - 1))
    runs = []
    for _ in range(repeat):
        with tempfile.TemporaryDirectory() as folder:
            root = make_project(Path(folder) / "project", "flights", names[0], names[-1])
            run_task("flights", {"root": root, "first": names[0], "last": names[-1]})
            arguments = {"root": root, "days": names, "window": True}
            runs += run_task("days and window", arguments).runs
    best = min(runs, key=lambda run: run.cpu)
    stages = best.told["stages"]
    rows = [
        [
            name,
            *(f"{cost[figure]:,}" for figure in ("partitions", "rows", "bytes")),
            *(f"{cost[figure]:.2f}" for figure in ("wall", "cpu")),
        ]
        for name, cost in stages.items()
    ]
    totals = (sum(cost[figure] for cost in stages.values()) for figure in ("wall", "cpu"))
    rows.append(["all", "", "", "", *(f"{total:.2f}" for total in totals)])
    text = report.page(
        f"{days} days of flights, stage by stage",
        machine,
        report.table(["stage", "partitions", "rows", "bytes", "wall s", "CPU s"], rows),
        f"In one process, imports (CPU {best.import_cpu:.1f} s) not counted; peak memory "
        f"{best.peak_bytes / 1e6:,.0f} MB, {best.base_bytes / 1e6:,.0f} MB of it before the start.",
        f"CPU of all {repeat} runs: {', '.join(f'{run.cpu:.1f} s' for run in runs)}; the first "
        "table has the least." * (repeat > 1),
    )
    return text, {"machine": machine, "days": days, "runs": [vars(run) for run in runs]}
