from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from stupid_dagster.errors import MissingVersionError, SnapshotError, StoreError
from stupid_dagster.stores import lake as lake_module
from stupid_dagster.stores import snapshots as snapshots_module
from stupid_dagster.stores.durable import write_durably
from stupid_dagster.stores.garbage import collect_garbage, find_leftovers
from stupid_dagster.stores.lake import Lake
from stupid_dagster.stores.snapshots import (
    check_files,
    open_snapshot,
    published_id,
    read_manifest,
    snapshot_ids,
)
from stupid_dagster.stores.version import made_at
from tests.stores.lakes import published, put_one

NOW, LONG = timedelta(0), timedelta(days=9)
DAYS = ["2013-02-08", "2013-02-09"]
TABLES = {"documents": DAYS, "pagerank": DAYS[1:]}


def folders(lake: Lake, table: str, partition: str) -> set[str]:
    return {p.name for p in (lake.root / table / partition).glob("2*") if p.is_dir()}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(tmp_path)
    for table, days in TABLES.items():
        for day in days:
            put_one(lake, table, day, "one")
    return lake


def test_a_snapshot_pins_the_versions_that_are_live(lake: Lake) -> None:
    manifest = published(lake, TABLES | {"vectors": DAYS})
    assert published_id(lake) == manifest.id
    assert snapshot_ids(lake) == [manifest.id]
    assert read_manifest(lake, manifest.id) == manifest
    assert (manifest.first_day, manifest.last_day, manifest.days) == ("2013-01-11", DAYS[1], DAYS)
    assert dict(manifest.of("documents")) == {day: lake.live("documents", day) for day in DAYS}
    assert (dict(manifest.of("vectors")), dict(manifest.of("unheard of"))) == ({}, {})
    snapshot = open_snapshot(lake)
    assert snapshot.window("pagerank") == lake.live("pagerank", DAYS[1])
    assert (snapshot.path("pagerank") / "a").read_text() == "one"
    assert snapshot.day("documents", DAYS[0]) == lake.live("documents", DAYS[0])
    assert snapshot.day("documents", "2013-02-01") is None
    for table in ("vectors", "documents2"):
        with pytest.raises(MissingVersionError, match=f"has no table {table}; materialise it"):
            snapshot.window(table)


def test_a_pinned_reader_sees_the_same_until_its_snapshot_goes(lake: Lake) -> None:
    with lake.write("ranks", DAYS[1]) as writer:
        writer.write(pl.DataFrame({"rank": [1]}))
    tables = TABLES | {"ranks": DAYS[1:]}
    first = published(lake, tables)
    pinned = open_snapshot(lake)
    with lake.write("ranks", DAYS[1]) as writer:
        writer.write(pl.DataFrame({"rank": [2]}))
    second = published(lake, tables)
    collect_garbage(lake, kept_snapshots=2, grace=NOW)
    assert open_snapshot(lake).scan("ranks").collect()["rank"].to_list() == [2]
    assert pinned.scan("ranks").collect()["rank"].to_list() == [1]
    assert open_snapshot(lake, first.id).manifest == pinned.manifest == first
    check_files(lake, first)

    collect_garbage(lake, kept_snapshots=1, grace=NOW)
    assert snapshot_ids(lake) == [second.id]
    with pytest.raises(SnapshotError, match="isn't kept"):
        open_snapshot(lake, first.id)
    with pytest.raises(SnapshotError, match="missing or damaged; materialise"):
        check_files(lake, first)
    check_files(lake, second)


