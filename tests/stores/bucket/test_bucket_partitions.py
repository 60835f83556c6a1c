"""The names of a lake's partitions in a bucket: none that is live is ever missing."""

from __future__ import annotations

import itertools
import os
import secrets
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path

import pytest

from stupid_dagster.errors import StoreError
from stupid_dagster.project import Project
from stupid_dagster.stages.evict import Eviction, plan_eviction
from stupid_dagster.stages.window import PINS, open_window
from stupid_dagster.stores import changing
from stupid_dagster.stores.bucket.lake import BucketLake
from stupid_dagster.stores.bucket.partitions import PARTITIONS, TABLES, Partitions
from stupid_dagster.stores.bucket.tombstones import tombstone
from stupid_dagster.stores.files import Entry, Files, LocalFiles, open_files
from stupid_dagster.stores.garbage import collect_garbage
from stupid_dagster.stores.snapshots import USES
from stupid_dagster.stores.version import VERSION_FILE, Version
from tests.stores.bucket.turns import Party, all_orders
from tests.stores.lakes import put_one

NOBODY = b"20130209T101112345-1f2e3d"


@pytest.fixture
def machine(bucket: str, tmp_path: Path) -> Callable[[], BucketLake]:
    """Makes the lake as another machine has it."""
    return lambda: BucketLake(open_files(bucket), tmp_path / secrets.token_hex(4), 1 << 30)


class Killed(BaseException):
    """Stands for the end of a process: nothing catches it."""


def kill_before(lake: BucketLake, call: str, key: str, times: int = 1) -> None:
    """Kill whoever works with a lake before his n-th call on a key."""
    original, left = getattr(lake.files, call), [times]

    def fatal(name: str, *arguments: object) -> object:
        left[0] -= name == key
        if not left[0]:
            raise Killed
        return original(name, *arguments)

    setattr(lake.files, call, fatal)


def named(files: Files, table: str = "t") -> list[str]:
    return Partitions(files).of(table)


def settle(files: Files) -> None:
    """Do what a collection of garbage does with the names."""
    Partitions(files).settle(files.below(""))


STARTS = {
    "live": (NOBODY, ""),
    "a drop was killed before it emptied it": (NOBODY, "killed"),
    "a drop was killed after that": (b"", "killed"),
    "dropped": (b"", None),
}
"""Of a partition what CURRENT holds, and what the index says, if there are such."""


@pytest.mark.parametrize(
    ("start", "other"), [*itertools.product(STARTS, ["drop"]), ("dropped", "settle")]
)
def test_whoever_a_writer_meets_what_is_live_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: str, other: str
) -> None:
    """After each step, as if all were killed there; `settle` is what collections of garbage do."""
    monkeypatch.setattr(changing, "_FIRST_WAIT", 0.0)
    monkeypatch.setattr(os, "fsync", lambda _: None)  # No machine loses its power here.
    current, told = STARTS[start]
    lakes: list[BucketLake] = []

    def begin() -> list[Party]:
        root = tmp_path / secrets.token_hex(4)
        lakes[:] = [
            BucketLake(LocalFiles(root / "lake"), root / who, 1 << 30)
            for who in ("writer", "other", "seen")
        ]
        writer, changer, seen = lakes
        seen.files.create("t/p/CURRENT", current)
        Partitions(seen.files).put_in("t", "p")
        names = {} if told is None else {"p": told}
        assert index(seen.files).write({"names": names}, index(seen.files).read()[1])
        acts = {"drop": lambda: changer.drop("t", "p"), "settle": lambda: settle(changer.files)}
        return [
            Party(writer, lambda: put_one(writer, "t", "p", "x")),
            Party(changer, acts[other]),
        ]

    def check(parties: list[Party]) -> None:
        seen = lakes[2]
        if seen.is_live("t", "p") and "p" not in named(seen.files):
            writer, changer = parties
            # The moment that `stores/bucket/partitions.py` speaks of.
            assert "replace CURRENT" in writer.steps and not writer.is_done
            assert f"replace {PARTITIONS}" in changer.steps
        if all(party.is_done for party in parties):
            live = ["p"] if seen.is_live("t", "p") else []
            assert seen.partitions("t") == live
            assert seen.tables() == ["t"] * len(live)
            settle(seen.files)
            assert named(seen.files) == live, "what isn't live leaves"

    assert all_orders(begin, check) > 20


