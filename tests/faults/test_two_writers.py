"""Two processes that write to one lake at the same time: one may lose, and says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.pairs import Pairing
from tests.faults.workers import Workers

pytestmark = pytest.mark.slow


def test_two_writers_publish_nothing_mixed_and_the_loser_says_so(tmp_path: Path) -> None:
    with Workers() as workers:
        pairing = Pairing(tmp_path / "project", workers)
        pairing.begin()
        for pair in ("two publishers", "an eviction of its days and a publisher"):
            pairing.run(pair)

    assert pairing.violations == []
    assert sum(sum(ends.values()) for ends in pairing.ends.values()) == 4
    assert pairing.snapshots > 4
