"""Publishers that are killed at any step, and evictions between a window and its publication."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from stupid_dagster.errors import ConflictError
from stupid_dagster.stores.garbage import collect_garbage
from stupid_dagster.stores.lake import Lake
from stupid_dagster.stores.ledger import FOLDER, POINTER
from stupid_dagster.stores.snapshots import check_files, open_snapshot, published_id, snapshot_ids
from tests.stores.lakes import published, put

TABLES = {"documents": ["2013-02-08"]}

# Each call by which publishing changes the disk, before and after it, is a moment to be killed at.
KILLED = """
import os, sys
from pathlib import Path
from stupid_dagster.stores.lake import Lake
from tests.stores.lakes import kill_at, published, put

for moment in range(1, 500):
    lake = Lake(Path(sys.argv[1]) / str(moment))
    put(lake, table="documents", partition="2013-02-08")
    published(lake, {"documents": ["2013-02-08"]})
    if not (child := os.fork()):
        kill_at(moment, ("mkdir", "fsync", "replace", "close"))
        published(lake, {"documents": ["2013-02-08"]})
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(moment, status, file=sys.stderr, flush=True)
    if status == 0:
        break
"""


def test_a_publisher_killed_at_any_step_leaves_a_whole_snapshot_and_no_rest(tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)], capture_output=True, text=True, check=True
    ).stderr.split()
    statuses = dict(zip(map(int, told[::2]), map(int, told[1::2]), strict=True))
    last = max(statuses)
    assert statuses == dict.fromkeys(range(1, last), -signal.SIGKILL) | {last: 0}
    outcomes, strays = [], 0
    for moment in statuses:
        lake = Lake(tmp_path / str(moment))
        strays += len([*lake.root.glob(".*"), *(lake.root / FOLDER).glob(".*")])
        manifest = open_snapshot(lake).manifest
        check_files(lake, manifest)
        outcomes.append(manifest.id == snapshot_ids(lake)[0])

        published(lake, TABLES)
        collect_garbage(lake, kept_snapshots=1, grace=timedelta(0))
        assert snapshot_ids(lake) == [published_id(lake)]
        assert {p.name for p in lake.root.iterdir()} == {POINTER, FOLDER, "documents"}
        assert len([*(lake.root / FOLDER).iterdir()]) == 1
    turned = outcomes.index(False)
    assert outcomes == [True] * turned + [False] * (last - turned), "one step turns old to new"
    assert strays


def test_what_was_dropped_meanwhile_is_not_published(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    version = put(lake, table="documents", partition="2013-02-08")
    manifest = published(lake, TABLES)

    class Evicted(Lake):
        """A lake of which a day is evicted between a window's last look and its publication."""

        def find(self, table: str, partition: str, name: str | None = None):
            super().drop(table, partition)
            return version

    with pytest.raises(ConflictError, match=r"documents/2013-02-08.*make the window again"):
        published(Evicted(tmp_path), TABLES)
    assert published_id(lake) == manifest.id
