"""What tests of several parts share: four days of real flights, through every stage, published."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import hypothesis
import pytest

from stupid_dagster.project import Project
from stupid_dagster.samples import write_flights

pytest_plugins = ["tests.projects", "tests.stores.s3_server"]

# How long an example takes says more of the machine than of the code.
hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")

FIRST_DAY, LAST_DAY = date(2013, 2, 6), date(2013, 2, 9)


@pytest.fixture(scope="session")
def flights_project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with the flights of 2013-02-06 to 09, the window ending on the 9th published.

    All tests share it: read only. `flights_copy` is for tests that change it.
    """
    return _shared(tmp_path_factory, "flights", _make)


@pytest.fixture
def flights_copy(flights_project: Project, tmp_path: Path) -> Project:
    """A copy of `flights_project` of the test's own."""
    root = tmp_path / "flights"
    shutil.copytree(flights_project.settings.root, root)
    return Project.load(root)


@pytest.fixture(scope="session")
def two_windows(flights_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy of `flights_project`, and beside its window that of the day before. Read only."""
    from tests.pipeline import make_window

    def make(root: Path) -> None:
        shutil.copytree(flights_project.settings.root, root)
        make_window(Project.load(root), "2013-02-08")

    return _shared(tmp_path_factory, "two_windows", make)


@pytest.fixture
def two_windows_copy(two_windows: Project, tmp_path: Path) -> Project:
    """A copy of `two_windows` of the test's own."""
    root = tmp_path / "windows"
    shutil.copytree(two_windows.settings.root, root)
    return Project.load(root)


def _shared(
    tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]
) -> Project:
    """Return a project that is made once, by the first of pytest-xdist's workers that wants it."""
    # The folder above a worker's own is the run's.
    shared = os.environ.get("PYTEST_XDIST_WORKER") is not None
    base = tmp_path_factory.getbasetemp()
    root = (base.parent if shared else base) / name
    made = root.with_name(f"{name}.made")
    with root.with_name(f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            shutil.rmtree(root, ignore_errors=True)
            make(root)
            made.touch()
    return Project.load(root)


def _make(root: Path) -> None:
    # Here, because it loads every algorithm, which most tests can do without.
    from tests.pipeline import make_day, make_window

    write_flights(root / "landing", FIRST_DAY, LAST_DAY)
    (root / "stupid.toml").write_text(
        'landing = "landing"\n'
        'data_root = "lake"\n'
        'event_model = "flights"\n'
        f"partitions_start = {FIRST_DAY}\n"
        f"partitions_end = {LAST_DAY}\n",
        encoding="utf-8",
    )
    project = Project.load(root)
    for n in range((LAST_DAY - FIRST_DAY).days + 1):
        make_day(project, str(FIRST_DAY + timedelta(days=n)))
    make_window(project, str(LAST_DAY))
