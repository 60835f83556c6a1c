"""Kill a project's work again and again, look at what is left, and let the next run repair it."""

from __future__ import annotations

import random
import shutil
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stupid_dagster.errors import StupidError
from stupid_dagster.project import Project
from tests.faults.checking import (
    check_clean,
    check_lake,
    differences,
    half_made,
    rounds_served,
)
from tests.faults.moments import Moment
from tests.faults.rounds import KILLED_IN, make_project, plant
from tests.faults.workers import Worker, Workers, steps_from, succeed
from tests.stores.lakes import impatient

_TRIES = 6


@dataclass(frozen=True)
class Kill:
    """A worker that was killed: in which step, and the folders that it left half-made."""

    step: str
    half_made: tuple[str, ...]


@dataclass
class Killing:
    """A project under fire, and what came of it."""

    root: Path
    workers: Workers
    draw: random.Random
    lake: str = "lake"
    """A folder of its own, or an URL."""
    kills: list[Kill] = field(default_factory=list)
    missed: int = 0
    """Workers that were done before they were killed."""
    snapshots: int = 0
    """How often what is published was checked."""
    repairs: int = 0
    """Runs that completed after kills, and gave what an empty lake gives."""
    violations: list[str] = field(default_factory=list)
    cpu: float = 0.0
    """CPU seconds of the workers."""
    _seconds: dict[str, float] = field(default_factory=dict)
    _round: int = 0
    _left_at: str | None = None
    """The step in which the last worker of this round was killed."""

    def begin(self) -> None:
        """Make the project, and publish its first round."""
        make_project(self.root, lake=self.lake)
        plant(self.root, self._round)
        self._take_account(succeed(self.workers.start(self.root, KILLED_IN)))

    def kill(self, step: str) -> None:
        """Kill a worker at a random moment of a step, and check what there is then.

        It goes on where the one before was killed, if that was no later step, or does all anew
        with other landing files.
        """
        for tried in range(_TRIES):
            before, left = self._served(), {*half_made(self._project().lake)}
            worker = self.workers.start(self.root, self._steps_to(step))
            share = self.draw.random() * 0.5**tried
            hit = worker.kill(step, share * self._seconds[step])
            self._take_account(worker)
            if hit is None and worker.exit == 0:
                self.missed += 1
                self._left_at = None
                self._check(lambda: self._is_served({self._round}))
                continue
            if hit is None:
                told = worker.errors or worker.log.read_text()[-2000:]
                self.violations.append(f"a run failed with {worker.exit}: {told}")
            else:
                self._note(hit, left)
            right = [before] if hit and _is_before(hit, "publish") else [before, {self._round}]
            self._check(lambda right=right: self._is_served(*right))
            return

    def kill_at(self, moment: Moment, *, is_new: bool = False) -> None:
        """Kill a worker at an exact moment, and check what there is then: the former round.

        With `is_new` it is the round that the worker was to publish.
        """
        before, left = self._served(), {*half_made(self._project().lake)}
        worker = self.workers.run(self.root, [f"kill_at {moment}", *self._steps_to(moment.step)])
        self._take_account(worker)
        if worker.exit != -signal.SIGKILL or worker.running is None:
            self.violations.append(f"not killed {moment}: {worker.exit} {worker.errors}")
            return
        self._note(worker.running, left)
        self._check(lambda: self._is_served({self._round} if is_new else before))

    def repair(self) -> None:
        """Let a run complete, and compare all that there is with what an empty lake gives."""
        self._left_at = None
        worker = self.workers.run(self.root, KILLED_IN)
        self._take_account(worker)
        if worker.exit != 0:
            self.violations.append(f"the next run failed with {worker.exit}: {worker.errors}")
            return
        self._check(lambda: self._is_served({self._round}))
        violations = len(self.violations)
        self._check(self._equals_a_fresh_lake)
        self.repairs += len(self.violations) == violations

    def _note(self, hit: str, left: set[str]) -> None:
        self._left_at = hit
        torn = [address for address in half_made(self._project().lake) if address not in left]
        self.kills.append(Kill(hit, tuple(torn)))

    def _steps_to(self, step: str) -> Sequence[str]:
        left_at = self._left_at
        if left_at and not _is_before(step, left_at) and self.draw.random() < 0.8:
            return list(steps_from(left_at))
        self._round += 1
        plant(self.root, self._round)
        return KILLED_IN

    def _take_account(self, worker: Worker) -> None:
        self._seconds |= worker.seconds
        self.cpu += worker.cpu

    def _project(self) -> Project:
        """Return the project as another machine has it."""
        project = Project.load(self.root, {"workplace": "reader"})
        impatient(project.lake)
        return project

    def _served(self) -> set[int]:
        return rounds_served(self._project())

    def _is_served(self, *right: set[int]) -> None:
        project = self._project()
        check_lake(project)
        self.snapshots += 1
        found = rounds_served(project)
        assert found in right, f"{found} is published, not {right}"

    def _equals_a_fresh_lake(self) -> None:
        lake = impatient(Project.load(self.root).lake)
        root = self.root.with_name("fresh")
        fresh = make_project(root, self.root / "landing").lake
        try:
            worker = self.workers.run(root)
            self.cpu += worker.cpu
            assert worker.exit == 0, worker.errors
            assert not (found := differences(lake, fresh)), found
            check_clean(lake)
            sizes = [it.inventory.bytes() for it in (lake, fresh)]
            # The search index's and the graph database's sizes differ by some bytes.
            assert sizes[0] < 1.05 * sizes[1], f"{sizes[0]} bytes, not {sizes[1]}"
        finally:
            shutil.rmtree(root)

    def _check(self, holds: Callable[[], None]) -> None:
        try:
            holds()
        except (AssertionError, StupidError, OSError) as error:
            self.violations.append(f"after {self.kills[-1:]}: {type(error).__name__} {error}")


def _is_before(step: str, other: str) -> bool:
    return KILLED_IN.index(step) < KILLED_IN.index(other)
