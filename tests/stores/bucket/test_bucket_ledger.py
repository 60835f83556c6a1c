"""The ledger of a lake in a bucket: manifests of killed publishers, which it does not name."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from stupid_dagster.errors import ConflictError
from stupid_dagster.stores.bucket.lake import BucketLake
from stupid_dagster.stores.bucket.ledger import BucketLedger
from stupid_dagster.stores.bucket.tombstones import description_under, is_tombstone, tombstone
from stupid_dagster.stores.files import open_files
from stupid_dagster.stores.garbage import collect_garbage
from stupid_dagster.stores.snapshots import open_snapshot, published_id, snapshot_ids
from tests.stores.lakes import impatient, published, put_one


@pytest.fixture
def machine(bucket: str, tmp_path: Path) -> Callable[[], BucketLake]:
    """Makes the lake as another machine has it, with one document."""

    def make() -> BucketLake:
        return BucketLake(open_files(bucket), tmp_path / secrets.token_hex(4), 1 << 30)

    put_one(make(), "documents", "1", "x")
    return make


class Killed(BaseException):
    """Stands for the end of a process: nothing catches it."""


def kill(*_: object) -> None:
    raise Killed


def manifests(lake: BucketLake) -> set[str]:
    return {Path(entry.key).stem for entry in lake.files.below("snapshots")}


def collect(lake: BucketLake) -> None:
    collect_garbage(lake, kept_snapshots=3, grace=timedelta(0))


def test_the_manifest_of_a_killed_publisher_is_collected_once_its_time_is_over(
    machine: Callable[[], BucketLake], monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, killed = machine(), machine()
    kept = {published(lake, {"documents": ["1"]}).id for _ in range(2)}
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(killed.ledger, "_change", kill)
        published(killed, {"documents": ["1"]})
    assert len(manifests(lake)) == 3 and {*snapshot_ids(lake)} == kept
    collect(lake)
    assert len(manifests(lake)) == 3, "its publisher may be at work yet"
    collect(impatient(lake))
    assert manifests(lake) == kept == {*snapshot_ids(lake)}
    assert open_snapshot(lake).manifest.id == max(kept)


def test_a_publisher_that_was_taken_for_dead_gives_way(
    machine: Callable[[], BucketLake], monkeypatch: pytest.MonkeyPatch
) -> None:
    collector, publisher = impatient(machine()), machine()
    create = publisher.files.create

    def slow(key: str, data: bytes) -> bool:
        done = create(key, data)
        if key.startswith("snapshots/"):
            collect(collector)
        return done

    monkeypatch.setattr(publisher.files, "create", slow)
    with pytest.raises(ConflictError, match="taken for garbage while it was published"):
        published(publisher, {"documents": ["1"]})
    assert manifests(collector) == {*()} and snapshot_ids(collector) == []


@pytest.mark.parametrize("named", ["before it is buried", "after"])
def test_of_a_collector_and_a_publisher_that_meet_never_both_go_on(
    machine: Callable[[], BucketLake], monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    collector, publisher = impatient(machine()), machine()
    replace = collector.files.replace
    publishers = publisher.ledger
    assert isinstance(publishers, BucketLedger)
    change = publishers._change
    problems: list[ConflictError] = []

    def publish() -> None:
        monkeypatch.setattr(publishers, "_change", change)
        try:
            # It goes on where it was held up: its manifest is written.
            publishers.add(made, text)
        except ConflictError as error:
            problems.append(error)

    def meeting(key: str, data: bytes, tag: str | None = None) -> bool:
        stone = is_tombstone(data) and description_under(data)
        if stone and named == "before it is buried":
            publish()
        done = replace(key, data, tag)
        if stone and named == "after":
            publish()
        return done

    monkeypatch.setattr(publisher.ledger, "_change", kill)
    with pytest.raises(Killed):
        published(publisher, {"documents": ["1"]})
    (made,) = manifests(collector)
    text = publishers.text(made).decode()
    monkeypatch.setattr(collector.files, "replace", meeting)
    collect(collector)
    assert len(problems) == (named == "after")
    assert manifests(collector) == {*snapshot_ids(collector)}
    assert len(manifests(collector)) == 1 - len(problems)
    for snapshot in snapshot_ids(machine()):
        assert open_snapshot(machine(), snapshot).manifest.of("documents")


def test_a_tombstone_that_a_killed_collector_left_hides_no_snapshot(
    machine: Callable[[], BucketLake], monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = impatient(machine())
    made = published(lake, {"documents": ["1"]})
    key = f"snapshots/{made.id}.json"
    stored = lake.files.read(key)
    assert lake.files.replace(key, tombstone(stored.data), stored.tag)
    collect(lake)
    assert published_id(lake) == made.id
    assert open_snapshot(machine()).manifest == made
