"""Two writers of one day: a step's retry, and the first try that its node lost sight of.

A Ray node that dies may leave the step's process behind, which goes on and finishes at any time
after the retry has begun. Each table must be left with one live version, with the right rows.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from polars.testing import assert_frame_equal

from stupid_dagster.project import Project
from stupid_dagster.tables import DAY_TABLES
from tests.pipeline import make_day
from tests.stores.lakes import abandoned

DAY = "2013-02-05"
IMPORTS = "import sys; from stupid_dagster.project import Project; from tests import pipeline; "
DOCUMENTS = f"{IMPORTS} pipeline.make_documents(Project.load(sys.argv[1]), {DAY!r})"
WHOLE_DAY = f"{IMPORTS} pipeline.make_day(Project.load(sys.argv[1]), {DAY!r})"


def test_an_orphan_that_finishes_last_changes_nothing(own_project: Project) -> None:
    with at_the_first_write(own_project, DOCUMENTS) as (orphan,):
        orphan.send_signal(signal.SIGSTOP)
        # Until it stands still, the lock may yet be given to it.
        os.waitpid(orphan.pid, os.WUNTRACED)
    make_day(own_project, DAY)
    retried = live(own_project)
    orphan.send_signal(signal.SIGCONT)
    assert orphan.wait(60) == 0

    assert live(own_project) == retried
    assert own_project.is_complete(DAY)


def test_two_that_write_at_once_leave_one_version(own_project: Project, tmp_path: Path) -> None:
    with at_the_first_write(own_project, WHOLE_DAY, WHOLE_DAY) as both:
        pass
    assert [process.wait(60) for process in both] == [0, 0]

    assert own_project.is_complete(DAY)
    wanted = Project.load(own_project.settings.root, {"data_root": tmp_path / "alone"})
    make_day(wanted, DAY)
    for table in live(wanted):
        assert_frame_equal(own_project.lake.read(table, DAY), wanted.lake.read(table, DAY))
        assert not abandoned(own_project.lake, table, DAY)


@contextmanager
def at_the_first_write(project: Project, *programs: str) -> Iterator[list[subprocess.Popen]]:
    """Start processes, and yield them when all wait for the lake's lock; then they go on."""
    lake = project.lake
    with lake.exclusive():
        command = [sys.executable, "-c"]
        root = str(project.settings.root)
        started = [subprocess.Popen([*command, program, root]) for program in programs]
        try:
            end = time.monotonic() + 120
            while waiting_for(lake.root) < len(started):
                assert all(process.poll() is None for process in started)
                assert time.monotonic() < end
                time.sleep(0.05)
            yield started
        except BaseException:
            for process in started:
                process.kill()
            raise


def waiting_for(folder: Path) -> int:
    """Return how many processes wait for a folder's lock (proc_locks(5): `->` are blocked)."""
    inode = f":{os.stat(folder).st_ino} "
    lines = Path("/proc/locks").read_text().splitlines()
    return sum("->" in line and inode in line for line in lines)


def live(project: Project) -> dict[str, str]:
    """Return the names of the live versions of the day's tables."""
    found = {table: project.lake.find(table, DAY) for table in DAY_TABLES}
    return {table: version.name for table, version in found.items() if version}
