"""A whole day: through Dagster as a user runs it, and by the naive pipeline on a tenth of it."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from benchmarks import report
from benchmarks.child import Run, Runs, run_command, run_task
from benchmarks.data import Sample, land, make_project
from benchmarks.gaming import Part
from benchmarks.naive import COUNTED

PARTS = 10
_TOTALS = ("edge_weight", "entity_events", "text_events", "activity_events")


def dagster_part(work: Path, sample: Sample, repeat: int) -> tuple[Part, Run]:
    """Return a day made by `stupid-dagster run` in a fresh project, and the quickest run of it.

    Its landing folder has the neighbouring days too, and no index yet.
    """
    days = [sample.day(n) for n in range(3)]
    # A shell's settings are not the fresh project's.
    environment = {
        name: value
        for name, value in os.environ.items()
        if name != "DAGSTER_HOME" and not name.startswith("STUPID_")
    }
    runs = []
    for number in range(repeat):
        root = make_project(work / f"dagster-{number}", "gaming", days[0], days[-1])
        land(sample, days, root / "landing")
        command = [sys.executable, "-m", "stupid_dagster.cli", "--root", str(root), "run"]
        command += ["--from", days[1], "--to", days[1], "--no-window"]
        run = run_command("stupid-dagster run", command, environment)
        # Fails unless every table of the day is there.
        told = run_task("counts", {"root": root, "day": days[1]}).told
        runs.append(Run(run.wall, run.cpu, run.peak_bytes, told={"rows": told["documents"]}))
        shutil.rmtree(root)
    whole = Runs("`stupid-dagster run`", runs)
    quickest = min(runs, key=lambda run: run.wall)
    text = [
        "## The whole day through Dagster",
        f"`stupid-dagster run --from {days[1]} --to {days[1]} --no-window` in a fresh project: "
        "from the start of the command to its end, Python's start, all imports, the landing index "
        "of three days and Dagster's own database included. CPU is the system's account of the "
        "command; the peak is of all its processes together, looked up ten times a second.",
        report.stage_table([whole]),
    ]
    measured = {"day_wall": quickest.wall, "day_peak": whole.peak_bytes / 2**30}
    return Part("\n\n".join(text), {"dagster": whole.figures()}, measured), quickest


def naive_part(work: Path, sample: Sample, repeat: int, whole: Run | None = None) -> Part:
    """Return the naive pipeline against the engine, both on the same tenth of a day.

    With `whole`, the day through Dagster, it is also compared with ten times the tenth.
    """
    days = [sample.day(n) for n in range(3)]
    full = make_project(work / "full", "gaming", days[0], days[-1])
    land(sample, days, full / "landing")
    landing = {"landing": full / "landing", "member": "memberCode", "parts": PARTS}
    tenth = make_project(work / "tenth", "gaming", days[0], days[-1])
    run_task("tenth", landing | {"out": tenth / "landing"})
    engine_runs = []
    for _ in range(repeat):
        shutil.rmtree(tenth / "lake", ignore_errors=True)
        arguments = {"root": tenth, "days": [days[1]], "window": False, "index": True}
        engine_runs += run_task("days", arguments).runs
    engine = Runs("the engine, all stages", engine_runs)
    made = run_task("counts", {"root": tenth, "day": days[1]}).told
    naive = {}
    for rows in ("dicts", "iterrows"):
        arguments = {"landing": tenth / "landing", "day": days[1], "rows": rows}
        name = "naive, `to_dict`" if rows == "dicts" else "naive, `iterrows`"
        out = {"out": work / f"naive-{rows}"}
        naive[rows] = run_task("naive", arguments | out, name=name, repeat=repeat)
    every = [engine, *naive.values()]
    differing = [
        f"{name}: {told[name]:,} against {made[name]:,}"
        for runs in naive.values()
        for told in [runs.told]
        for name in (*COUNTED, *_TOTALS)
        if told[name] != made[name]
    ]
    times = {rows: runs.least("wall") / engine.least("wall") for rows, runs in naive.items()}
    text = [
        "## Against what one would write first",
        f"pandas, dictionaries and networkx, row by row (benchmarks/naive.py), on a tenth of the "
        f"day: {made['documents']:,} documents, of one member in {PARTS}. Every event's text is "
        "embedded, by the same embedder. Imports are not counted on either side.",
        report.table(
            ["pipeline", "wall s", "CPU s", "peak MB", "times the engine's wall"],
            [
                [
                    runs.name,
                    f"{runs.least('wall'):.2f}",
                    f"{runs.least('cpu'):.2f}",
                    f"{runs.peak_bytes / 1e6:,.0f}",
                    f"{runs.least('wall') / engine.least('wall'):.1f}",
                ]
                for runs in every
            ],
        ),
        f"**They disagree**: {'; '.join(differing)}."
        if differing
        else f"They agree on the rows of {', '.join(COUNTED)}, and on what edges, entities, texts "
        "and activity add up to.",
    ]
    measured = {}
    if whole:
        for rows, target in (("dicts", "day_over_naive"), ("iterrows", "day_over_iterrows")):
            measured[target] = PARTS * naive[rows].least("wall") / whole.wall
            cpu = PARTS * naive[rows].least("cpu") / whole.cpu
            text.append(
                f"{PARTS} times the tenth by {naive[rows].name} over the whole day through "
                f"Dagster: {measured[target]:.1f} in wall, {cpu:.1f} in CPU."
            )
    figures = {
        "engine_tenth": engine.figures(),
        "naive": {rows: runs.figures() for rows, runs in naive.items()},
        "counts": dict(made),
        "differing": differing,
        "naive_over_engine": times,
    }
    return Part("\n\n".join(text), figures, measured)
