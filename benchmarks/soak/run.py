"""A soak: one process writes and publishes, others read what is published, all the while.

Every publication plants a value of its own in every store (`world.py`). Readers (`readers.py`) note
what each store answered of which snapshot; in the end that is compared with what was planted in
it, so that an answer of two snapshots can't stay hidden. No reader may meet an error, unless it
has kept a snapshot for longer than the time of grace after that was replaced.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2

from benchmarks.child import BenchmarkError
from benchmarks.soak.readers import Asker, Seen, Trouble, follow, hold, over_http, watch
from benchmarks.soak.world import clone, days_of, expected, make_world
from benchmarks.soak.writer import LEAST, STOP, Published, make_and_publish, read_log
from benchmarks.usage import resident_bytes
from stupid_dagster.project import Project
from stupid_dagster.stages.window import PINS
from stupid_dagster.stores.garbage import collect_garbage
from stupid_dagster.stores.lake import Lake

PATIENCE = 120.0
HTTP_CLIENTS, HOLDERS = 2, 2
# Names of versions and snapshots, and LanceDB's.
_RANDOM = re.compile(r"\d{8}T\d{9}-[0-9a-f]{6}|[0-9a-f-]{32,}")
# What a reader may still be doing when its time is over.
_MARGIN = 1.0
# Until a reader that was replaced, or has ended, has let its files go.
_CLOSING = 10.0


@dataclass(frozen=True)
class Process:
    """What a reading process holds; `gone` are files of the lake that it has open or mapped."""

    threads: int
    resident_bytes: int
    gone: Sequence[str]
    """Those that were deleted since."""


@dataclass(frozen=True)
class Outcome:
    """What a soak found; `wrong`, `troubles` and `gone` must be empty."""

    published: Sequence[Published]
    answers: Mapping[str, int]
    """By who asked."""
    snapshots: Mapping[str, int]
    """Snapshots that who asked has seen."""
    wrong: Sequence[str]
    troubles: Sequence[Trouble]
    late: Sequence[Trouble]
    """Answers that didn't come, of snapshots that were replaced longer ago than the grace."""
    served_after: Sequence[float]
    """Seconds from a publication to the server's first answer of it."""
    server: tuple[Process, Process]
    """The API's process after the first publications, and in the end."""
    readers: tuple[Process, Process]
    """The same of the process with the other readers."""
    peak_bytes: int
    """Most that the lake had on disk."""
    files: tuple[Mapping[str, int], Mapping[str, int]]
    """Bytes by file of the lake in the end, and of a fresh one; names made at random are alike."""


def soak(
    root: Path, seconds: float, *, grace: float = 8.0, stages: Sequence[str] = LEAST
) -> Outcome:
    """Return what readers and a writer found in so many seconds; raises BenchmarkError."""
    make_world(root, grace)
    project = Project.load(root)
    seen, stop, peak = Seen(), threading.Event(), 0
    with ExitStack() as stack:
        writer = stack.enter_context(_process(root, "writer", _writer(root, stages)))
        _wait(lambda: read_log(root), writer)
        server, url = stack.enter_context(_server(root))
        askers = [
            *(follow(project), watch(url)),
            *(over_http(url) for _ in range(HTTP_CLIENTS)),
            *(hold(project, grace - _MARGIN) for _ in range(HOLDERS)),
        ]
        threads = stack.enter_context(_threads(askers, seen, stop))
        warm = len(read_log(root)) + 2
        _wait(lambda: len(read_log(root)) >= warm, writer)
        before = _held(project, server.pid), _held(project, os.getpid())
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if writer.poll() is not None or server.poll() is not None:
                raise BenchmarkError(f"the writer or the server ended by itself: see {root}/*.log")
            peak = max(peak, sum(_sizes(project.lake).values()))
            time.sleep(0.5)
        (root / STOP).touch()
        writer.wait(PATIENCE)
        published = read_log(root)
        newest = published[-1].snapshot
        _wait(lambda: newest in seen.first_served, server)
        # Readers that hold a snapshot end; the others stay, with the newest one.
        time.sleep(grace)
        collect_garbage(project.lake, kept_snapshots=1, grace=timedelta(0), using=PINS)
        after = _held(project, server.pid), _held(project, os.getpid())
        stop.set()
        for thread in threads:
            thread.join(PATIENCE)
    troubles, late = _judged(seen.troubles, published, grace)
    return Outcome(
        published=published,
        answers=_summed(seen),
        snapshots=Counter(who for who, _ in {(key[0], key[1]) for key in seen.answers}),
        wrong=wrong_answers(seen, published),
        troubles=troubles,
        late=late,
        served_after=[
            seen.first_served[p.snapshot] - p.at
            for p in published[warm:]
            if p.snapshot in seen.first_served
        ],
        server=(before[0], after[0]),
        readers=(before[1], after[1]),
        peak_bytes=peak,
        files=(_sizes(project.lake), _sizes(_fresh(root, published[-1].round, stages))),
    )


