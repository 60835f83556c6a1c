"""What both kinds of storage promise: the same tests for a folder and for a bucket."""

from __future__ import annotations

import errno
import fcntl
import multiprocessing
import os
import secrets
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stupid_dagster.errors import StoreError
from stupid_dagster.stores.files import Files, LocalFiles, checked_key, open_files

WRITERS = 20


@pytest.fixture(params=["folder", "bucket"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Files:
    """An empty storage of each kind."""
    if request.param == "folder":
        return open_files(tmp_path / "lake")
    return open_files(request.getfixturevalue("bucket"))


@pytest.fixture
def local(tmp_path: Path) -> LocalFiles:
    return LocalFiles(tmp_path / "lake")


def keys_below(files: Files, prefix: str = "") -> list[str]:
    return sorted(entry.key for entry in files.below(prefix))


def test_a_file_is_created_once(files: Files) -> None:
    assert files.create("t/p/CURRENT", b"mine")
    assert not files.create("t/p/CURRENT", b"theirs")
    assert files.read("t/p/CURRENT").data == b"mine"


def test_a_file_is_replaced(files: Files) -> None:
    assert files.replace("t/p/CURRENT", b"first")
    assert files.replace("t/p/CURRENT", b"second")
    assert files.read("t/p/CURRENT").data == b"second"


def test_a_tag_tells_a_change(files: Files) -> None:
    files.create("k", b"first")
    old = files.read("k")
    assert files.read_unless("k", old.tag) is None
    assert files.replace("k", b"second", old.tag)
    assert not files.replace("k", b"third", old.tag)
    new = files.read_unless("k", old.tag)
    assert new is not None and new.data == b"second" and new.tag != old.tag


def test_what_is_gone_has_no_tag(files: Files) -> None:
    files.create("k", b"first")
    tag = files.read("k").tag
    files.remove(["k"])
    assert not files.replace("k", b"second", tag)
    assert files.entry("k") is None
    with pytest.raises(FileNotFoundError):
        files.read_unless("k", tag)
    assert files.create("k", b"third")


def test_what_is_missing_is_said_to_be(files: Files, tmp_path: Path) -> None:
    files.create("a/b", b"")
    for key in ("a", "a/c", "x/y/z", "a/b/c"):
        with pytest.raises(FileNotFoundError, match=key):
            files.read(key)
        with pytest.raises(FileNotFoundError):
            files.footer(key)
        with pytest.raises(FileNotFoundError):
            files.download(key, tmp_path / "file")
        assert files.entry(key) is None
    assert not (tmp_path / "file").exists()
    files.remove(["a/c", "x/y/z"])
    assert [*files.below("x")] == [] == files.names("x")


def test_an_entry_has_size_and_time(files: Files) -> None:
    files.create("a/b", b"four")
    entry = files.entry("a/b")
    assert entry is not None
    assert (entry.key, entry.size) == ("a/b", 4)
    assert entry.changed.utcoffset() == timedelta()
    assert abs(datetime.now(UTC) - entry.changed) < timedelta(minutes=1)


def test_files_and_folders_are_listed(files: Files) -> None:
    for key in ("t/p/v/a", "t/p/v/deep/er/b", "t/p/CURRENT", "t/q/CURRENT", "tt/p/CURRENT", "S"):
        files.create(key, b"x")
    assert keys_below(files, "t/p") == ["t/p/CURRENT", "t/p/v/a", "t/p/v/deep/er/b"]
    assert len(keys_below(files)) == 6
    assert sorted(entry.key for entry in files.everything()) == keys_below(files)
    assert files.names("") == ["t", "tt"]
    assert files.names("t") == ["p", "q"]
    files.remove(key for key in keys_below(files, "t/p"))
    assert keys_below(files, "t") == ["t/q/CURRENT"]
    # SeaweedFS keeps empty folders for a while.
    assert "q" in files.names("t")


def test_a_folder_goes_up_and_comes_down(files: Files, tmp_path: Path) -> None:
    contents = {"a": b"", "deep/er/b": os.urandom(20 << 20), "deep/ü %41+": b"x" * 1000}
    for name, data in contents.items():
        (tmp_path / "up" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "up" / name).write_bytes(data)
    files.upload(tmp_path / "up", "t/p/v")
    assert keys_below(files) == sorted(f"t/p/v/{name}" for name in contents)
    for name, data in contents.items():
        files.download(f"t/p/v/{name}", tmp_path / "down" / name)
        assert (tmp_path / "down" / name).read_bytes() == data
    files.upload(tmp_path / "up", "")
    assert files.read("a").data == b""
    assert len([path for path in (tmp_path / "down").rglob("*") if path.is_file()]) == 3


@pytest.mark.parametrize("name", ["part", "a b/ü%41+", "q?x#y*[1]{2}", "day=2013-02-09"])
def test_parquet_is_read(files: Files, name: str, tmp_path: Path) -> None:
    frame = pl.DataFrame({"n": range(1000), "s": [str(n) for n in range(1000)]})
    frame.write_parquet(tmp_path / "file", row_group_size=100)
    files.create(f"{name}.parquet", (tmp_path / "file").read_bytes())
    few = files.scan_parquet(f"{name}.parquet").filter(pl.col("n") == 500).collect()
    assert few.equals(frame.slice(500, 1))
    footer = files.footer(f"{name}.parquet")
    assert (footer.num_rows, footer.num_row_groups) == (1000, 10)


def test_what_is_no_parquet_is_said_to_be(files: Files) -> None:
    files.create("k.parquet", b"no such thing, but long enough")
    with pytest.raises(StoreError, match=r"k\.parquet is no Parquet file"):
        files.footer("k.parquet")


parts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30)
keys = st.lists(parts, min_size=1, max_size=4).map("/".join)


def is_usable(key: str) -> bool:
    try:
        return bool(checked_key(key))
    except StoreError:
        return False


@settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(key=keys.filter(is_usable), first=st.binary(max_size=3000), second=st.binary(max_size=3000))
def test_any_key_holds_any_bytes(files: Files, key: str, first: bytes, second: bytes) -> None:
    # Each in a folder of its own: where SeaweedFS has had a folder, it takes no file for a while.
    folder = secrets.token_hex(6)
    key = f"{folder}/{key}"
    try:
        assert files.create(key, first)
        stored = files.read(key)
        assert stored.data == first
        entry = files.entry(key)
        assert entry is not None and (entry.key, entry.size) == (key, len(first))
        assert keys_below(files, folder) == [key]
        assert files.names(folder) == key.split("/")[1:-1][:1]
        assert folder in files.names("")
        assert files.replace(key, second, stored.tag)
        assert files.read(key).data == second
        assert (files.read_unless(key, stored.tag) is None) == (first == second)
    finally:
        files.remove([key])
    assert keys_below(files, folder) == []


@pytest.mark.parametrize(
    "key",
    [
        *("", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "a\0b", "a\nb", "a\\b", "x" * 300),
        *("a/" * 500 + "a", ".CURRENT.0a1b2c", "a\ud800"),
    ],
)
def test_other_keys_are_refused(files: Files, key: str) -> None:
    with pytest.raises(StoreError, match="can't be a file's key"):
        files.create(key, b"")
    with pytest.raises(StoreError, match="can't be a file's key"):
        files.read(key)


def race(work: Callable[[int], bool]) -> list[int]:
    """Return the threads, of 20 that begin together, whose work returned True."""
    start = threading.Barrier(WRITERS)
    outcomes: list[bool | BaseException] = [False] * WRITERS

    def run(n: int) -> None:
        start.wait()
        try:
            outcomes[n] = work(n)
        except BaseException as error:
            outcomes[n] = error

    threads = [threading.Thread(target=run, args=(n,)) for n in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    return [n for n in range(WRITERS) if outcomes[n]]


def test_one_of_many_creates(files: Files) -> None:
    winners = race(lambda n: files.create("a/k", b"%d" % n))
    assert len(winners) == 1
    assert files.read("a/k").data == b"%d" % winners[0]


def test_one_of_many_replaces(files: Files) -> None:
    files.create("k", b"old")
    tag = files.read("k").tag
    winners = race(lambda n: files.replace("k", b"%d" % n, tag))
    assert len(winners) == 1
    assert files.read("k").data == b"%d" % winners[0]


def count_up(files: Files, name: str, times: int) -> None:
    for n in range(times):
        while True:
            stored = files.read("counter")
            lines = stored.data + f"{name}-{n}\n".encode()
            if files.replace("counter", lines, stored.tag):
                break


def test_no_count_is_lost_between_threads(files: Files) -> None:
    files.create("counter", b"")
    threads = [threading.Thread(target=count_up, args=(files, f"thread {n}", 5)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = files.read("counter").data.splitlines()
    assert len(lines) == len(set(lines)) == 20


def test_no_count_is_lost_between_processes(local: LocalFiles) -> None:
    local.create("counter", b"")
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=count_up, args=(local, f"process {n}", 100)) for n in range(3)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    lines = local.read("counter").data.splitlines()
    assert len(lines) == len(set(lines)) == 300


def test_a_reader_sees_old_bytes_or_new_ones(files: Files) -> None:
    contents = {bytes([n]) * (1 << 18) for n in range(4)}
    files.create("k", next(iter(contents)))
    done = threading.Event()
    seen: list[bytes] = []

    def read() -> None:
        while not done.is_set():
            seen.append(files.read("k").data)

    reader = threading.Thread(target=read)
    reader.start()
    for content in [*contents] * 5:
        files.replace("k", content)
    done.set()
    reader.join()
    assert seen and set(seen) <= contents


def test_a_file_is_created_once_where_there_are_no_hard_links(
    local: LocalFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("os.link", refuse)
    winners = race(lambda n: local.create("a/k", b"%d" % n))
    assert len(winners) == 1
    assert local.read("a/k").data == b"%d" % winners[0]
    assert keys_below(local) == ["a/k"]


def test_the_folders_lock_is_the_callers(local: LocalFiles) -> None:
    local.create("k", b"1")
    folder = os.open(local.folder, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    assert local.create("l", b"")
    assert local.replace("k", b"2", local.read("k").tag)
    local.remove(["l"])
    os.close(folder)


def test_folders_come_and_go_beside_writers(local: LocalFiles) -> None:
    local.create("t/x", b"")

    def work(n: int) -> bool:
        for k in range(30):
            assert local.create(f"t/{n % 3}/{n}-{k}", b"x")
            local.remove([f"t/{n % 3}/{n}-{k}"])
        return False

    race(work)
    assert keys_below(local) == ["t/x"]
    assert local.names("t") == []


def test_a_failed_write_leaves_nothing(local: LocalFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    local.create("k", b"old")

    def fails(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", fails)
    for write in (local.create, local.replace):
        with pytest.raises(StoreError, match="the disk is full"):
            write("k", b"new")
    assert local.read("k").data == b"old"
    assert [*local.folder.iterdir()] == [local.folder / "k"]


def test_nothing_is_written_below_a_file(local: LocalFiles) -> None:
    local.create("a", b"")
    for write in (local.create, local.replace):
        with pytest.raises(StoreError, match="is a file"):
            write("a/b/c", b"")
    local.create("t/p", b"")
    with pytest.raises(StoreError, match="can't be read or written"):
        local.replace("t", b"")


def test_locations(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert open_files("lake").folder == tmp_path / "lake"
    assert open_files(tmp_path).url == str(tmp_path)
    assert open_files(bucket).folder is None
    assert open_files(f"{bucket}/").url == bucket
    assert open_files("s3://only-a-bucket").url == "s3://only-a-bucket"
    for wrong in ("gs://b/p", "file:///tmp", Path("s3://b/p")):
        with pytest.raises(StoreError, match="can't be written to"):
            open_files(wrong)
    for wrong in ("s3://", "s3:///p", "s3://b p/q"):
        with pytest.raises(StoreError, match="is no URL of a bucket"):
            open_files(wrong)
