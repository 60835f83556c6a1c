from __future__ import annotations

import json
import shutil
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest
import xxhash

from stupid_dagster.errors import MissingVersionError, StoreError
from stupid_dagster.stores.durable import write_durably
from stupid_dagster.stores.inventory import CURRENT
from stupid_dagster.stores.lake import Lake
from stupid_dagster.stores.version import Version, VersionWriter
from tests.stores.lakes import abandoned, content, everything, put


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    # A root with the signs of a glob pattern is a root like any other.
    return Lake(tmp_path / "la[k]e*")


def test_a_version_tells_its_files_with_sizes_and_checksums(lake: Lake) -> None:
    with lake.write("t", "2013-02-08") as writer:
        writer.write(pl.DataFrame({"x": [1, 2]}))
        writer.write(pl.DataFrame({"x": [3]}), "more")
        (writer.path / "sub").mkdir()
        (writer.path / "sub" / "raw.bin").write_bytes(b"\x00" * 3_000_000)
        writer.metadata["days"] = ["2013-02-08"]
    version = writer.committed
    assert version == lake.live("t", "2013-02-08") == lake.find("t", "2013-02-08", version.name)
    assert version.rows == 3
    assert version.metadata == {"days": ["2013-02-08"]}
    assert list(version.files) == ["more.parquet", "part.parquet", "sub/raw.bin"]
    for name, stamp in version.files.items():
        raw = (lake.version_path(version) / name).read_bytes()
        assert (stamp.size, stamp.checksum) == (len(raw), xxhash.xxh3_64_hexdigest(raw))
    assert version.bytes == sum(stamp.size for stamp in version.files.values()) > 3_000_000
    assert lake.read("t", "2013-02-08")["x"].sort().to_list() == [1, 2, 3]


def test_an_empty_version_is_a_version(lake: Lake) -> None:
    with lake.write("t", "p"):
        pass
    assert (lake.live("t", "p").files, lake.live("t", "p").rows) == ({}, 0)
    with pytest.raises(StoreError, match="has Parquet files"):
        lake.scan("t", "p")


def test_nothing_is_there_before_the_first_write(lake: Lake) -> None:
    assert (lake.tables(), lake.partitions("t"), lake.find("t", "p")) == ([], [], None)
    assert lake.drop("t", "p") is False
    assert abandoned(lake, "t", "p") == []
    with pytest.raises(MissingVersionError, match=r"t has no partition p .*materialise it first"):
        lake.read("t", "p")
    with pytest.raises(MissingVersionError, match="t has none of the days"):
        lake.scan_days("t", ["p"])
    assert not lake.root.exists(), "looking makes nothing"


def test_tables_and_partitions_are_those_with_a_live_version(lake: Lake) -> None:
    for table, partition in (("b", "2"), ("a", "2"), ("a", "1"), ("c", "1")):
        put(lake, table=table, partition=partition)
    assert lake.drop("c", "1") is True
    assert lake.tables() == ["a", "b"]
    assert (lake.partitions("a"), lake.partitions("c")) == (["1", "2"], [])
    assert lake.find("c", "1") is None


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("before", [False, True])
def test_when_the_block_raises_nothing_changes(
    lake: Lake, error: type[BaseException], before: bool
) -> None:
    old = put(lake, "old") if before else None
    with pytest.raises(error), lake.write("t", "p") as writer:
        (writer.path / "a").write_text("new")
        raise error
    assert lake.find("t", "p") == old
    kept = [CURRENT, old.name] if old else []
    assert sorted(p.name for p in (lake.root / "t" / "p").iterdir()) == sorted(kept)
    with pytest.raises(StoreError, match="isn't committed"):
        _ = writer.committed


def test_metadata_that_is_no_json_changes_nothing(lake: Lake) -> None:
    with pytest.raises(TypeError), lake.write("t", "p") as writer:
        writer.metadata["path"] = Path("x")
    assert everything(lake) == ["t", "t/p"]


def test_the_same_content_keeps_the_version_and_nothing_grows(lake: Lake) -> None:
    def write(x: int, metadata: object) -> Version:
        with lake.write("t", "p") as writer:
            writer.write(pl.DataFrame({"x": [x]}))
            writer.metadata["of"] = metadata
        return writer.committed

    first = write(1, ("a", {1: 2}))
    files = everything(lake)
    assert write(1, ("a", {1: 2})) == first, "also with metadata that JSON spells differently"
    assert everything(lake) == files
    second, third = write(2, ["a"]), write(2, ["b"])
    assert len({first.name, second.name, third.name}) == 3
    assert lake.live("t", "p") == third
    assert lake.find("t", "p", first.name) == first


