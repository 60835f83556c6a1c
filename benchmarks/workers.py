"""Days on one and on two of Ray's workers, what a bucket costs, and the largest day that fits."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.child import BenchmarkError, Run, Runs, run_task
from benchmarks.data import Sample, gaming_sample, make_project
from benchmarks.machine import usable_cores
from benchmarks.s3_traffic import Traffic, traffic
from benchmarks.tasks import DAY_STAGES
from benchmarks.workers_ray import (
    LANDING,
    RUNS_OF_A_WORKER,
    Made,
    days_on_ray,
    environment,
    on_cores,
)
from stupid_dagster.stores.files import open_files
from tests.stores.s3_server import S3Server, running_server

CASES = ((1, 1), (1, 2), (2, 2))
"""Workers, each on a core of its own, and the cores that all of it has together."""
AT_LEAST = 1.7
"""Times the days an hour of one worker that two have to make."""
FITS = 3 << 30
"""Bytes that a step's process may have resident."""
_TRIES, _NEAR, _MOST = 3, 0.95, 4
_LEAST = 0.9
_ROUND = 10_000


def measure(
    machine: Mapping[str, Any], folder: Path, events: int, seed: int, days: int, repeat: int
) -> tuple[str, dict[str, Any]]:
    """Return the report, and its figures; samples are kept in `folder`.

    Raises BenchmarkError on a machine with less than two cores, or without `taskset`.
    """
    if usable_cores() < 2 or not shutil.which("taskset"):
        raise BenchmarkError("`workers` needs two cores, and `taskset` (Debian: util-linux)")
    sample = gaming_sample(folder, max(3, days), events, seed)
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        (work / "s3").mkdir()
        with running_server(work / "s3") as server, environment(server.environment):
            open_files(LANDING).upload(sample.landing, "")
            made = [days_on_ray(work, server, sample, days, *case) for case in CASES]
            places = _places(work, server, sample, repeat)
            sizes = _sizes(work, folder, events, seed)
    text = report.page(
        "Days on Ray workers, and what a bucket costs",
        machine,
        *_made_text(made, events),
        *_places_text(places),
        *_sizes_text(sizes),
    )
    figures = {
        "machine": machine,
        "events": events,
        "ratios": _ratios(made),
        "made": [vars(each) | {"traffic": vars(each.traffic)} for each in made],
        "places": {
            name: runs.figures() | {"traffic": vars(moved)}
            for name, (runs, moved) in places.items()
        },
        "sizes": {
            rows: {stage: vars(run) for stage, run in runs.items()} for rows, runs in sizes.items()
        },
    }
    return text, figures


def _places(
    work: Path, server: S3Server, sample: Sample, repeat: int
) -> dict[str, tuple[Runs, Traffic]]:
    """Return what a day's stages cost one core with each kind of lake, and the bucket's part."""
    found = {}
    for name in ("local disk", "bucket"):
        runs, before = [], traffic(server)
        for number in range(repeat):
            root = _project(work / f"{name}-{number}", sample, in_bucket=name == "bucket")
            with on_cores(1):
                arguments = {"root": root, "days": [sample.day(1)], "window": False}
                runs += run_task("days", arguments, name=f"a day, {name}").runs
            shutil.rmtree(root)
        found[name] = (Runs(name, runs), traffic(server).since(before))
    return found


def _sizes(work: Path, folder: Path, events: int, seed: int) -> dict[int, dict[str, Run]]:
    """Return what a day's steps took by the day's events: once, twice, and what fits `FITS`.

    What fits is sought on the line through the two largest so far, up to `_MOST` times the events.
    """
    found: dict[int, dict[str, Run]] = {}

    def peak(rows: int) -> int:
        sample = gaming_sample(folder, 1, rows, seed)
        root = _project(work / f"day-{rows}", sample, in_bucket=True)
        found[rows] = {}
        for stage in DAY_STAGES:
            arguments = {"root": root, "name": stage, "partition": sample.day(0)}
            with on_cores(1):
                name = f"{stage} of {rows:,} events"
                found[rows][stage] = run_task(f"step {stage}", arguments, name=name).runs[0]
        shutil.rmtree(root)
        if (made_of := found[rows]["documents"].told["rows"]) < rows * _LEAST:
            raise BenchmarkError(f"a day of {rows:,} events has {made_of:,} documents")
        return max(run.peak_bytes for run in found[rows].values())

    peaks = {rows: peak(rows) for rows in (events, 2 * events)}
    for _ in range(_TRIES):
        rows = min(_fitting({rows: peaks[rows] for rows in sorted(peaks)[-2:]}), _MOST * events)
        if rows in peaks or any(_NEAR * FITS <= size <= FITS for size in peaks.values()):
            break
        peaks[rows] = peak(rows)
    return found


