"""`estimate`: the time, memory and disk that events take, from a few of their days, really made."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import click
import numpy as np
from rich.console import Console

from stupid_dagster.cli.check import own_days
from stupid_dagster.cli.console import console, progress, show_table
from stupid_dagster.compute.words import counted
from stupid_dagster.errors import ComputeError
from stupid_dagster.event_model import load_event_model
from stupid_dagster.ingest import LandingIndex, index_landing
from stupid_dagster.settings import SETTINGS, Settings
from stupid_dagster.settings.table import REMOTE_BACKENDS
from stupid_dagster.stores.lake import Lake
from stupid_dagster.tables import TABLES, Grain

_GIB, _MB = 1 << 30, 1e6
_FEWEST = 3
"""Points that a line is laid through."""
_MEANING = (
    "events: rows of the landing files; seconds: by the clock, the start of a process included; "
    "CPU seconds: of all cores together; memory: the most held at once; disk: what stays. What was "
    "made is measured; days are scaled by their events from it, and the long window lies on the "
    "line through those made"
)


@dataclass(frozen=True)
class Cost:
    """What a run took: wall seconds, CPU seconds of all threads, most bytes resident; bytes left.

    `events` are the rows that it was of.
    """

    events: int
    seconds: float
    cpu_seconds: float
    memory: int
    disk: int


@click.command()
@click.argument("landing", metavar="DIR")
@click.option("--model", help="The event model: a name or a file; default: the project's.")
@click.option(
    "--days",
    "most",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="Newest days that are made to measure; a window's growth is told by three or more.",
)
@click.pass_obj
def estimate(settings: Settings, landing: str, model: str | None, most: int) -> None:
    """Estimate the time, memory and disk that the events in DIR need on this machine.

    Makes their newest days, and windows of one, two... of these, in a temporary folder; the
    project's lake stays as it is. No language model is asked, and no embedder of a server.
    """
    name = model or settings.event_model
    loaded = load_event_model(name, settings.root)
    if "://" not in landing and "::" not in landing:
        landing = str(Path(landing).resolve())  # The runs are in another folder.
    index = index_landing(loaded, landing)
    events = events_by_day(index)
    if not (days := own_days(index)[-most:]):
        raise ComputeError(
            f"no file in {landing} has a usable date; `stupid-dagster check` says why"
        )
    with TemporaryDirectory(prefix="stupid-estimate-") as folder:
        environment = _environment(settings, Path(folder), landing, name, days)
        runs: dict[str, Callable[[], Cost]] = {
            f"{day}": partial(
                _run,
                Path(folder),
                environment,
                events[day],
                day,
                *("--from", day, "--to", day, "--no-window"),
            )
            for day in days
        }
        runs |= {
            _window_of(length): partial(
                _run,
                Path(folder),
                environment | {"STUPID_WINDOW_DAYS": str(length)},
                sum(events[day] for day in days[-length:]),
                days[-1],
                *("--window", days[-1]),
            )
            for length in range(1, len(days) + 1)
        }
        costs = _measured(runs)
    if settings.embedder_backend in REMOTE_BACKENDS:
        console.print(
            f"[yellow]texts were embedded by the bundled embedder[/], not by "
            f"{settings.embedder_backend}: its time is not in this"
        )
    _show(settings, events, costs)
    if len(days) < _FEWEST:
        console.print(
            f"[yellow]of fewer than {_FEWEST} windows no growth can be told[/]: all was taken to "
            "grow with the days, so that what is said of a window is far too much; --days "
            f"{_FEWEST} or more says better"
        )


def _window_of(days: int) -> str:
    return f"window of {counted(days, 'day')}"


def _measured(runs: Mapping[str, Callable[[], Cost]]) -> dict[str, Cost]:
    """Return what each of the runs took, by its name; tell on stderr which is at work."""
    costs: dict[str, Cost] = {}
    shown = Console(stderr=True, highlight=False)
    with progress(shown) as bar:
        task = bar.add_task("measuring", total=len(runs))
        for name, run in runs.items():
            bar.update(task, description=f"making {name}")
            if not shown.is_terminal:
                shown.print(f"making {name} ({len(costs) + 1} of {len(runs)})")
            costs[name] = run()
            bar.advance(task)
        bar.update(task, description="measured")
    return costs


def events_by_day(index: LandingIndex) -> Counter[str]:
    """Return the number of rows by event day, over all landing files."""
    events: Counter[str] = Counter()
    for file in index.files:
        events.update(file.days)
    return events


def _environment(
    settings: Settings, folder: Path, landing: str, model: str, days: Sequence[str]
) -> dict[str, str]:
    """Return the environment of runs by the project's settings, in a folder of their own."""
    bundled = settings.embedder_backend in REMOTE_BACKENDS
    kept = {
        name: value
        for name in SETTINGS
        if name in settings.sources
        and name not in ("inbox", "window_anchor")
        and not name.startswith(("llm", "api_", *(["embedder"] if bundled else [])))
        and (value := getattr(settings, name)) not in (None, ())
    }
    file = settings.root / model
    told = kept | {
        "landing": landing,
        "event_model": file.resolve() if file.is_file() else model,
        "data_root": folder / "lake",
        "workplace": folder / "workplace",
        "compute": "local",
        "partitions_start": days[0],
        "partitions_end": days[-1],
        "kept_windows": 1,
        "garbage_minutes": 0,
    }
    variables = {
        f"STUPID_{name.upper()}": ",".join(value) if isinstance(value, tuple) else str(value)
        for name, value in told.items()
    }
    others = {k: v for k, v in os.environ.items() if not k.startswith(("STUPID_", "DAGSTER_"))}
    return {**others, **variables}


