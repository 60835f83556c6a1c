"""Copies of versions on this machine: whole, bounded, fetched once, never taken from a reader."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from stupid_dagster.errors import StoreError
from stupid_dagster.stores.cache import VersionCache
from stupid_dagster.stores.files import Files, LocalFiles, open_files
from stupid_dagster.stores.stamps import FileStamp, stamp_and_sync

KILOBYTE = 1000


class Counted(LocalFiles):
    """Files that count what is downloaded of them."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.downloads: list[str] = []

    def download(self, key: str, file: Path) -> None:
        self.downloads.append(key)
        super().download(key, file)


@pytest.fixture
def files(tmp_path: Path) -> Counted:
    return Counted(tmp_path / "lake")


@pytest.fixture
def cache(tmp_path: Path) -> VersionCache:
    return VersionCache(tmp_path / "cache", 10 * KILOBYTE)


def version(files: Files, name: str, text: str = "x", size: int = KILOBYTE) -> dict[str, FileStamp]:
    """Write a version of two files, together of a size, and return their stamps."""
    stamps = {}
    for file in ("a", "deep/er/b"):
        data = (text * size)[: size // 2].encode()
        files.replace(f"t/p/{name}/{file}", data)
        scratch = Path(os.environ["TMPDIR"]) / "stamped"
        scratch.write_bytes(data)
        stamps[file] = stamp_and_sync(scratch)
    return stamps


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))


def content(folder: Path) -> Mapping[str, str]:
    return {
        file.relative_to(folder).as_posix(): file.read_text()[:1]
        for file in folder.rglob("*")
        if file.is_file()
    }


def kept(cache: VersionCache) -> list[str]:
    """Return the names of the versions that are there, without their digests."""
    return sorted(path.name.split("-")[2] for path in cache.folder.iterdir() if not path.suffix)


def test_a_version_is_fetched_once(files: Counted, cache: VersionCache) -> None:
    wanted = version(files, "v1")
    folder = cache.fetch(files, "t/p/v1", wanted)
    assert content(folder) == {"a": "x", "deep/er/b": "x"}
    again = VersionCache(cache.folder, cache.most_bytes)
    assert again.fetch(files, "t/p/v1", wanted) == folder
    assert sorted(files.downloads) == ["t/p/v1/a", "t/p/v1/deep/er/b"]


def test_a_version_comes_from_a_bucket(bucket: str, cache: VersionCache) -> None:
    files = open_files(bucket)
    folder = cache.fetch(files, "t/p/v1", version(files, "v1", "é"))
    assert content(folder) == {"a": "é", "deep/er/b": "é"}


def test_two_lakes_have_versions_of_their_own(tmp_path: Path, cache: VersionCache) -> None:
    one, two = LocalFiles(tmp_path / "one"), LocalFiles(tmp_path / "two")
    first = cache.fetch(one, "t/p/v1", version(one, "v1", "1"))
    second = cache.fetch(two, "t/p/v1", version(two, "v1", "2"))
    assert content(first) == {"a": "1", "deep/er/b": "1"}
    assert content(second) == {"a": "2", "deep/er/b": "2"}


@pytest.mark.parametrize("damage", ["shorter", "other bytes", "missing"])
def test_what_is_damaged_is_fetched_again(files: Counted, cache: VersionCache, damage: str) -> None:
    wanted = version(files, "v1")
    folder = cache.fetch(files, "t/p/v1", wanted)
    if damage == "shorter":
        (folder / "a").write_text("x")
    elif damage == "other bytes":
        (folder / "a").write_text("y" * wanted["a"].size)
    else:
        (folder / "a").unlink()
    files.downloads.clear()
    assert cache.fetch(files, "t/p/v1", wanted) == folder
    assert content(folder) == {"a": "x", "deep/er/b": "x"}
    assert files.downloads == ["t/p/v1/a"]


def test_what_is_damaged_in_the_lake_is_told(files: Counted, cache: VersionCache) -> None:
    wanted = version(files, "v1")
    files.replace("t/p/v1/a", b"y" * wanted["a"].size)
    with pytest.raises(StoreError, match=r"t/p/v1/a is damaged"):
        cache.fetch(files, "t/p/v1", wanted)
    assert kept(cache) == []
    files.remove(["t/p/v1/a"])
    with pytest.raises(FileNotFoundError):
        cache.fetch(files, "t/p/v1", wanted)
    # Nothing of it is in use: it makes room for one that takes all of it.
    cache.fetch(files, "t/p/v2", version(files, "v2", size=12 * KILOBYTE))
    assert [path for path in cache.folder.iterdir() if "v1" in path.name] == []


def test_what_was_used_longest_ago_goes_first(files: Counted, cache: VersionCache) -> None:
    stamps = {name: version(files, name, size=4 * KILOBYTE) for name in ("v1", "v2", "v3")}
    for n, name in enumerate(("v1", "v2", "v1")):
        cache.fetch(files, f"t/p/{name}", stamps[name])
        cache.release(files, f"t/p/{name}")
        (used,) = cache.folder.glob(f"*{name}*.used")
        os.utime(used, (n, n))
    cache.fetch(files, "t/p/v3", stamps["v3"])
    assert kept(cache) == ["v1", "v3"]
    assert not [*cache.folder.glob("*v2*")]


