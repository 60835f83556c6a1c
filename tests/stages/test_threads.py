"""A day's files are the same, byte by byte, however many CPUs the worker has that makes it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from stupid_dagster.project import Project
from tests.projects import make_project

DAY = "2013-02-05"
PROGRAM = f"import sys; from stupid_dagster.project import Project; \
from tests.pipeline import make_day; make_day(Project.load(sys.argv[1]), {DAY!r})"


def test_the_number_of_threads_changes_nothing(tmp_path: Path, landing_files: Path) -> None:
    """Else a retry elsewhere would make another version of what is there; sums of floats did."""
    made = [checksums(tmp_path / str(threads), landing_files, threads) for threads in (1, 4)]
    assert made[0].keys() > {"documents", "metrics", "activity", "vectors"}
    assert made[0] == made[1]


def checksums(root: Path, landing_files: Path, threads: int) -> dict[str, dict[str, str]]:
    """Make the day in a process with so many threads; returns its tables' files' checksums."""
    root.mkdir()
    project: Project = make_project(root, landing_files)
    environment = {**os.environ, "POLARS_MAX_THREADS": str(threads)}
    subprocess.run(
        [sys.executable, "-c", PROGRAM, str(root)], env=environment, check=True, capture_output=True
    )
    live = {table: project.lake.live(table, DAY) for table in project.lake.tables()}
    return {
        table: {name: stamp.checksum for name, stamp in version.files.items()}
        for table, version in live.items()
    }
