"""The command line under fire: runs and evictions that are killed, and two at the same time."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stupid_dagster.errors import StupidError
from stupid_dagster.project import Project
from tests.faults.checking import check_lake, rounds_served
from tests.faults.rounds import DAYS, LAST, make_project, plant

RUN = ("run", "--from", DAYS[0], "--to", LAST)
EVICT = ("evict",)
_MOST_SECONDS = 300


@dataclass
class Commanding:
    """A project that is worked on by `stupid-dagster`, and what came of it."""

    root: Path
    draw: random.Random
    kills: list[tuple[str, float]] = field(default_factory=list)
    """Commands that were killed, and after how many seconds."""
    seconds: dict[str, list[float]] = field(default_factory=dict)
    """How long the commands took that were not killed."""
    violations: list[str] = field(default_factory=list)
    _round: int = 0

    def begin(self) -> None:
        """Make the project, and publish its first round."""
        make_project(self.root)
        plant(self.root, self._round)
        self.succeed(RUN)
        self.succeed(EVICT)

    def kill(self, command: Sequence[str]) -> None:
        """Kill a command at a random moment; the next run must succeed at once."""
        self._round += 1
        plant(self.root, self._round)
        after = self.draw.random() * self.seconds[command[0]][0]
        with self._start(command) as process:
            time.sleep(after)
            process.kill()
            process.communicate()
        if process.returncode == -signal.SIGKILL:  # Else it had ended before.
            self.kills.append((command[0], after))
        self._check({self._round - 1}, {self._round})
        self.succeed(RUN)
        self._check({self._round})

    def run_two(self) -> None:
        """Start two runs at the same time; one may lose, and the next run must succeed."""
        self._round += 1
        plant(self.root, self._round)
        both = [self._start(RUN) for _ in range(2)]
        for process, output in [(process, _output(process)) for process in both]:
            if process.returncode and "make the window again" not in output:
                self.violations.append(f"one of two runs: {output[-1500:]}")
        self._check({self._round - 1}, {self._round})
        self.succeed(RUN)
        self._check({self._round})

    def succeed(self, command: Sequence[str]) -> None:
        """Run a command to its end."""
        started = time.perf_counter()
        process = self._start(command)
        output = _output(process)
        self.seconds.setdefault(command[0], []).append(time.perf_counter() - started)
        if process.returncode:
            self.violations.append(f"{command[0]} failed: {output[-1500:]}")

    def _start(self, command: Sequence[str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "stupid_dagster.cli", "--root", str(self.root), *command],
            env={**os.environ, "DAGSTER_HOME": str(self.root / ".dagster_home")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def _check(self, *right: set[int]) -> None:
        try:
            project = Project.load(self.root)
            check_lake(project)
            found = rounds_served(project)
            assert found in right, f"{found} is published, not {right}"
        except (AssertionError, StupidError, OSError) as error:
            self.violations.append(f"after {self.kills[-1:]}: {type(error).__name__} {error}")


def _output(process: subprocess.Popen[str]) -> str:
    """Return what a command said; it has ended then, whatever it takes."""
    with process:
        try:
            return process.communicate(timeout=_MOST_SECONDS)[0]
        finally:
            process.kill()