def test_a_readers_version_stays(files: Counted, cache: VersionCache) -> None:
    stamps = {name: version(files, name, size=6 * KILOBYTE) for name in ("v1", "v2", "v3")}
    cache.fetch(files, "t/p/v1", stamps["v1"])
    cache.fetch(files, "t/p/v1", stamps["v1"])
    cache.release(files, "t/p/v1")
    cache.fetch(files, "t/p/v2", stamps["v2"])
    assert kept(cache) == ["v1", "v2"]  # Past the bound: all of it is read.
    cache.release(files, "t/p/v1")
    cache.fetch(files, "t/p/v3", stamps["v3"])
    assert kept(cache) == ["v2", "v3"]


def test_what_is_gone_elsewhere_goes_here_unless_it_is_read(
    tmp_path: Path, files: Counted, cache: VersionCache
) -> None:
    other = Counted(tmp_path / "other")
    for lake in (files, other):
        for name in ("v1", "v2"):
            cache.fetch(lake, f"t/p/{name}", version(lake, name))
    for lake, name in ((files, "v2"), (other, "v1"), (other, "v2")):
        cache.release(lake, f"t/p/{name}")
    asked: list[str] = []

    def is_gone(address: str) -> bool:
        asked.append(address)
        return True

    cache.sweep(files, is_gone)
    assert sorted(asked) == ["t/p/v1", "t/p/v2"]
    assert kept(cache) == ["v1", "v1", "v2"]  # Two of the other lake, one that is read.
    cache.release(files, "t/p/v1")
    cache.sweep(files, lambda address: address == "t/p/v1")
    assert kept(cache) == ["v1", "v2"]
    assert len([*cache.folder.glob("*.used")]) == 2


OTHER = """
import os, signal, sys, time
from pathlib import Path
from stupid_dagster.stores.cache import VersionCache
from stupid_dagster.stores.files import LocalFiles
from stupid_dagster.stores.stamps import FileStamp

class Slow(LocalFiles):
    def download(self, key, file):
        with Path(sys.argv[5]).open("a") as log:
            log.write(key + "\\n")
        time.sleep(0.3)
        super().download(key, file)
        if sys.argv[4] == "killed" and key.endswith("/a"):
            os.kill(os.getpid(), signal.SIGKILL)

cache, files = VersionCache(Path(sys.argv[1]), 10_000), Slow(Path(sys.argv[2]))
wanted = {name: FileStamp(500, sys.argv[3]) for name in ("a", "deep/er/b")}
print("ready", flush=True)
sys.stdin.readline()
print(cache.fetch(files, "t/p/v1", wanted), flush=True)
sys.stdin.readline()
"""


def start(files: Files, cache: VersionCache, wanted: Mapping[str, FileStamp], how: str):
    assert files.folder is not None
    log = cache.folder.with_name("log")
    arguments = [cache.folder, files.folder, wanted["a"].checksum, how, log]
    return subprocess.Popen(
        [sys.executable, "-c", OTHER, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def heard(other: subprocess.Popen[str]) -> str:
    """Return the next line that a process prints."""
    assert other.stdout is not None
    return other.stdout.readline().strip()


def say(other: subprocess.Popen[str]) -> None:
    """Let a process go on."""
    assert other.stdin is not None
    other.stdin.write("\n")
    other.stdin.flush()


def test_processes_fetch_once_and_what_one_uses_stays(files: Counted, cache: VersionCache) -> None:
    wanted = version(files, "v1")
    others = [start(files, cache, wanted, "lives") for _ in range(3)]
    assert {heard(other) for other in others} == {"ready"}
    for other in others:
        say(other)
    folders = {heard(other) for other in others}
    (folder,) = map(Path, folders)
    assert content(folder) == {"a": "x", "deep/er/b": "x"}
    log = cache.folder.with_name("log")
    assert sorted(log.read_text().split()) == ["t/p/v1/a", "t/p/v1/deep/er/b"]
    cache.fetch(files, "t/p/v2", version(files, "v2", size=10 * KILOBYTE))
    assert kept(cache) == ["v1", "v2"]
    for other in others:
        other.communicate("\n")
    cache.fetch(files, "t/p/v3", version(files, "v3"))
    assert kept(cache) == ["v2", "v3"]


def test_a_killed_process_leaves_no_half_version(files: Counted, cache: VersionCache) -> None:
    wanted = version(files, "v1")
    other = start(files, cache, wanted, "killed")
    other.communicate("\n")
    assert other.returncode == -signal.SIGKILL
    assert kept(cache) == []
    folder = cache.fetch(files, "t/p/v1", wanted)
    assert content(folder) == {"a": "x", "deep/er/b": "x"}
    assert not [*cache.folder.glob("*.part")]


def test_threads_fetch_and_release_beside_each_other(files: Counted, cache: VersionCache) -> None:
    stamps = {n: version(files, f"v{n}", str(n), size=4 * KILOBYTE) for n in range(4)}
    errors: list[BaseException] = []

    def work(n: int) -> None:
        try:
            for k in range(20):
                which = (n + k) % 4
                folder = cache.fetch(files, f"t/p/v{which}", stamps[which])
                assert content(folder) == {"a": str(which), "deep/er/b": str(which)}
                cache.release(files, f"t/p/v{which}")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    # One more fetch, of what nobody has any more, leaves the bound kept.
    cache.fetch(files, "t/p/v9", version(files, "v9", size=4 * KILOBYTE))
    assert len(kept(cache)) <= 2