def _fitting(peaks: Mapping[int, int]) -> int:
    """Return the rows whose peak would be `FITS` on the line through two peaks, rounded down."""
    (rows, low), (more, high) = peaks.items()
    return int(rows + (FITS - low) * (more - rows) / (high - low)) // _ROUND * _ROUND


def _project(root: Path, sample: Sample, *, in_bucket: bool) -> Path:
    """Return a new project over a sample's files, its lake in a folder of its own or the bucket."""
    make_project(root, "gaming", sample.day(0), sample.day(sample.days - 1))
    settings = root / "stupid.toml"
    text = settings.read_text(encoding="utf-8").replace('"landing"', f'"{sample.landing}"')
    if in_bucket:
        text = text.replace('"lake"', f'"s3://benchmarks/{root.name}/lake"')
    settings.write_text(text, encoding="utf-8")
    return root


def _ratios(made: Sequence[Made]) -> list[float]:
    """Return the days an hour of the last over those of each of the others."""
    return [made[-1].days_an_hour / each.days_an_hour for each in made[:-1]]


def _made_text(made: Sequence[Made], events: int) -> list[str]:
    names = list(made[0].cpu)
    same, spare = _ratios(made)
    head = ["workers", "cores", "days", "wall s", "days an hour", "s a step", "of which inside"]
    rows = [
        [
            *map(str, (each.workers, each.cores, each.days)),
            f"{each.wall:.1f}",
            f"{each.days_an_hour:.0f}",
            f"{each.wall * each.workers / each.steps:.1f}",
            f"{each.inside / each.steps:.1f}",
            *(f"{each.cpu[name] / each.days:.1f}" for name in names),
            f"{each.traffic.received / each.days / 1e6:.1f}",
            f"{each.traffic.sent / each.days / 1e6:.1f}",
            f"{each.traffic.requests / each.days:.0f}",
        ]
        for each in made
    ]
    head += [f"CPU s a day: {name}" for name in names]
    head += ["MB a day to S3", "MB a day from it", "requests a day"]
    return [
        "## Workers of one core",
        report.table(head, rows),
        f"Gaming days of {events:,} events, each step a job of Ray's and so a process of its own, "
        f"{RUNS_OF_A_WORKER} days at work for each worker, from the first step's submission to the "
        "end of the last. The workers share only Postgres and the bucket, the landing files in it. "
        "Each is bound to a core, with all its steps. The S3 server, Postgres, Ray's head and the "
        "process of the runs share the cores of the second column with them: only beside "
        "one worker on two cores is there one that no worker has.",
        f"Two workers on two cores make **{same:.2f} times** the days an hour of one on one core "
        f"(at least {AT_LEAST}: {'yes' if same >= AT_LEAST else 'no'}), and {spare:.2f} times "
        "those of one that leaves the second core to all the others.",
    ]


def _places_text(places: Mapping[str, tuple[Runs, Traffic]]) -> list[str]:
    rows = []
    for name, (runs, moved) in places.items():
        times = len(runs.runs)
        rows.append(
            [
                name,
                *(f"{runs.least(figure):.2f}" for figure in ("wall", "cpu")),
                f"{moved.cpu / times:.2f}",
                *(f"{size / times / 1e6:.1f}" for size in (moved.received, moved.sent)),
                f"{moved.requests / times:.0f}",
            ]
        )
    (here, _), (there, _) = places.values()
    head = ["lake", "wall s", "CPU s", "server's CPU s", "MB to it", "MB from it", "requests"]
    return [
        "## A bucket against the local disk",
        report.table(head, rows),
        "A day's stages in one process on core 0, after its imports; the least of "
        f"{len(here.runs)}. The bucket takes {there.least('wall') / here.least('wall'):.2f} times "
        f"the wall, {there.least('cpu') / here.least('cpu'):.2f} times the CPU. Its server is on "
        "the same machine and disk: no network is in this.",
    ]


def _sizes_text(sizes: Mapping[int, Mapping[str, Run]]) -> list[str]:
    rows = [
        [f"{events:,}", *(f"{runs[stage].peak_bytes / 2**30:.2f}" for stage in DAY_STAGES)]
        for events, runs in sizes.items()
    ]
    fitting = [n for n, runs in sizes.items() if max(r.peak_bytes for r in runs.values()) <= FITS]
    return [
        "## The largest day",
        report.table(["events", *(f"{stage} GiB" for stage in DAY_STAGES)], rows),
        "The most that a step's process had resident, Dagster and the definitions loaded. "
        + (
            f"The largest day that was made within {FITS >> 30} GiB: **{max(fitting):,} events**."
            if fitting
            else f"None was made within {FITS >> 30} GiB."
        ),
    ]