def test_nothing_is_published_at_first(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    assert (published_id(lake), snapshot_ids(lake)) == (None, [])
    with pytest.raises(SnapshotError, match=r"nothing is published in .*stupid-dagster run"):
        open_snapshot(lake)


@pytest.mark.parametrize("damage", ["gone", "short", "folder", "description"])
def test_damaged_files_are_not_published(lake: Lake, damage: str) -> None:
    before = published(lake, TABLES)
    version = put_one(lake, "documents", DAYS[0], "two")
    folder = lake.version_path(version)
    match damage:
        case "gone":
            (folder / "a").unlink()
        case "short":
            (folder / "a").write_text("")
        case "folder":
            (folder / "a").unlink()
            (folder / "a").mkdir()
        case _:
            (folder / "_version.json").write_text("{")
    with pytest.raises(StoreError, match=r"damaged.*materialise documents 2013-02-08 again"):
        published(lake, TABLES)
    assert published_id(lake) == before.id
    assert snapshot_ids(lake) == [before.id]
    if damage != "folder":
        put_one(lake, "documents", DAYS[0], "two")
        assert open_snapshot(lake).manifest == before
        assert published(lake, TABLES).id == published_id(lake)


@pytest.mark.parametrize(
    "name", ["", "..", "../../etc/passwd", "x", "20130209T101112345-1f2e3d", "a\0"]
)
def test_snapshots_that_are_not_kept(lake: Lake, name: str) -> None:
    manifest = published(lake, TABLES)
    (lake.root / "secret.json").write_text("{}")
    for hostile in (name, f"../{name}", "../secret"):
        with pytest.raises(SnapshotError, match=f"isn't kept in .*there are: {manifest.id}"):
            read_manifest(lake, hostile)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"versions": {}}', '{"versions": 1}'])
def test_a_damaged_manifest_is_told(lake: Lake, content: str) -> None:
    manifest = published(lake, TABLES)
    (lake.root / "snapshots" / f"{manifest.id}.json").write_text(content)
    with pytest.raises(
        SnapshotError, match=rf"snapshot {manifest.id} in .* is damaged .*publish the window"
    ):
        open_snapshot(lake)


def test_a_pointer_to_a_snapshot_that_is_gone(lake: Lake) -> None:
    manifest = published(lake, TABLES)
    (lake.root / "snapshots" / f"{manifest.id}.json").unlink()
    with pytest.raises(SnapshotError, match=r"isn't kept in .*there are: none"):
        open_snapshot(lake)


def test_a_publication_that_fails_leaves_the_old_one(lake: Lake, monkeypatch) -> None:
    before = published(lake, TABLES)
    for failing in (1, 2):
        calls = []

        def write(file: Path, text: str, failing: int = failing, calls: list = calls) -> None:
            calls.append(file)
            if len(calls) == failing:
                raise OSError(28, "No space left on device")
            write_durably(file, text)

        monkeypatch.setattr("stupid_dagster.stores.ledger.write_durably", write)
        with pytest.raises(OSError, match="No space"):
            published(lake, TABLES)
        assert open_snapshot(lake).manifest == before


def test_garbage_collection_keeps_what_current_and_kept_snapshots_name(lake: Lake) -> None:
    day = DAYS[0]
    versions, manifests = [], []
    for text in ("two", "three", "four"):
        versions.append(put_one(lake, "documents", day, text))
        manifests.append(published(lake, TABLES))
    unpublished = put_one(lake, "documents", day, "five")
    latest = put_one(lake, "documents", day, "six")

    garbage = collect_garbage(lake, kept_snapshots=2, grace=NOW)
    assert snapshot_ids(lake) == [m.id for m in manifests[1:]]
    kept = {versions[1].name, versions[2].name, latest.name}
    assert folders(lake, "documents", day) == kept
    assert unpublished.name not in kept
    assert (garbage.snapshots, garbage.versions) == (1, 3)
    assert garbage.bytes > len("one") + len("two") + len("five")
    assert collect_garbage(lake, kept_snapshots=2, grace=NOW).versions == 0
    for manifest in manifests[1:]:
        check_files(lake, read_manifest(lake, manifest.id))


