"""Readers pinned to snapshots while days are made again, published, evicted and collected."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from benchmarks.soak.readers import Seen
from benchmarks.soak.run import Outcome, soak, wrong_answers
from benchmarks.soak.world import days_of, expected
from benchmarks.soak.writer import Published

pytestmark = pytest.mark.slow

STORES = ("documents", "search", "node", "edge", "knowledge", "catalog")


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return soak(tmp_path_factory.mktemp("soak") / "project", seconds=6, grace=3)


def test_every_answer_is_of_the_one_snapshot_that_it_names(outcome: Outcome) -> None:
    assert list(outcome.wrong) == []
    assert set(outcome.answers) == {"current", "held", "http"}
    for who, answers in outcome.answers.items():
        assert answers >= 10 * len(STORES), who
        assert outcome.snapshots[who] >= 2, who


def test_no_reader_meets_an_error(outcome: Outcome) -> None:
    assert list(outcome.troubles) == []
    # Each round was made by the same process; days left and garbage went meanwhile.
    assert [p.round for p in outcome.published] == list(range(len(outcome.published)))
    assert len(outcome.published) >= 4
    assert sum(p.evicted for p in outcome.published) >= 1
    assert sum(p.collected for p in outcome.published) >= 1


def test_who_reads_lets_go_of_what_was_collected(outcome: Outcome) -> None:
    for before, after in (outcome.server, outcome.readers):
        assert list(after.gone) == []
        # Pools of threads fill up; each snapshot's own end with it.
        assert after.threads <= before.threads + 20


def test_the_disk_returns_to_the_level_of_a_fresh_lake(outcome: Outcome) -> None:
    worn, fresh = outcome.files
    assert set(worn) == set(fresh)
    assert sum(worn.values()) == pytest.approx(sum(fresh.values()), rel=0.05)
    assert outcome.peak_bytes > sum(worn.values())
    days = days_of(outcome.published[-1].round)
    assert {name.split("/")[1] for name in worn if name.startswith("documents/")} == {*days}


def test_a_publication_is_served_soon(outcome: Outcome) -> None:
    assert outcome.served_after
    # Two seconds on a machine that has nothing else to do.
    assert max(outcome.served_after) < 10


@pytest.mark.parametrize("store", STORES)
def test_one_store_of_another_snapshot_is_found(store: str) -> None:
    published = [Published(n, f"id-{n}", 0, 0, 0) for n in range(3)]
    seen = Seen()
    seen.add("current", "id-1", expected(1))
    assert wrong_answers(seen, published) == []
    mixed: Mapping[str, object] = {**expected(1), store: expected(2)[store]}
    seen.add("current", "id-1", mixed)
    (wrong,) = wrong_answers(seen, published)
    assert wrong.startswith(f"1 x current, {store} of id-1: ")
    seen.add("http", "id-9", {store: expected(1)[store]})
    assert len(wrong_answers(seen, published)) == 2
