"""SIGKILL between any two writes to a bucket: nothing is torn, and the next run repairs."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.faults.kills import Killing
from tests.faults.moments import Moment
from tests.faults.rounds import AFTER
from tests.faults.workers import Workers

pytestmark = pytest.mark.slow

DESCRIPTION = "_version.json"
BEFORE = (
    Moment(f"evict {AFTER}", "after", "replace", "/CURRENT"),
    Moment("documents", "after", "upload", "^documents/"),
    Moment("documents", "after", "create", f"^documents/.*/{DESCRIPTION}"),
    Moment("publish", "after", "create", "^snapshots/"),
)
"""Moments at which a run of other landing files is killed before it has published."""
AFTERWARDS = (Moment("collect_garbage", "after", "replace", DESCRIPTION),)
"""Moments after that."""


def test_what_is_published_is_whole_at_whatever_write_a_run_is_killed(
    tmp_path: Path, bucket: str
) -> None:
    with Workers() as workers:
        killing = Killing(tmp_path / "project", workers, random.Random(7), bucket)
        killing.begin()
        for moment in BEFORE:
            killing.kill_at(moment)
        for moment in AFTERWARDS:
            killing.kill_at(moment, is_new=True)
        killing.repair()

    assert killing.violations == []
    assert len(killing.kills) == len(BEFORE) + len(AFTERWARDS)
    assert any(kill.half_made for kill in killing.kills)
    assert (killing.repairs, killing.snapshots) == (1, 1 + len(killing.kills))