def _writer(root: Path, stages: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "benchmarks.soak.writer", str(root), ",".join(stages)]


@contextmanager
def _server(root: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Yield the API's process, which answers, and its URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    code = (
        "from stupid_dagster.api.server import serve; from stupid_dagster.project import Project; "
        f"serve(Project.load({str(root)!r}, {{'api_port': {port}}}))"
    )
    with _process(root, "server", [sys.executable, "-c", code]) as process:
        url = f"http://127.0.0.1:{port}"

        def ready() -> bool:
            try:
                return httpx2.get(f"{url}/ready").status_code == 200
            except httpx2.TransportError:
                return False

        _wait(ready, process)
        yield process, url


@contextmanager
def _process(root: Path, name: str, command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Yield a running process, which is told to end in the end."""
    with (root / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)


@contextmanager
def _threads(
    askers: Sequence[Asker], seen: Seen, stop: threading.Event
) -> Iterator[list[threading.Thread]]:
    threads = [threading.Thread(target=asker, args=(seen, stop), daemon=True) for asker in askers]
    for thread in threads:
        thread.start()
    try:
        yield threads
    finally:
        stop.set()


def _wait(condition: Any, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        if process.poll() is not None or time.monotonic() > end:
            raise BenchmarkError(f"{process.args} ended, or didn't get on in {PATIENCE:.0f} s")
        time.sleep(0.05)


def _held(project: Project, process: int) -> Process:
    """Return what a process holds (Linux); `gone` is read again until it's empty, or for a while.

    Readers that are just being replaced, or closed, may have some for a moment.
    """
    end = time.monotonic() + _CLOSING
    while (gone := _gone(project.lake, process)) and time.monotonic() < end:
        time.sleep(0.2)
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    threads = next(line for line in status.splitlines() if line.startswith("Threads:"))
    return Process(int(threads.split()[1]), resident_bytes(process), gone)


def _gone(lake: Lake, process: int) -> list[str]:
    """Return the lake's files that a process has open or mapped and that have been deleted."""
    maps = Path(f"/proc/{process}/maps").read_text(encoding="utf-8").splitlines()
    paths = {line[line.index("/") :] for line in maps if "/" in line}
    for descriptor in Path(f"/proc/{process}/fd").iterdir():
        try:
            paths.add(os.readlink(descriptor))
        except OSError:  # Closed meanwhile.
            continue
    inside = (path for path in paths if path.startswith(str(lake.root)))
    return sorted(path for path in inside if path.endswith(" (deleted)"))


def _judged(
    troubles: Sequence[Trouble], published: Sequence[Published], grace: float
) -> tuple[list[Trouble], list[Trouble]]:
    """Return the troubles that nobody may have, and those of readers that were too late."""
    replaced = {old.snapshot: new.at for old, new in pairwise(published)}
    kept: list[Trouble] = []
    late: list[Trouble] = []
    for trouble in troubles:
        over = replaced.get(trouble.snapshot or "", float("inf")) + grace
        (late if trouble.at > over else kept).append(trouble)
    return kept, late


def _summed(seen: Seen) -> dict[str, int]:
    answers: Counter[str] = Counter()
    for (who, *_), number in seen.answers.items():
        answers[who] += number
    return dict(answers)


def wrong_answers(seen: Seen, published: Sequence[Published]) -> list[str]:
    """Return the answers that aren't what was planted in the snapshot that they name."""
    rounds = {p.snapshot: p.round for p in published}
    wrong = []
    for (who, snapshot, store, value), number in seen.answers.items():
        planted = expected(rounds[snapshot])[store] if snapshot in rounds else "no such snapshot"
        if value != repr(planted):
            wrong.append(f"{number} x {who}, {store} of {snapshot}: {value} instead of {planted}")
    return wrong


def _fresh(root: Path, number: int, stages: Sequence[str]) -> Lake:
    """Return a lake that never had anything but what the last round's window is made of."""
    target = root / "fresh"
    clone(root, target)
    project = Project.load(target)
    days = days_of(number)
    make_and_publish(project, days, days[-1], stages)
    collect_garbage(project.lake, kept_snapshots=1, grace=timedelta(0), using=PINS)
    return project.lake


def _sizes(lake: Lake) -> dict[str, int]:
    """Return the bytes of a lake's files by path, in which names made at random are numbered."""
    sizes: dict[str, int] = {}
    # Unlike `Path.rglob`, it takes folders that are collected meanwhile.
    files = (Path(folder) / name for folder, _, names in os.walk(lake.root) for name in names)
    for file in sorted(files):
        with suppress(FileNotFoundError):
            size = file.stat().st_size
            name = _RANDOM.sub("*", file.relative_to(lake.root).as_posix())
            same = sum(known.startswith(f"{name} ") for known in sizes) if "*" in name else 0
            sizes[f"{name} {same}"] = size
    return sizes
