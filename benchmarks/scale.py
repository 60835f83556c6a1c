"""The window over k times the actors, stage by stage: what its memory and CPU grow with."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from benchmarks import report
from benchmarks.child import BenchmarkError, Run, run_task
from benchmarks.data import default_folder
from benchmarks.tasks import WINDOW_STAGES

SIZES = ((1, 30), (1, 10), (3, 10), (10, 10))
"""Copies of the actors, and the last days that are taken of the month."""

HEAD = ("stage", "wall s", "CPU s", "peak MB", "rows out")


def measure(
    machine: Mapping[str, Any],
    project: Path,
    folder: Path | None = None,
    sizes: Sequence[tuple[int, int]] = SIZES,
    stages: Sequence[str] = (),
    fresh: bool = False,
) -> tuple[str, dict[str, Any]]:
    """Return the report, and its figures, of the window's stages over `project`'s scaled days.

    A scaled project is kept in `folder`, and taken up again unless `fresh`. `stages` are all by
    default, one at a time, each in a process of its own. One that fails is reported as such, and
    the next goes on.
    """
    if not (project / "lake").is_dir():
        raise BenchmarkError(f"there is no lake in {project}: name a project with --project")
    kept = (folder or default_folder()) / "scale"
    texts, figures = [], []
    for copies, days in sizes:
        root = kept / f"{copies}x{days}"
        if fresh:
            shutil.rmtree(root, ignore_errors=True)
        names = sorted(path.name for path in (project / "lake" / "documents").iterdir())[-days:]
        if not (root / "lake").exists():
            arguments = {"source": project, "root": root, "days": names, "copies": copies}
            run_task("scale days", arguments, name=f"{copies}x days")
        runs = {name: _run(root, name, names[-1]) for name in stages or WINDOW_STAGES}
        texts += [
            f"## {copies} times the actors, {len(names)} days",
            report.table(
                ["stage", "wall s", "CPU s", "peak MB", "rows out"], map(_row, runs.items())
            ),
        ]
        found = {name: vars(run) if isinstance(run, Run) else run for name, run in runs.items()}
        figures.append({"copies": copies, "days": names, "runs": found})
    text = report.page(
        "The window by the number of actors",
        machine,
        *texts,
        "Actors are copies of the month's, see benchmarks/README.md. Peaks are after the imports.",
    )
    return text, {"machine": machine, "sizes": figures}


def _run(root: Path, name: str, day: str) -> Run | str:
    """Return what a stage cost, or the last line of why it failed."""
    arguments = {"root": root, "name": name, "partition": day}
    try:
        run = run_task(f"stage {name}", arguments).runs[0]
    except BenchmarkError as error:
        click.echo(str(error), err=True)
        return str(error).splitlines()[-1]
    click.echo(f"    {run.cpu:.1f} s CPU, {run.peak_bytes / 1e6:,.0f} MB", err=True)
    return run


def _row(found: tuple[str, Run | str]) -> list[str]:
    name, run = found
    if isinstance(run, str):
        return [name, "", "", "", f"failed: {run}"]
    told = run.told
    return [
        name,
        f"{run.wall:.1f}",
        f"{run.cpu:.1f}",
        f"{run.peak_bytes / 1e6:,.0f}",
        f"{told['rows']:,}",
    ]
