"""Time each stage of the pipeline over the month of flights: `python -m benchmarks`.

Prints a report in Markdown, and writes it with the same figures as JSON to
`benchmarks/results/`. Seconds are those of the stage's own process: wall, and CPU of all its
threads. Imports count for the stage that needs them first, as they do in a run.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import structlog

from stupid_dagster.project import Project
from stupid_dagster.samples import write_flights
from stupid_dagster.stages import Written, day, graph, publish, window, words

FIRST, DAYS = date(2013, 1, 11), 30
RESULTS = Path(__file__).parent / "results"
Stages = list[tuple[str, Callable[[Project, str], list[Written]]]]
DAY_STAGES: Stages = [
    ("documents", day.make_documents),
    ("connections", day.make_connections),
    ("texts", day.make_texts),
    ("activity", day.make_activity),
]
WINDOW_STAGES: Stages = [
    ("search_index", window.make_search_index),
    ("graph", graph.make_graph),
    ("graph_database", graph.make_graph_database),
    ("graph_knowledge", graph.make_graph_knowledge),
    ("features", window.make_features),
    ("clusters", window.make_clusters),
    ("trends", window.make_trends),
    ("labels", words.make_labels),
    ("insights", words.make_insights),
    ("catalog", publish.make_catalog),
]


@dataclass
class Cost:
    """What a stage cost over all its partitions."""

    stage: str
    partitions: int = 0
    rows: int = 0
    bytes: int = 0
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0

    def add(self, make: Callable[[], list[Written]]) -> None:
        """Run a stage once and add what it cost."""
        wall, cpu = time.perf_counter(), time.process_time()
        written = make()
        self.wall_seconds += time.perf_counter() - wall
        self.cpu_seconds += time.process_time() - cpu
        self.partitions += 1
        self.rows += sum(w.version.rows for w in written)
        self.bytes += sum(w.version.bytes for w in written)


def measure(root: Path) -> list[Cost]:
    """Make the days and the window in an empty folder; return the cost of each stage."""
    days = [(FIRST + timedelta(days=n)).isoformat() for n in range(DAYS)]
    write_flights(root / "landing", FIRST, date.fromisoformat(days[-1]))
    (root / "stupid.toml").write_text(
        f'landing = "landing"\ndata_root = "lake"\npartitions_start = {days[0]}\n'
        f"partitions_end = {days[-1]}\n",
        encoding="utf-8",
    )
    project = Project.load(root)
    costs: dict[str, Cost] = {}
    runs = [(name, make, day_name) for day_name in days for name, make in DAY_STAGES]
    runs += [(name, make, days[-1]) for name, make in WINDOW_STAGES]
    for name, make, partition in runs:
        costs.setdefault(name, Cost(name)).add(partial(make, project, partition))
    return list(costs.values())


def report(costs: list[Cost], peak_bytes: int) -> str:
    """Return the figures as Markdown."""
    lines = [
        f"# {DAYS} days of flights, stage by stage",
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}; peak memory {peak_bytes / 1e6:,.0f} MB",
        "",
        "| stage | partitions | rows | bytes | wall s | CPU s |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {c.stage} | {c.partitions} | {c.rows:,} | {c.bytes:,} | {c.wall_seconds:.2f} "
        f"| {c.cpu_seconds:.2f} |"
        for c in costs
    ]
    wall, cpu = (sum(getattr(c, f"{kind}_seconds") for c in costs) for kind in ("wall", "cpu"))
    return "\n".join([*lines, f"| all | | | | {wall:.2f} | {cpu:.2f} |", ""])


def main() -> None:
    """Measure, print, and write the report."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with tempfile.TemporaryDirectory() as folder:
        costs = measure(Path(folder))
    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    text = report(costs, peak)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "flights.md").write_text(text, encoding="utf-8")
    figures = {"peak_bytes": peak, "stages": [asdict(cost) for cost in costs]}
    (RESULTS / "flights.json").write_text(json.dumps(figures, indent=1), encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
