"""Thirty full days, one after the other, and the window over them; can be stopped and taken up.

Files land day by day, as they would: before a day is made its own and the next day's are there.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, linear_regression
from typing import Any

from benchmarks import report
from benchmarks.child import Run, Runs, run_task
from benchmarks.data import Sample, land, make_project
from benchmarks.gaming import Part, stage_runs
from benchmarks.machine import code_state
from benchmarks.planted import STAGES
from benchmarks.targets import TARGETS
from benchmarks.tasks import DAY_STAGES, WINDOW_STAGES

_COSTS = "costs.jsonl"
# The stages of the window that each target is about.
_TOGETHER = {
    "search_index_cpu": ("search_index",),
    "graph_cpu": ("graph", "graph_database", "graph_knowledge"),
    "segments_cpu": ("features", "clusters"),
    "dbscan_cpu": ("event_clusters",),
    "sequences_cpu": ("patterns",),
    "rest_cpu": (
        *("cooccurrence", "trends", "anomalies", "history"),
        *("labels", "insights", "digest"),
    ),
}
_EDGE = 5


def month_part(folder: Path, sample: Sample, days: int, fresh: bool = False) -> Part:
    """Return what each day cost, the size of the segments, and the window's stages.

    All is kept in `folder`: days that it has are not made again, unless `fresh` or the sample is
    another one.
    """
    made_from = folder / "generator"
    if fresh or not made_from.exists() or made_from.read_text() != sample.generator:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        made_from.write_text(sample.generator)
    names = [sample.day(n) for n in range(days)]
    root = folder / "project"
    if not root.exists():
        make_project(root, "gaming", names[0], sample.day(sample.days - 1))
    done = _done(folder)
    for number, day in enumerate(names):
        if day in done:
            continue
        land(sample, [sample.day(n) for n in (number, number + 1)], root / "landing")
        arguments = {"root": root, "days": [day], "window": False, "index": True}
        run = run_task("days", arguments, name=day).runs[0]
        done[day] = {"day": day, "code": code_state(), "run": vars(run)}
        with (folder / _COSTS).open("a", encoding="utf-8") as costs:
            # A line of its own, whatever a run that was killed has left there.
            costs.write("\n" + json.dumps(done[day]))
    rows = [done[day] for day in names]
    window = [stage_runs(root, name, names[-1]) for name in WINDOW_STAGES]
    truth = {"root": root, "day": names[-1], "truth": sample.landing / "truth"}
    found = run_task("planted", truth).runs[0].told if WINDOW_STAGES.keys() >= {*STAGES} else {}
    return _part(sample, names, rows, window, found)


def _done(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the days that were made, by name; a line that was cut off counts for nothing."""
    done = {}
    try:
        lines = (folder / _COSTS).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        done[row["day"]] = row
    return done


def _part(
    sample: Sample,
    days: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    window: Sequence[Runs],
    found: Mapping[str, Any],
) -> Part:
    runs = [Run(**row["run"]) for row in rows]
    stages = ("index", *DAY_STAGES)
    cpu = [run.cpu for run in runs]
    written = sum(run.told["stages"][name]["bytes"] for run in runs for name in DAY_STAGES)
    landing = sample.bytes(days)
    states = {row["code"] for row in rows}
    cpu_of = {runs.name: runs.least("cpu") for runs in window}
    measured = {
        "segments_over_landing": written / landing,
        "window_peak": max(runs.least("peak_bytes") for runs in window) / 2**30,
        **{
            target: sum(cpu_of[name] for name in names)
            for target, names in _TOGETHER.items()
            if cpu_of.keys() >= {*names}
        },
        **{name: found[name] for name in found.keys() & TARGETS.keys()},
    }
    text = [
        f"## {len(days)} days of {sample.events:,} events",
        report.table(
            ["day", "documents, rejects", "bytes", "wall s", "CPU s", *stages, "peak MB"],
            [_row(day, run, stages) for day, run in zip(days, runs, strict=True)],
        ),
        "One process a day; CPU seconds by stage; imports not counted. Landing files come day by "
        "day, and `index` is the index of the two that are new.",
    ]
    if len(days) > 1:
        edge = min(_EDGE, len(days) // 2)
        first, last = fmean(cpu[:edge]), fmean(cpu[-edge:])
        slope = linear_regression(range(len(cpu)), cpu).slope
        measured["last_days_over_first"] = last / first
        text.append(
            f"CPU a day: mean of the first {edge} {first:.2f} s, of the last {edge} {last:.2f} s "
            f"({last / first - 1:+.1%}); slope {slope:+.3f} s a day; least {min(cpu):.2f} s, most "
            f"{max(cpu):.2f} s."
        )
    if len(states) > 1:
        text.append(f"**The code changed** while days were made: {len(states)} states of it.")
    text += [
        f"Segments {written / 1e6:,.0f} MB, landing files {landing / 1e6:,.0f} MB: "
        f"{written / landing:.2f} times.",
        f"## Window of {len(days)} days",
        report.stage_table(window),
        "### What it finds of what was planted",
        report.table(["what", "figure"], [[k, f"{v:,.3g}"] for k, v in found.items()]),
    ]
    figures = {
        "days": list(rows),
        "landing_bytes": landing,
        "segment_bytes": written,
        "window": [runs.figures() for runs in window],
        "planted": dict(found),
    }
    return Part("\n\n".join(text), figures, measured)


def _row(day: str, run: Run, stages: Sequence[str]) -> list[str]:
    costs = run.told["stages"]
    return [
        day,
        f"{costs['documents']['rows']:,}",
        f"{sum(cost['bytes'] for cost in costs.values()):,}",
        f"{run.wall:.2f}",
        f"{run.cpu:.2f}",
        *(f"{costs[name]['cpu']:.2f}" for name in stages),
        f"{run.peak_bytes / 1e6:,.0f}",
    ]
