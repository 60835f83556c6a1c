"""SIGKILL in the middle of a run: the last snapshot is served, and the next run is clean."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stupid_dagster.project import Project
from stupid_dagster.stores.lake import Lake
from stupid_dagster.stores.snapshots import check_files, open_snapshot, published_id
from stupid_dagster.tables import DAY_TABLES, WINDOW_TABLES
from tests.stores.lakes import abandoned

DAYS = ("2013-02-07", "2013-02-08")


def start(project: Project) -> subprocess.Popen[bytes]:
    """Start `stupid-dagster run` over the two days in a process of its own."""
    root = str(project.settings.root)
    command = [sys.executable, "-m", "stupid_dagster.cli", "--root", root, "run"]
    return subprocess.Popen(
        [*command, "--from", DAYS[0], "--to", DAYS[1]],
        # From a folder that is not the project's: `--root` alone names it.
        cwd=Path(root).parent,
        env={**os.environ, "DAGSTER_HOME": f"{root}/.dagster_home"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def versions(lake: Lake, table: str) -> int:
    """Return how many versions of a table there are, live or not."""
    return len(list((lake.root / table).glob("*/*/_version.json")))


MOMENT = "graph_database"
"""A run is killed as soon as it has written a new version of this table; tests/faults/test_kills.py
kills the stages in every kind of step."""


@pytest.mark.slow
def test_killed_runs_leave_the_snapshot_and_the_next_run_is_clean(own_project: Project) -> None:
    assert start(own_project).wait(timeout=200) == 0
    lake = own_project.lake
    served = published_id(lake)
    landing = own_project.settings.path(own_project.settings.landing)

    # One folder less, so that the run has something new to write.
    (landing / "Cancellation").rename(landing / "was Cancellation")
    kill_at(own_project, MOMENT)
    assert published_id(lake) == served
    check_files(lake, open_snapshot(lake).manifest)
    (landing / "was Cancellation").rename(landing / "Cancellation")

    (landing / "Cancellation" / f"{DAYS[1]}.parquet").unlink()
    assert start(own_project).wait(timeout=200) == 0

    manifest = open_snapshot(lake).manifest
    assert manifest.id != served
    assert sum(v.rows for v in manifest.of("documents").values()) == 1004 + 458 + 72
    check_files(lake, manifest)
    for table in (*DAY_TABLES, *WINDOW_TABLES):
        assert not any(abandoned(lake, table, partition) for partition in lake.partitions(table))


def kill_at(project: Project, table: str) -> None:
    """Start a run, and SIGKILL it when it has written a new version of a table."""
    before = versions(project.lake, table)
    process = start(project)
    deadline = time.monotonic() + 200
    while versions(project.lake, table) == before and time.monotonic() < deadline:
        assert process.poll() is None, f"the run ended before it wrote {table}"
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_the_temporary_folders_of_a_killed_writer_are_removed(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    code = (
        "import sys, time, pathlib; from stupid_dagster.stores.lake import Lake\n"
        "with Lake(pathlib.Path(sys.argv[1])).write('t', 'p') as writer:\n"
        "    (writer.path / 'half').write_text('x'); print('writing', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout and process.stdout.readline() == b"writing\n"
    assert abandoned(lake, "t", "p") == []

    process.kill()
    process.wait()
    process.stdout.close()

    assert len(abandoned(lake, "t", "p")) == 1
    assert lake.partitions("t") == []
