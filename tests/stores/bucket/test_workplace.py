"""The machine's own folder of a lake in a bucket: nothing stays there that the lake has no more."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from stupid_dagster.stores.bucket.lake import BucketLake
from stupid_dagster.stores.files import open_files
from stupid_dagster.stores.garbage import collect_garbage
from tests.stores.lakes import content, everything, impatient, put

CACHE = 1 << 30
KILLED = """
import os, signal, sys
from pathlib import Path
from stupid_dagster.stores.bucket.lake import BucketLake
from stupid_dagster.stores.files import open_files

lake = BucketLake(open_files(sys.argv[1]), Path(sys.argv[2]), 1 << 30)
with lake.write("t", "killed") as writer, lake.shared("index.json") as file:
    (writer.path / "a").write_text("x" * 1000)
    file.write_text("x")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_writer_left_goes_with_the_next_write(bucket: str, tmp_path: Path) -> None:
    folder = tmp_path / "workplace"
    killed = subprocess.run([sys.executable, "-c", KILLED, bucket, str(folder)], env=os.environ)
    assert killed.returncode == -signal.SIGKILL
    lake = BucketLake(open_files(bucket), folder, CACHE)
    assert any(name.endswith("/a") for name in everything(lake))
    with lake.write("t", "at-work") as writer:
        (writer.path / "a").write_text("y")
        put(BucketLake(open_files(bucket), folder, CACHE))
        assert [name for name in everything(lake) if name.endswith("/a")] == [
            (writer.path / "a").relative_to(folder).as_posix()
        ]
    assert lake.find("t", "at-work")
    left = [path for path in folder.rglob("*") if not path.is_dir()]
    assert left == []


@pytest.mark.parametrize("looks", ["when it tidies", "when it first writes"])
def test_a_copy_of_what_another_machine_removed_goes(
    bucket: str, tmp_path: Path, looks: str
) -> None:
    reader, remover = (
        impatient(BucketLake(open_files(bucket), tmp_path / name, CACHE)) for name in "ab"
    )
    version = put(reader, "evicted", partition="2025-03-01")
    assert content(reader, version) == "evicted"
    reader.release(version)
    remover.drop("t", "2025-03-01")
    collect_garbage(remover, kept_snapshots=1, grace=timedelta(0))
    (kept,) = reader.cache.folder.glob("*.used")
    assert kept.with_suffix("").is_dir()
    again = BucketLake(open_files(bucket), tmp_path / "a", CACHE)
    if looks == "when it tidies":
        again.tidy()
    else:
        put(again, "new")
    assert not [*reader.cache.folder.iterdir()]
