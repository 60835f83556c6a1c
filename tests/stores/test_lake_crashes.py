"""Writers that are killed, and readers, writers and collectors at the same time."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from stupid_dagster.stores.garbage import collect_garbage
from stupid_dagster.stores.inventory import CURRENT
from stupid_dagster.stores.lake import Lake
from tests.stores.lakes import abandoned, content, everything, put

NOW = timedelta(0)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


# Each step of a write, before and after it, is a moment to be killed at.
KILLED = """
import os, sys
from pathlib import Path
from stupid_dagster.stores.lake import Lake
from tests.stores.lakes import kill_at

def write(lake, text):
    with lake.write("t", "p") as writer:
        for name in ("a", "deep/er/b"):
            (writer.path / name).parent.mkdir(parents=True, exist_ok=True)
            (writer.path / name).write_text(text)

base = Path(sys.argv[1])
for moment in range(1, 500):
    lake = Lake(base / str(moment))
    write(lake, "old")
    if not (child := os.fork()):
        kill_at(moment, ("mkdir", "fsync", "rename", "replace", "close", "rmdir", "unlink"))
        write(lake, "new")
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(moment, status, flush=True)
    if status == 0:
        break
"""


def test_a_writer_killed_at_any_step_leaves_a_whole_version(tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)], capture_output=True, text=True, check=True
    ).stdout.split()
    statuses = dict(zip(map(int, told[::2]), map(int, told[1::2]), strict=True))
    last = max(statuses)
    assert statuses == dict.fromkeys(range(1, last), -signal.SIGKILL) | {last: 0}
    assert last > 20
    outcomes, found = [], []
    for moment in statuses:
        lake = Lake(tmp_path / str(moment))
        version = lake.live("t", "p")
        assert lake.damaged(version) == []
        outcomes.append(content(lake, version))
        left = abandoned(lake, "t", "p")
        assert len(left) <= 1
        found.append(bool(left))
        assert len(left) == len(list((lake.root / "t" / "p").glob(".writing-*")))

        collect_garbage(lake, kept_snapshots=1, grace=NOW)
        names = {p.name for p in (lake.root / "t" / "p").iterdir()}
        assert names == {CURRENT, version.name}, "nothing is left of the killed one"
        assert content(lake, put(lake, "next")) == "next"
    turned = outcomes.index("new")
    assert outcomes == ["old"] * turned + ["new"] * (last - turned), "one step turns old to new"
    assert any(found) and not found[-1]


def test_the_folder_of_a_writer_at_work_is_neither_abandoned_nor_garbage(lake: Lake) -> None:
    with lake.write("t", "p") as writer:
        (writer.path / "a").write_text("x")
        assert abandoned(lake, "t", "p") == []
        assert collect_garbage(lake, kept_snapshots=1, grace=NOW).versions == 0
        assert (writer.path / "a").exists()
    assert lake.live("t", "p") == writer.committed


def test_what_has_no_writer_any_more_is_abandoned(lake: Lake) -> None:
    put(lake)
    left = lake.root / "t" / "p" / ".writing-20130209T101112345-1f2e3d"
    left.mkdir()
    (left / "half").write_bytes(b"x" * 100)
    stray = lake.root / "t" / "p" / f".{CURRENT}.1f2e3d"
    stray.write_text("half a na")
    assert abandoned(lake, "t", "p") == [left]
    garbage = collect_garbage(lake, kept_snapshots=1, grace=timedelta(days=1))
    assert (garbage.versions, garbage.bytes) == (1, 100)
    assert not left.exists() and not stray.exists()
    assert lake.find("t", "p")


WRITING = """
import sys
from pathlib import Path
from stupid_dagster.stores.lake import Lake
for n in range(int(sys.argv[2])):
    with Lake(Path(sys.argv[1])).write("t", "p") as writer:
        for name in ("a", "deep/er/b"):
            (writer.path / name).parent.mkdir(parents=True, exist_ok=True)
            (writer.path / name).write_text(f"process {n}")
"""


def test_readers_see_whole_versions_while_threads_and_processes_rewrite(lake: Lake) -> None:
    put(lake, "first")
    process = subprocess.Popen([sys.executable, "-c", WRITING, str(lake.root), "15"])
    seen: set[str] = set()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            version = lake.live("t", "p")
            assert lake.damaged(version) == []
            seen.add(content(lake, version))

    def rewrite(name: str) -> None:
        for n in range(15):
            put(lake, f"{name} {n}")

    with ThreadPoolExecutor() as pool:
        readers = [pool.submit(read) for _ in range(2)]
        writers = [pool.submit(rewrite, name) for name in ("one", "two")]
        for writer in writers:
            writer.result()
        assert process.wait() == 0
        done.set()
        for reader in readers:
            reader.result()
    assert len(seen) > 5
    assert content(lake, lake.live("t", "p")) in {"one 14", "two 14", "process 14"}
    assert len(list((lake.root / "t" / "p").glob("*/_version.json"))) == 1 + 30 + 15
    assert abandoned(lake, "t", "p") == []


def test_garbage_collection_never_takes_what_is_being_written(lake: Lake) -> None:
    """No grace at all: only the locks keep the collection from what is about to be named."""
    done = threading.Event()

    def collect() -> int:
        removed = 0
        while not done.is_set():
            removed += collect_garbage(lake, kept_snapshots=1, grace=NOW).versions
        return removed

    def rewrite(partition: str) -> None:
        for n in range(20):
            version = put(lake, f"{n}", partition=partition)
            assert lake.live("t", partition) == version
            assert content(lake, version) == f"{n}"
            if n % 5 == 4:
                lake.drop("t", partition)

    with ThreadPoolExecutor() as pool:
        collector = pool.submit(collect)
        writers = [pool.submit(rewrite, partition) for partition in "pqr"]
        failures = [writer.exception() for writer in writers]
        done.set()
        assert failures == [None] * 3
        assert collector.result() > 0
    collect_garbage(lake, kept_snapshots=1, grace=NOW)
    assert everything(lake) == ["t"]
