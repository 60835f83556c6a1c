"""Projects with landing files and nothing materialised, for tests that run the pipeline."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pytest

from stupid_dagster.project import Project
from stupid_dagster.samples import write_flights


@pytest.fixture(scope="session")
def landing_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of landing files, 4 to 9 February 2013; copy it, don't change it."""
    folder = tmp_path_factory.mktemp("landing")
    write_flights(folder, date(2013, 2, 4), date(2013, 2, 9))
    return folder


def make_project(root: Path, landing_files: Path) -> Project:
    """Return a project with landing files of its own in an empty folder."""
    shutil.copytree(landing_files, root / "landing")
    (root / "stupid.toml").write_text(
        'landing = "landing"\ndata_root = "lake"\nevent_model = "flights"\n'
        "partitions_start = 2013-01-11\npartitions_end = 2013-02-09\n"
    )
    return Project.load(root)


@pytest.fixture
def own_project(tmp_path: Path, landing_files: Path) -> Project:
    """Return a project with nothing materialised, for one test alone."""
    (tmp_path / "project").mkdir()
    return make_project(tmp_path / "project", landing_files)


@pytest.fixture(scope="module")
def module_project(tmp_path_factory: pytest.TempPathFactory, landing_files: Path) -> Project:
    """Return a project with nothing materialised, for the tests of one module."""
    return make_project(tmp_path_factory.mktemp("project"), landing_files)
