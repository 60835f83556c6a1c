"""A full day of gaming events, stage by stage, against a bare copy of its files."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.child import Run, Runs, run_task
from benchmarks.data import Sample, land, make_project
from benchmarks.tasks import DAY_STAGES, WINDOW_STAGES

_FEW = 20
"""Modules that a stage may import while it is measured, without a word about it."""


@dataclass(frozen=True)
class Part:
    """A section of a report: its Markdown, its figures, and what the targets ask of it."""

    text: str
    figures: Mapping[str, Any]
    measured: Mapping[str, float] = field(default_factory=dict)


def sample_part(sample: Sample) -> Part:
    """Return how the sample came to be."""
    files = [file for n in range(sample.days) for file in sample.files(sample.day(n))]
    size = sum(file.stat().st_size for file in files)
    text = (
        f"{sample.events:,} events a day (seed {sample.seed}), {sample.days} days from "
        f"{sample.day(0)}: {len(files)} files, {size / 1e6:,.0f} MB; made in "
        f"{sample.seconds:.1f} s a day."
    )
    figures = {"events": sample.events, "seed": sample.seed, "seconds_a_day": sample.seconds}
    return Part(text, figures, {"sample_wall": sample.seconds})


def stage_part(work: Path, sample: Sample, days: int, repeat: int) -> Part:
    """Return every stage in a process of its own, of the days after the first, and the window.

    The first day and the last are there for the sake of their neighbours' late and early events.
    """
    names = [sample.day(n) for n in range(days + 2)]
    root = make_project(work / "stages", "gaming", names[0], names[-1])
    land(sample, names, root / "landing")
    indexed = f"landing index of {len(names)} days"
    index = run_task("index", {"root": root}, name=indexed, repeat=repeat)
    stages = [index]
    by_day: dict[str, list[Runs]] = {name: [] for name in DAY_STAGES}
    for day in names[1:-1]:
        for name in DAY_STAGES:
            by_day[name].append(stage_runs(root, name, day, repeat))
    stages += [_together(name, found) for name, found in by_day.items()]
    window = [stage_runs(root, name, names[-2], repeat) for name in WINDOW_STAGES]
    _, connections, vectors = stages[1:]
    floor, ratios = _floor(work, root, names[1], by_day["documents"][0], repeat)
    every = [*stages, *window]
    late = [runs.name for runs in every if max(r.late_imports for r in runs.runs) > _FEW]
    written = sum(
        run.told["bytes"] for found in by_day.values() for each in found for run in each.runs
    )
    written //= repeat
    landing = sample.bytes(names[1:-1])
    text = [
        f"## Stages of {_days(names[1:-1])}",
        report.stage_table(stages),
        f"Segments {written / 1e6:,.1f} MB, landing files {landing / 1e6:,.1f} MB: "
        f"{written / landing:.2f} times.",
        f"## Window of {days} day{'s' * (days > 1)}",
        report.stage_table(window),
        "Each stage ran in a process of its own; seconds and peak are those after its imports, and "
        "`of which before` is what the imports left resident. Files were in the page cache."
        + (f" Imports within the measured time: {', '.join(late)}." if late else ""),
        floor.text,
    ]
    cpu = {"connect_cpu": connections.least("cpu"), "embed_cpu": vectors.least("cpu")}
    figures = {
        "days": names[1:-1],
        "stages": [runs.figures() for runs in every],
        **floor.figures,
    }
    return Part("\n\n".join(text), figures, cpu | ratios)


def stage_runs(root: Path, name: str, day: str, repeat: int = 1) -> Runs:
    """Return the runs of a stage; what a run wrote is removed before the next."""
    runs: list[Run] = []
    for _ in range(repeat):
        for table in runs[-1].told["tables"] if runs else ():
            shutil.rmtree(root / "lake" / table / day)
        arguments = {"root": root, "name": name, "partition": day}
        runs += run_task(f"stage {name}", arguments).runs
    return Runs(name, runs)


def _together(name: str, found: Sequence[Runs]) -> Runs:
    return Runs(name, [run for runs in found for run in runs.runs])


def _days(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} to {names[-1]} ({len(names)} days)"


def _floor(
    work: Path, root: Path, day: str, documents: Runs, repeat: int
) -> tuple[Part, dict[str, float]]:
    """Return the bare copies of a day, and what the documents cost in terms of the cheapest."""
    plan = run_task("plan copy", {"root": root, "day": day}).told
    own = [file for file in plan["files"] if file["own"]]
    prefix = {"prefix": day, "timestamp": plan["timestamp"]}
    copies: dict[str, list[Runs]] = {"own": [], "routed": []}
    for kind, files, choice in (("own", own, {}), ("routed", plan["files"], prefix)):
        for engine in ("memory", "streaming"):
            out = work / f"copy-{kind}-{engine}"
            arguments = {"files": files, "out": out, "engine": engine, **choice}
            name = "the day's files" if kind == "own" else "the day's rows of all files it reads"
            copies[kind].append(
                run_task("copy", arguments, name=f"{name}, {engine}", repeat=repeat)
            )
            shutil.rmtree(out)
    cheapest = {kind: min(runs.least("cpu") for runs in found) for kind, found in copies.items()}
    ratios = {kind: documents.least("cpu") / cpu for kind, cpu in cheapest.items()}
    every = [*copies["own"], *copies["routed"]]
    text = [
        "## The floor: a bare copy",
        "Polars, Parquet to Parquet (zstd), of the columns that the event model keeps: nothing is "
        "cleaned, typed, sorted or checked.",
        report.stage_table(every),
        f"Documents cost {ratios['own']:.2f} times the cheapest copy of the day's own "
        f"{len(own)} files (the target), and {ratios['routed']:.2f} times that of the day's rows "
        f"from all {len(plan['files'])} files that they come from.",
    ]
    figures = {"copies": [runs.figures() for runs in every], "documents_over_copies": ratios}
    return Part("\n\n".join(text), figures), {"documents_over_copy": ratios["own"]}