@pytest.mark.parametrize("damage", ["gone", "short", "long", "description", "no description"])
def test_writing_the_same_again_repairs_a_damaged_version(lake: Lake, damage: str) -> None:
    old = put(lake, "text")
    folder = lake.version_path(old)
    match damage:
        case "gone":
            (folder / "a").unlink()
        case "short" | "long":
            (folder / "a").write_text({"short": "te", "long": "texts"}[damage])
        case "description":
            (folder / "_version.json").write_text('{"table": "t"')
        case _:
            (folder / "_version.json").unlink()
    if damage == "description":
        with pytest.raises(StoreError, match=r"_version\.json is damaged .*materialise t p again"):
            lake.live("t", "p")
    new = put(lake, "text")
    assert new.name != old.name
    assert lake.live("t", "p") == new
    assert lake.damaged(new) == []
    assert content(lake, new) == "text"


def test_current_that_names_nothing_is_no_version(lake: Lake) -> None:
    put(lake)
    for name in ("", "20990101T000000000-abcdef", "\n"):
        (lake.root / "t" / "p" / CURRENT).write_text(name)
        assert lake.find("t", "p") is None
    assert put(lake) == lake.live("t", "p")


HOSTILE = ["", ".", "..", "../x", "a/b", "/etc", "a\\b", ".hidden", "a b", "a\n", "é", "-x", "a\0b"]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_that_leave_their_folder_are_refused(lake: Lake, name: str) -> None:
    for table, partition in ((name, "p"), ("t", name)):
        with pytest.raises(StoreError, match="can't be a table's or partition's name"):
            lake.find(table, partition)
        with pytest.raises(StoreError), lake.write(table, partition):
            raise AssertionError("never begun")
        with pytest.raises(StoreError):
            lake.drop(table, partition)
    assert not lake.root.exists()


def test_days_are_read_together_with_their_day_and_by_column_name(lake: Lake) -> None:
    for day, frame in (
        ("2013-02-08", pl.DataFrame({"x": [1], "y": ["a"]})),
        ("2013-02-09", pl.DataFrame({"y": ["b"], "z": [True], "x": [2.5]})),
    ):
        with lake.write("t", day) as writer:
            writer.write(frame)
    found = lake.scan_days("t", ["2013-02-09", "2013-02-07", "2013-02-08"]).sort("day").collect()
    assert found.columns == ["y", "z", "x", "day"]
    assert found["x"].to_list() == [1.0, 2.5]
    assert found["z"].to_list() == [None, True]
    assert [str(day) for day in found["day"]] == ["2013-02-08", "2013-02-09"]


def test_a_reader_keeps_its_version_while_others_are_written_and_dropped(lake: Lake) -> None:
    old = put(lake, "old")
    put(lake, "new")
    lake.drop("t", "p")
    assert content(lake, old) == "old"


def test_write_durably_leaves_the_old_text_when_it_fails(tmp_path: Path, monkeypatch) -> None:
    file = tmp_path / "f"
    write_durably(file, "old é")

    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fails)
    with pytest.raises(StoreError, match="the disk is full"):
        write_durably(file, "new")
    assert file.read_text(encoding="utf-8") == "old é"
    assert [*tmp_path.iterdir()] == [file]


def test_the_description_is_readable_by_others(lake: Lake) -> None:
    version = put(lake)
    tree = json.loads((lake.version_path(version) / "_version.json").read_text())
    assert tree["table"] == "t"
    assert set(tree["files"]) == {"a", "deep/er/b"}
    shutil.rmtree(lake.version_path(version))
    assert lake.find("t", "p") is None


def test_a_writer_counts_rows(tmp_path: Path) -> None:
    writer = VersionWriter(tmp_path)
    writer.write(pl.DataFrame({"x": [1, 2]}), "a")
    writer.write(pl.DataFrame({"x": []}), "b")
    assert writer.rows == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.parquet", "b.parquet"]


def test_a_files_pages_are_as_small_as_is_asked(tmp_path: Path) -> None:
    frame = pl.DataFrame({"n": range(50_000)})
    sizes = []
    for page_bytes in (1 << 20, 1024):
        writer = VersionWriter(tmp_path)
        writer.layout = {"row_group_size": 50_000, "data_page_size": page_bytes}
        writer.write(frame, f"pages of {page_bytes}")
        file = tmp_path / f"pages of {page_bytes}.parquet"
        assert pl.read_parquet(file).equals(frame)
        sizes.append(pq.ParquetFile(file).metadata.row_group(0).column(0).total_uncompressed_size)
    # Each page has a header.
    assert sizes[1] > sizes[0] + 200 * 10