def index(files: Files, table: str = "t") -> changing.JsonObject:
    return changing.JsonObject(files, f"{table}/{PARTITIONS}")


@pytest.mark.parametrize("by", ["the next run", "a collection"])
def test_what_a_writer_made_live_that_was_killed_while_it_was_dropped_is_named_again(
    machine: Callable[[], BucketLake], by: str
) -> None:
    writer, dropper, seen = machine(), machine(), machine()
    put_one(seen, "t", "p", "before")
    replace = writer.files.replace

    def late(key: str, data: bytes, tag: str | None = None) -> bool:
        if key == "t/p/CURRENT":
            assert dropper.drop("t", "p")
            replace(key, data, tag)
            raise Killed
        return replace(key, data, tag)

    # It saw to the name before the drop began, and is live after it.
    writer.files.replace = late
    with pytest.raises(Killed):
        put_one(writer, "t", "p", "x")
    assert seen.find("t", "p") and seen.partitions("t") == []
    if by == "the next run":
        live = seen.find("t", "p")
        assert put_one(machine(), "t", "p", "x") == live, "what is equal isn't written again"
    else:
        collect_garbage(machine(), kept_snapshots=1, grace=timedelta(0))
    assert seen.partitions("t") == ["p"]


@pytest.mark.parametrize("by", ["the next drop", "a collection"])
def test_the_name_that_a_killed_drop_leaves_goes(
    machine: Callable[[], BucketLake], by: str
) -> None:
    lake, dropper = machine(), machine()
    put_one(lake, "t", "p", "x")
    put_one(lake, "t", "q", "x")
    kill_before(dropper, "replace", f"t/{PARTITIONS}", times=2)
    with pytest.raises(Killed):
        dropper.drop("t", "p")
    assert lake.partitions("t") == ["q"] and named(lake.files) == ["p", "q"]
    left = {held.partition: held.others for held in lake.inventory.partitions("t")}
    assert left == {"p": [PARTITIONS], "q": []}, "an audit finds it"
    if by == "the next drop":
        assert not machine().drop("t", "p")
    else:
        collect_garbage(machine(), kept_snapshots=1, grace=timedelta(0))
    assert named(lake.files) == ["q"]
    assert not any(held.others for held in lake.inventory.partitions("t"))


def test_a_writer_whose_version_was_taken_for_garbage_leaves_what_is_live_named(
    machine: Callable[[], BucketLake],
) -> None:
    writer, dropper, seen = machine(), machine(), machine()
    before = put_one(seen, "t", "p", "before")
    replace = writer.files.replace

    def meeting(key: str, data: bytes, tag: str | None = None) -> bool:
        if key == "t/p/CURRENT" and tag is None:
            assert dropper.drop("t", "p")
            seen.files.replace(f"t/p/{data.decode()}/{VERSION_FILE}", tombstone(None))
        return replace(key, data, tag)

    writer.files.replace = meeting
    with pytest.raises(StoreError, match="taken for garbage"):
        put_one(writer, "t", "p", "x")
    live = seen.find("t", "p")
    assert live == before and seen.partitions("t") == ["p"]


def test_of_many_writers_and_droppers_none_is_lost(machine: Callable[[], BucketLake]) -> None:
    begin = threading.Barrier(6)
    put_one(machine(), "t", "0", "x")

    def work(number: int) -> None:
        lake = machine()
        begin.wait()
        for part in "ab":
            put_one(lake, "t", f"{number}{part}", "x")
        lake.drop("t", f"{number}a")
        lake.drop("t", "0")

    with ThreadPoolExecutor(6) as pool:
        for _ in pool.map(work, range(6)):
            pass
    lake = machine()
    assert lake.partitions("t") == [f"{number}b" for number in range(6)] == named(lake.files)


