"""SIGKILL at random moments of each kind of step: nothing is torn, and the next run repairs."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest

from tests.faults.kills import Killing
from tests.faults.rounds import AFTER, make_project
from tests.faults.workers import Workers

pytestmark = pytest.mark.slow

STEPS = (
    *("documents", "vectors", "search_index", "graph_database", "graph_knowledge"),
    *("publish", "evict", "collect_garbage", f"evict {AFTER}"),
)
"""One of each kind, by what it writes; `python -m benchmarks faults` kills in all of them."""


def test_what_is_published_is_whole_whenever_a_run_is_killed(tmp_path: Path) -> None:
    with Workers() as workers:
        killing = Killing(tmp_path / "project", workers, random.Random(7))
        killing.begin()
        for step in STEPS:
            killing.kill(step)
        killing.repair()

    assert killing.violations == []
    assert len(killing.kills) == len(STEPS)
    assert any(kill.half_made for kill in killing.kills)
    assert (killing.repairs, killing.snapshots) == (1, 1 + len(STEPS) + killing.missed)


def test_a_kill_that_comes_too_late_is_told(tmp_path: Path) -> None:
    with Workers() as workers:
        worker = workers.start(make_project(tmp_path / "project").settings.root, [])
        with pytest.raises(ProcessLookupError):
            while True:  # Its end isn't heard of meanwhile.
                os.kill(worker.pid, 0)
                time.sleep(0.01)
        worker.stop()
        assert worker.kill("documents", after=0.0) is None

    assert worker.exit == 0


def test_workers_end_and_are_closed_whatever_happens(tmp_path: Path) -> None:
    root = make_project(tmp_path / "project").settings.root
    with pytest.raises(KeyboardInterrupt), Workers() as workers:
        worker = workers.start(root, ["documents"])
        raise KeyboardInterrupt

    assert worker.exit is not None
    with pytest.raises(ProcessLookupError):
        os.kill(worker.pid, 0)