def _run(
    folder: Path, environment: Mapping[str, str], events: int, day: str, *options: str
) -> Cost:
    """Return what `stupid-dagster run` took in a process of its own to make a partition.

    Raises ComputeError when it fails.
    """
    log = folder / "log"
    command = [sys.executable, "-m", "stupid_dagster.cli", "--root", str(folder), "run", *options]
    started = time.perf_counter()
    with log.open("wb") as stream:
        process = subprocess.Popen(command, env=environment, stdout=stream, stderr=stream)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - started
    if process.returncode:
        raise ComputeError(
            f"`stupid-dagster run {' '.join(options)}` failed:\n"
            f"{log.read_text(encoding='utf-8', errors='replace')[-4000:].strip()}"
        )
    # In bytes on macOS, else in KiB.
    memory = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    grain = "day" if "--no-window" in options else "window"
    disk = _live_bytes(Lake(folder / "lake"), grain, day)
    return Cost(events, seconds, usage.ru_utime + usage.ru_stime, memory, disk)


def _live_bytes(lake: Lake, grain: Grain, partition: str) -> int:
    """Return the size of the live versions of a partition of all tables of a grain."""
    return sum(
        version.bytes
        for held in lake.inventory.partitions()
        if held.partition == partition and TABLES[held.table].grain == grain
        for version in held.versions
        if version.name == held.live
    )


def extrapolated(costs: Sequence[Cost], days: float) -> Cost:
    """Return what a window of so many days will take, if all goes on as from the first to the last.

    `costs` are of windows of one, two... days. The line of least squares through them, which
    doesn't fall; with fewer than three of them all is taken to grow with the days, which is too
    much. What knowledge rests on (actors, edges, texts) grows ever more slowly.
    """
    lengths = np.arange(1, len(costs) + 1, dtype=np.float64)

    def at(values: Sequence[float]) -> float:
        if len(values) < _FEWEST:
            return values[-1] * max(days / lengths[-1], 1)
        slope, start = np.polyfit(lengths, np.array(values, dtype=np.float64), 1)
        return float(start + slope * days) if slope > 0 else max(values)

    return Cost(
        *(round(at([cost.events for cost in costs])), at([cost.seconds for cost in costs])),
        at([cost.cpu_seconds for cost in costs]),
        *(round(at([getattr(cost, of) for cost in costs])) for of in ("memory", "disk")),
    )


def scaled(costs: Sequence[Cost], events: float) -> Cost:
    """Return what a day of so many events will take, if all grows with them; never less memory."""
    rows = max(sum(cost.events for cost in costs), 1)
    factor = events * len(costs) / rows

    def mean(values: Sequence[float]) -> float:
        return sum(values) / len(values)

    return Cost(
        round(events),
        mean([cost.seconds for cost in costs]) * factor,
        mean([cost.cpu_seconds for cost in costs]) * factor,
        round(max(cost.memory for cost in costs) * max(factor, 1)),
        round(mean([cost.disk for cost in costs]) * factor),
    )


def _show(settings: Settings, events: Mapping[str, int], costs: Mapping[str, Cost]) -> None:
    usual, most = median(events.values()), max(events.values())
    full = settings.window_days
    made = [cost for name, cost in costs.items() if name in events]
    windows = [cost for name, cost in costs.items() if name not in events]
    day, largest, last = scaled(made, usual), scaled(made, most), extrapolated(windows, full)
    rows = [
        *((f"{name}, made", cost) for name, cost in costs.items()),
        ("a usual day", day),
        ("the largest day", largest),
        (f"window of {full} usual days", last),
    ]
    show_table(
        f"On this machine, of {sum(events.values()):,} events of {counted(len(events), 'day')}",
        ["", "events", "seconds", "CPU seconds", "memory GiB", "disk MB"],
        [
            (name, c.events, c.seconds, c.cpu_seconds, c.memory / _GIB, c.disk / _MB)
            for name, c in rows
        ],
    )
    console.print(f"[dim]{_MEANING}[/]\n")
    kept = settings.kept_days * day.disk + (settings.kept_windows + 1) * last.disk
    console.print(
        f"every day: about {(day.seconds + last.seconds) / 60:,.1f} minutes, for the day and the "
        f"window that ends on it\n"
        f"all {counted(len(events), 'day')} at first: about "
        f"{(len(events) * day.seconds + last.seconds) / 60:,.0f} minutes, one after the other\n"
        f"disk: about {kept / _GIB:,.2f} GiB, for {settings.kept_days} days (window_days and "
        f"kept_windows), {settings.kept_windows} windows and one in the making\n"
        f"memory: {max(last.memory, largest.memory) / _GIB:,.1f} GiB"
    )
