"""A lake in a bucket: what a lake in a folder promises, by many machines without a lock."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from stupid_dagster.errors import ConflictError, SnapshotError, StoreError
from stupid_dagster.stores.bucket.inventory import BucketInventory
from stupid_dagster.stores.bucket.lake import BucketLake
from stupid_dagster.stores.bucket.tombstones import description_under, is_tombstone, tombstone
from stupid_dagster.stores.files import open_files
from stupid_dagster.stores.garbage import collect_garbage
from stupid_dagster.stores.lake import Lake
from stupid_dagster.stores.snapshots import kept_windows, open_snapshot, published_id, snapshot_ids
from stupid_dagster.stores.version import VERSION_FILE, Version
from tests.stores.bucket.publishing import publish_versions
from tests.stores.lakes import content, published, put, put_one
from tests.stores.test_lake_machine import LakeMachine

NOW = timedelta(0)
CACHE = 1 << 30


@pytest.fixture
def machine(bucket: str, tmp_path: Path) -> Callable[[], BucketLake]:
    """Makes the lake as another machine has it."""
    return lambda: BucketLake(open_files(bucket), tmp_path / secrets.token_hex(4), CACHE)


def content_of_one(lake: BucketLake, version: Version) -> str:
    return (lake.version_path(version) / "a").read_text()


def test_it_keeps_what_a_lake_promises(bucket: str) -> None:
    class Machine(LakeMachine):
        def make(self, folder: Path) -> Lake:
            return BucketLake(open_files(f"{bucket}/{secrets.token_hex(4)}"), folder, CACHE)

        def check_leftovers(self) -> None:
            assert not [p for p in self.lake.root.rglob(".writing-*")]

    run_state_machine_as_test(
        Machine, settings=settings(max_examples=4, stateful_step_count=12, deadline=None)
    )


def test_what_one_machine_writes_another_reads(machine: Callable[[], BucketLake]) -> None:
    here, there = machine(), machine()
    version = put(here, "one")
    assert there.live("t", "p") == version
    assert content(there, version) == "one"
    assert there.partitions("t") == ["p"] and there.tables() == ["t"]
    assert put(there, "one") == version, "what is equal isn't written again"
    named = there.named_at("t", "p")
    assert named == here.named_at("t", "p") is not None
    assert here.drop("t", "p") and there.find("t", "p") is None
    assert not here.drop("t", "p") and there.named_at("t", "p") is None
    assert put(there, "two") and here.named_at("t", "p") not in (None, named)


def test_what_names_no_version_is_damaged_and_can_be_replaced(
    machine: Callable[[], BucketLake],
) -> None:
    lake = machine()
    version = put(lake, "one")
    lake.files.replace("t/p/CURRENT", b"\xff../x")
    with pytest.raises(StoreError, match=r"t/p/CURRENT is damaged: .* materialise t p again"):
        lake.find("t", "p")
    assert lake.named_at("t", "p"), "it can be told whether it has changed"
    assert collect_garbage(lake, kept_snapshots=1, grace=NOW).versions == 0, "any may be live"
    again = put(machine(), "one")
    assert again != version and content(machine(), lake.live("t", "p")) == "one"


def test_a_version_without_a_description_is_not_there(machine: Callable[[], BucketLake]) -> None:
    lake = machine()
    lake.files.create("t/p/20130209T101112345-1f2e3d/a", b"half")
    assert lake.find("t", "p") is None and lake.partitions("t") == []
    # Its writer may be at work yet.
    assert collect_garbage(lake, kept_snapshots=1, grace=NOW).versions == 0


def test_whether_a_windows_days_are_there_is_asked_side_by_side(
    machine: Callable[[], BucketLake], monkeypatch: pytest.MonkeyPatch
) -> None:
    days = ["1", "2", "3", "4"]
    lake, asked = machine(), threading.Barrier(4)
    for day in days:
        put_one(lake, "documents", day, day)
    made = published(lake, {"documents": days})
    is_live = lake.is_live

    def together(table: str, partition: str) -> bool:
        asked.wait(20)  # Raises where one waits for another's answer.
        return is_live(table, partition)

    monkeypatch.setattr(lake, "is_live", together)
    assert kept_windows(lake) == {made.last_day: made.id}
    assert lake.partitions("documents") == days
    machine().drop("documents", "3")
    assert machine().partitions("documents") == ["1", "2", "4"]
    with pytest.raises(ConflictError, match="documents/3 and maybe others"):
        publish_versions(lake, made.versions)


def test_of_publishers_none_is_lost(machine: Callable[[], BucketLake]) -> None:
    version = put_one(machine(), "documents", "1", "x")
    lakes = [machine() for _ in range(6)]
    begin = threading.Barrier(len(lakes))

    def work(lake: BucketLake) -> str:
        begin.wait()
        return published(lake, {"documents": ["1"]}).id

    with ThreadPoolExecutor(len(lakes)) as pool:
        made = [*pool.map(work, lakes)]
    seen = machine()
    assert snapshot_ids(seen) == sorted(made) and published_id(seen) in made
    assert open_snapshot(seen).manifest.of("documents")["1"] == version


def test_a_publisher_sees_what_was_published_meanwhile(machine: Callable[[], BucketLake]) -> None:
    here, there = machine(), machine()
    put_one(here, "documents", "1", "x")
    state = here.ledger.state
    made = published(there, {"documents": ["1"]})
    assert not here.ledger.serve("20130209T101112345-1f2e3d", state)
    assert published_id(here) == made.id


@pytest.mark.parametrize("who_is_late", ["publisher", "collector"])
def test_a_collector_and_a_publisher_never_both_go_on(
    machine: Callable[[], BucketLake], monkeypatch: pytest.MonkeyPatch, who_is_late: str
) -> None:
    here, there = machine(), machine()
    inventory = here.inventory
    assert isinstance(inventory, BucketInventory)
    old = put_one(here, "documents", "1", "old")
    put_one(here, "documents", "1", "new")
    tables = {"documents": {"1": old}}

    def publish_old() -> None:
        publish_versions(there, tables)

    if who_is_late == "publisher":
        # The collector has buried it, and looked whether it is named, when the other names it.
        erase = inventory._erase

        def late(address: str) -> None:
            with pytest.raises(SnapshotError, match="missing or damaged"):
                publish_old()
            erase(address)

        monkeypatch.setattr(inventory, "_erase", late)
        assert collect_garbage(here, kept_snapshots=1, grace=NOW).versions == 1
        assert snapshot_ids(there) == [] and published_id(there) is None
    else:
        bury = inventory._bury

        def early(address: str) -> bytes | None:
            publish_old()
            return bury(address)

        monkeypatch.setattr(inventory, "_bury", early)
        collect_garbage(here, kept_snapshots=1, grace=NOW)
        snapshot = open_snapshot(there)
        assert content_of_one(there, snapshot.manifest.of("documents")["1"])
        assert machine().find("documents", "1", old.name) == old, "it was dug out again"


def test_of_two_collectors_none_removes_what_the_other_has_dug_out(
    machine: Callable[[], BucketLake], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, publisher = machine(), machine(), machine()
    inventory = first.inventory
    assert isinstance(inventory, BucketInventory)
    old = put_one(first, "documents", "1", "old")
    put_one(first, "documents", "1", "new")
    (held,) = [v for p in inventory.partitions() for v in p.versions if v.name == old.name]
    settle = inventory._settle

    def late(address: str, stone: bytes | None, *, wanted: set[str]) -> None:
        # The first has found it unnamed. It is named now, and the second sees that.
        with monkeypatch.context() as patched:
            patched.setattr(publisher, "check_kept", lambda _: None)
            publish_versions(publisher, {"documents": {"1": old}})
        second.inventory.remove([held], lambda: {old.address})
        publisher.check_kept([old])
        settle(address, stone, wanted=wanted)

    monkeypatch.setattr(inventory, "_settle", late)
    inventory.remove([held], lambda: set())
    assert content_of_one(machine(), old) == "old"


def test_a_writer_that_was_taken_for_dead_gives_way(
    machine: Callable[[], BucketLake], monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, other = machine(), machine()
    before = put(lake, "before")
    upload = lake.files.upload

    def slow(folder: Path, prefix: str) -> None:
        upload(folder, prefix)
        other.files.create(f"{prefix}/{VERSION_FILE}", tombstone(None))

    monkeypatch.setattr(lake.files, "upload", slow)
    with pytest.raises(ConflictError, match="given up while it was written"):
        put(lake, "after")
    assert other.live("t", "p") == before


def test_a_writer_whose_files_were_removed_gives_way(
    machine: Callable[[], BucketLake], monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, other = machine(), machine()
    upload = lake.files.upload

    def robbed(folder: Path, prefix: str) -> None:
        upload(folder, prefix)
        other.files.remove([f"{prefix}/a"])

    monkeypatch.setattr(lake.files, "upload", robbed)
    with pytest.raises(ConflictError, match="removed while it was written"):
        put(lake, "x")
    assert other.find("t", "p") is None


@pytest.mark.parametrize("meanwhile", [None, "another's"])
def test_a_writer_whose_version_was_taken_for_garbage_names_what_was_live(
    machine: Callable[[], BucketLake], monkeypatch: pytest.MonkeyPatch, meanwhile: str | None
) -> None:
    lake, other = machine(), machine()
    replace = lake.files.replace

    def buried(key: str, data: bytes, tag: str | None = None) -> bool:
        done = replace(key, data, tag)
        if key.endswith("CURRENT") and tag is None:
            description = f"t/p/{data.decode()}/{VERSION_FILE}"
            assert other.files.replace(description, tombstone(None))
            if meanwhile:
                put(other, meanwhile)
        return done

    monkeypatch.setattr(lake.files, "replace", buried)
    with pytest.raises(ConflictError, match="taken for garbage"):
        put(lake, "mine")
    live = other.find("t", "p")
    assert (live and content(other, live)) == meanwhile
    assert not any(held.damaged for held in other.inventory.partitions())


def test_a_collection_that_was_killed_is_gone_on_with(machine: Callable[[], BucketLake]) -> None:
    lake = machine()
    old, new = put_one(lake, "t", "p", "old"), put_one(lake, "t", "p", "new")
    key = f"{old.address}/{VERSION_FILE}"
    stored = lake.files.read(key)
    lake.files.replace(key, tombstone(stored.data), stored.tag)
    assert is_tombstone(lake.files.read(key).data)
    assert description_under(lake.files.read(key).data) == stored.data
    assert collect_garbage(lake, kept_snapshots=1, grace=NOW).versions == 1
    assert {e.key.split("/")[2] for e in lake.files.below("t/p")} == {"CURRENT", new.name}