def test_what_is_there_is_not_written_again(machine: Callable[[], BucketLake]) -> None:
    lake = machine()
    put_one(lake, "t", "p", "x")
    tags = [lake.files.read(key).tag for key in (f"t/{PARTITIONS}", TABLES)]
    put_one(lake, "t", "p", "y")
    put_one(lake, "t", "p", "y")
    collect_garbage(lake, kept_snapshots=1, grace=timedelta(0))
    assert tags == [lake.files.read(key).tag for key in (f"t/{PARTITIONS}", TABLES)]
    assert {entry.key.split("/")[-1] for entry in lake.files.below("t")} == {
        "CURRENT",
        "a",
        "_version.json",
        PARTITIONS,
    }


def test_a_lake_without_indices_is_read_by_a_listing_and_gets_them(
    machine: Callable[[], BucketLake],
) -> None:
    lake = machine()
    for day in ("1", "2", "3"):
        put_one(lake, "t", day, "x")
    lake.files.remove([f"t/{PARTITIONS}", TABLES])
    old = machine()
    assert old.partitions("t") == ["1", "2", "3"] and old.tables() == ["t"]
    put_one(old, "t", "1", "x")
    assert without_listings(machine()).partitions("t") == ["1", "2", "3"]
    assert without_listings(machine()).tables() == ["t"]
    lake.files.remove([f"t/{PARTITIONS}"])
    assert machine().drop("t", "2")
    assert without_listings(machine()).partitions("t") == ["1", "3"]


@pytest.mark.parametrize("text", [b"{", b"[]", b'{"names": ["1"]}'])
def test_a_damaged_index_says_so(machine: Callable[[], BucketLake], text: bytes) -> None:
    lake = machine()
    put_one(lake, "t", "1", "x")
    lake.files.replace(f"t/{PARTITIONS}", text)
    with pytest.raises(StoreError, match=f"t/{PARTITIONS} is damaged .* remove it"):
        lake.partitions("t")
    lake.files.remove([f"t/{PARTITIONS}"])
    assert lake.partitions("t") == ["1"]


def without_listings(lake: BucketLake) -> BucketLake:
    """Let the server of a lake list nothing."""

    def nothing(prefix: str) -> Iterator[Entry]:
        return iter(())

    lake.files.names = lambda prefix: []
    lake.files.below = nothing
    return lake


def test_no_listing_decides_what_a_window_is_or_what_eviction_takes(
    bucket: str, tmp_path: Path
) -> None:
    days = ["2013-01-05", "2013-02-08", "2013-02-09"]
    windows = {"2013-02-07": days[:1], "2013-02-08": days[1:2], "2013-02-09": days[1:]}
    (tmp_path / "stupid.toml").write_text(
        f'landing = "landing"\ndata_root = "{bucket}"\nevent_model = "flights"\n'
        "partitions_start = 2013-01-01\npartitions_end = 2013-02-09\n"
    )

    def project() -> Project:
        return Project.load(tmp_path)

    lake = project().lake
    for day in days:
        with lake.write("documents", day) as writer:
            (writer.path / "a").write_text(day)
            writer.rows = 1
    for last_day, found in windows.items():
        with lake.write(PINS, last_day) as writer:
            (writer.path / "a").write_text(last_day)
            writer.metadata[USES] = [lake.live("documents", day).address for day in found]
        put_one(lake, "clusters", last_day, last_day)

    def decided(project: Project) -> tuple[date | None, Version, Eviction]:
        window = open_window(project, "2013-02-09")
        before = window.previous_version("clusters")
        assert before and before.partition == "2013-02-08"
        plan = plan_eviction(project)
        assert plan
        return project.anchor(), before, plan

    right = decided(project())
    lagging = project()
    assert isinstance(lagging.lake, BucketLake)
    without_listings(lagging.lake)
    assert decided(lagging) == right
    assert right[0] == date(2013, 2, 9)
    assert right[2].stale == {
        "documents": days[:1],
        PINS: ["2013-02-07"],
        "clusters": ["2013-02-07"],
    }