def test_grace_counts_from_when_something_was_replaced(lake: Lake, monkeypatch) -> None:
    """A version that lived for long may have readers when it is replaced."""
    day = DAYS[0]
    monkeypatch.setattr(lake_module, "new_name", lambda: "20130209T101112345-1f2e3d")
    old = put_one(lake, "documents", day, "old")
    monkeypatch.undo()
    assert made_at(old.name) == datetime(2013, 2, 9, 10, 11, 12, 345_000, tzinfo=UTC)
    new = put_one(lake, "documents", day, "new")
    hour = timedelta(hours=1)
    assert collect_garbage(lake, kept_snapshots=1, grace=hour).versions == 0
    assert old.name in folders(lake, "documents", day)

    an_hour_ago = time.time() - 3601
    os.utime(lake.root / "documents" / day, (an_hour_ago, an_hour_ago))
    collect_garbage(lake, kept_snapshots=1, grace=hour)
    assert old.name not in folders(lake, "documents", day)
    assert new.name in folders(lake, "documents", day)

    lake.drop("documents", day)
    collect_garbage(lake, kept_snapshots=1, grace=hour)
    assert new.name in folders(lake, "documents", day), "dropped just now"
    collect_garbage(lake, kept_snapshots=1, grace=NOW)
    assert not (lake.root / "documents" / day).exists()


def test_snapshots_have_their_grace_too(lake: Lake) -> None:
    manifests = []
    for text in ("two", "three", "four"):
        put_one(lake, "documents", DAYS[0], text)
        manifests.append(published(lake, TABLES))
    assert collect_garbage(lake, kept_snapshots=1, grace=LONG).snapshots == 0
    for manifest in manifests:
        check_files(lake, manifest)
    assert collect_garbage(lake, kept_snapshots=1, grace=NOW).snapshots == 2
    assert open_snapshot(lake).manifest == manifests[-1]


