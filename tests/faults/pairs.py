"""Two processes that write to one lake at the same time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from stupid_dagster.errors import StupidError
from stupid_dagster.project import Project
from tests.faults.checking import check_lake, check_snapshot, rounds_served
from tests.faults.rounds import AFTER, DAYS, OLD, STEPS, make_project, plant
from tests.faults.workers import Worker, Workers

_ALL = list(STEPS)
_DAY = _ALL[: _ALL.index("window_days")]
_WINDOW = _ALL[len(_DAY) : _ALL.index("leave_behind")]
_SECONDS_BETWEEN_LOOKS = 1.0

PAIRS: dict[str, tuple[list[str], list[str]]] = {
    # `collect_garbage` leaves no time to slow readers, so it is the next run's.
    "two runs": (_ALL[:-1], _ALL[:-1]),
    "the same days": (_DAY * 3, _DAY * 3),
    "two windows": (_WINDOW, [f"{step} {DAYS[0]}" for step in _WINDOW]),
    "two publishers": (["catalog", "publish"] * 20, ["window_days", "graph", "publish"] * 10),
    "an eviction and a window": (
        _WINDOW,
        [f"documents {OLD}", f"connections {OLD}", "leave_behind", "evict"] * 5,
    ),
    "an eviction of its days and a publisher": (
        [*_DAY, *_WINDOW, *["window_days", "publish"] * 5],
        [f"evict {AFTER}", f"documents {DAYS[0]}"] * 10,
    ),
    "a collection and a run": (_ALL[:-1], ["collect"] * 100),
}
"""What two processes do at the same time."""
LOSES = ("ConflictError", "MissingVersionError")
"""How who comes second may end; the latter where the other has evicted the day that it makes."""


@dataclass
class Pairing:
    """A project with two writers, and what came of it."""

    root: Path
    workers: Workers
    ends: dict[str, Counter[str]] = field(default_factory=dict)
    """How the workers of each pair ended: `done`, by one of `LOSES`, or by another error, a bug."""
    snapshots: int = 0
    """How often what is published was checked."""
    violations: list[str] = field(default_factory=list)
    cpu: float = 0.0
    _round: int = 0

    def begin(self) -> None:
        """Make the project, and publish its first round."""
        make_project(self.root)
        plant(self.root, self._round)
        self._run_alone()

    def run(self, pair: str) -> None:
        """Let a pair work, look at what is published meanwhile, and let one more run repair."""
        self._round += 1
        plant(self.root, self._round)
        both = [self.workers.start(self.root, steps) for steps in PAIRS[pair]]
        while any(worker.exit is None for worker in both):
            for worker in both:
                worker.listen(_SECONDS_BETWEEN_LOOKS / 2)
            self._look()
        for worker in both:
            self.cpu += worker.cpu
            self.ends.setdefault(pair, Counter())[end := _end(worker)] += 1
            if end not in ("done", *LOSES):
                self.violations.append(f"{pair}: {end}: {worker.errors}")
        self._round += 1
        plant(self.root, self._round)
        self._run_alone()

    def _run_alone(self) -> None:
        worker = self.workers.run(self.root)
        self.cpu += worker.cpu
        if worker.exit != 0:
            self.violations.append(f"the next run failed with {worker.exit}: {worker.errors}")
            return
        project = Project.load(self.root)
        try:
            check_lake(project)
            self.snapshots += 1
            found = rounds_served(project)
            assert found == {self._round}, f"{found} is published, not {self._round}"
        except (AssertionError, StupidError, OSError) as error:
            self.violations.append(f"after the next run: {type(error).__name__} {error}")

    def _look(self) -> None:
        try:
            check_snapshot(Project.load(self.root))
            self.snapshots += 1
        except (AssertionError, StupidError, OSError) as error:
            self.violations.append(f"meanwhile: {type(error).__name__} {error}")


def _end(worker: Worker) -> str:
    if worker.exit == 0:
        return "done"
    for kinds, _ in worker.errors.values():
        return kinds[0]
    return str(worker.exit)
