"""SIGKILL at random moments of every kind of step: nothing is torn, and the next run repairs."""

from __future__ import annotations

import random
from pathlib import Path

from tests.faults.kills import Killing
from tests.faults.workers import Workers

STEPS = (
    *("documents", "connections", "vectors", "search_index", "graph", "graph_database"),
    *("graph_knowledge", "clusters", "catalog", "publish", "evict", "collect_garbage"),
)


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