def test_a_snapshot_has_its_grace_from_when_it_was_no_longer_wanted(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    hour, day = timedelta(hours=1), DAYS[0]
    monkeypatch.setattr(lake_module, "new_name", lambda: "20130209T101112344-1f2e3d")
    old = put_one(lake, "documents", day, "old")
    for n, tables in (5, TABLES), (6, {"pagerank": DAYS[1:]}):
        name = f"20130209T10111234{n}-1f2e3d"
        monkeypatch.setattr(snapshots_module, "new_name", lambda name=name, **_: name)
        published(lake, tables)
    served, beside = snapshot_ids(lake)
    monkeypatch.undo()
    # The newer one was kept beside what was served, years ago.
    (lake.root / "SNAPSHOT").write_text(served)
    put_one(lake, "documents", day, "two")
    os.utime(lake.root / "documents" / day, (0, 0))
    collect_garbage(lake, kept_snapshots=1, grace=hour)
    published(lake, TABLES)

    collect_garbage(lake, kept_snapshots=2, grace=hour)

    assert (lake.version_path(old) / "a").read_text() == "old", "it was served until just now"
    assert [p.stem for p in (lake.root / "snapshots").glob("*.unwanted")] == [served]
    found = find_leftovers(lake, kept_snapshots=1, grace=hour)
    assert found.unmarked == [beside] and found.snapshots[beside] == found.now + hour
    # One that is wanted again begins anew.
    collect_garbage(lake, kept_snapshots=9, grace=hour)
    assert not [*(lake.root / "snapshots").glob("*.unwanted")]
    collect_garbage(lake, kept_snapshots=1, grace=hour)
    for mark in (lake.root / "snapshots").glob("*.unwanted"):
        os.utime(mark, (0, time.time() - 3601))
    collect_garbage(lake, kept_snapshots=1, grace=hour)
    assert snapshot_ids(lake) == [published_id(lake)]
    assert not lake.version_path(old).exists()
    assert not [*(lake.root / "snapshots").glob("*.unwanted")]


def test_snapshots_that_name_an_evicted_partition_go_at_any_number(lake: Lake) -> None:
    both = published(lake, TABLES)
    lake.drop("documents", DAYS[0])
    without = published(lake, {"documents": DAYS[1:], "pagerank": DAYS[1:]})
    collect_garbage(lake, kept_snapshots=9, grace=LONG)
    assert snapshot_ids(lake) == [both.id, without.id], "readers have their grace"
    assert (lake.root / "documents" / DAYS[0]).exists()

    collect_garbage(lake, kept_snapshots=9, grace=NOW)
    assert snapshot_ids(lake) == [without.id]
    assert not (lake.root / "documents" / DAYS[0]).exists()
    check_files(lake, open_snapshot(lake).manifest)


def test_an_evicted_day_leaves_even_the_window_that_uses_it(lake: Lake) -> None:
    uses = [lake.live("documents", day).address for day in DAYS if lake.find("documents", day)]
    for day in DAYS:
        with lake.write("documents", day) as writer:
            (writer.path / "a").write_text(day)
        uses.append(writer.committed.address)
    with lake.write("window_days", DAYS[1]) as writer:
        writer.metadata["uses"] = uses
    lake.drop("documents", DAYS[0])

    collect_garbage(lake, kept_snapshots=1, grace=NOW, using="window_days")

    assert not (lake.root / "documents" / DAYS[0]).exists()
    assert lake.partitions("documents") == DAYS[1:]


def test_looking_for_leftovers_changes_nothing(lake: Lake) -> None:
    published(lake, TABLES)
    lake.drop("documents", DAYS[0])
    folder = lake.root / "documents" / DAYS[0]
    (version,) = folder.glob("2*")
    future = version.rename(folder / f"2999{version.name[4:]}")
    os.utime(future, (2**33, 2**33))
    os.utime(folder, (2**33, 2**33))

    found = find_leftovers(lake, kept_snapshots=1, grace=LONG)

    (left,) = [left for left in found.versions if left.held.name == future.name]
    assert left.due == found.now + LONG
    assert {*found.misdated} >= {f"documents/{DAYS[0]}", f"documents/{DAYS[0]}/{future.name}"}
    collect_garbage(lake, kept_snapshots=1, grace=LONG, dry_run=True)
    assert folder.stat().st_mtime == future.stat().st_mtime == 2**33
    collect_garbage(lake, kept_snapshots=1, grace=LONG)
    assert folder.stat().st_mtime < 2**33


def test_the_published_snapshot_never_goes(lake: Lake) -> None:
    manifest = published(lake, TABLES)
    published(lake, TABLES)
    (lake.root / "SNAPSHOT").write_text(manifest.id)  # As after a kill in between.
    lake.drop("documents", DAYS[0])
    collect_garbage(lake, kept_snapshots=1, grace=NOW)
    assert snapshot_ids(lake) == [manifest.id]
    assert open_snapshot(lake).manifest == manifest


def test_nobody_else_s_folders_are_touched(lake: Lake) -> None:
    manifest = published(lake, TABLES)
    others = ["notes/my own/deep", "documents/2013-02-08/my folder", ".cache/x/y", "documents/.x/y"]
    for name in others:
        (lake.root / name).mkdir(parents=True)
        (lake.root / name / "file").write_text("mine")
    (lake.root / "snapshots" / "readme.json").write_text("{}")
    collect_garbage(lake, kept_snapshots=1, grace=NOW)
    assert all((lake.root / name / "file").exists() for name in others)
    assert snapshot_ids(lake) == [manifest.id]


def test_the_manifest_is_plain_json_and_complete(lake: Lake) -> None:
    manifest = published(lake, TABLES)
    tree = json.loads((lake.root / "snapshots" / f"{manifest.id}.json").read_text())
    assert tree["versions"]["pagerank"][DAYS[1]]["files"]["a"]["size"] == 3
    assert (lake.root / "SNAPSHOT").read_text() == manifest.id
