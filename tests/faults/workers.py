"""Processes that do a project's work, and can be killed in the middle of it."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.faults.rounds import KILLED_IN, STEPS

_REPOSITORY = Path(__file__).parents[2]
_MOST_SECONDS = 120.0


@dataclass
class Worker:
    """A process at work; what it tells is read by `tidings`."""

    pid: int
    pipe: int
    log: Path
    running: str | None = None
    """The step that it was in when it was last heard of."""
    seconds: dict[str, float] = field(default_factory=dict)
    """How long its steps took."""
    errors: dict[str, tuple[list[str], str]] = field(default_factory=dict)
    """By step that failed the error's type, its bases, and what it says."""
    exit: int | None = None
    """How it ended: its exit code, or a signal's number with a minus."""
    cpu: float = 0.0
    """CPU seconds that it took."""
    _begun: float = 0.0
    _unread: bytes = b""

    def wait(self, until: str | None = None) -> None:
        """Return when it has begun the step, or when it has ended."""
        while self.exit is None and (until is None or self.running != until):
            self._hear()

    def listen(self, seconds: float) -> None:
        """Learn what it tells, for some seconds at most."""
        until = time.monotonic() + seconds
        while self.exit is None and (left := until - time.monotonic()) > 0:
            if select.select([self.pipe], [], [], left)[0]:
                self._hear()

    def kill(self, step: str, after: float) -> str | None:
        """Kill it some seconds after it began a step; return the step that it really was in.

        None where it had ended before.
        """
        self.wait(step)
        self.listen(after)
        self.stop()
        self.wait()
        return self.running if self.exit == -signal.SIGKILL else None

    def stop(self) -> None:
        """Send it SIGKILL, unless it has ended."""
        if self.pid and self.exit is None:
            # It may have ended since it was last heard of: its parent waits for it, then tells.
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """Hear no more of it."""
        if self.pipe >= 0:
            os.close(self.pipe)
            self.pipe = -1

    def _hear(self) -> None:
        if not select.select([self.pipe], [], [], _MOST_SECONDS)[0]:
            self.stop()
            raise TimeoutError(f"{self.running} took more than {_MOST_SECONDS} s; see {self.log}")
        *lines, self._unread = (self._unread + os.read(self.pipe, 1 << 16)).split(b"\n")
        for line in lines:
            self._learn(*json.loads(line))

    def _learn(self, what: str, *told: Any) -> None:
        now = time.perf_counter()
        if what == "pid":
            (self.pid,) = told
        elif what == "begin":
            (self.running,), self._begun = told, now
        elif what == "end":
            self.seconds[told[0]], self.running = now - self._begun, None
        elif what == "error":
            step, kinds, text = told
            self.errors[step], self.running = (kinds, text), None
        else:
            self.exit, self.cpu = told
            self.close()


class Workers:
    """Starts workers; they end with it.

    `prefix` is a command that runs the server, such as `unshare`.
    """

    def __init__(self, *prefix: str) -> None:
        self.prefix = prefix
        self._count = 0

    def __enter__(self) -> Workers:
        self._folder = tempfile.TemporaryDirectory()
        self._server = subprocess.Popen(
            [*self.prefix, sys.executable, "-m", "tests.faults.server"],
            cwd=_REPOSITORY,
            env={**os.environ, "PYTHONPATH": str(_REPOSITORY)},
            stdin=subprocess.PIPE,
            text=True,
        )
        self._running: list[Worker] = []
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        try:
            for worker in self._running:
                worker.stop()
                if worker.pid:
                    worker.wait()
        finally:
            for worker in self._running:
                worker.close()
            with self._server:  # It closes the pipe and waits.
                pass
            self._folder.cleanup()

    def start(self, root: Path, steps: Sequence[str] | None = None) -> Worker:
        """Return a worker that runs steps (all) of the project in a folder."""
        self._count += 1
        fifo, log = (Path(self._folder.name) / f"{self._count}.{end}" for end in ("fifo", "log"))
        os.mkfifo(fifo)
        worker = Worker(0, os.open(fifo, os.O_RDONLY | os.O_NONBLOCK), log)
        self._running = [*(w for w in self._running if w.exit is None), worker]
        request = {"root": str(root), "steps": list(STEPS if steps is None else steps)}
        assert self._server.stdin
        print(
            json.dumps(request | {"fifo": str(fifo), "log": str(log)}),
            file=self._server.stdin,
            flush=True,
        )
        while not worker.pid:
            assert self._server.poll() is None, "the server of the workers has ended"
            if select.select([worker.pipe], [], [], 1.0)[0]:
                worker._hear()
        return worker

    def run(self, root: Path, steps: Sequence[str] | None = None) -> Worker:
        """Return a worker that has ended."""
        worker = self.start(root, steps)
        worker.wait()
        return worker


def succeed(worker: Worker) -> Worker:
    """Wait for a worker and return it; raises AssertionError with what it said if it failed."""
    worker.wait()
    assert worker.exit == 0, f"{worker.exit}: {worker.errors}\n{worker.log.read_text()}"
    return worker


def steps_from(step: str) -> Iterator[str]:
    """Yield a step and those that follow."""
    yield from KILLED_IN[KILLED_IN.index(step) :]
