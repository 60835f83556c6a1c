from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import pytest

from stupid_dagster.project import Project
from stupid_dagster.query import SnapshotReader
from stupid_dagster.samples.gaming import write_gaming
from stupid_dagster.stores.snapshots import open_snapshot

FIRST, DAYS, EVENTS = date(2025, 3, 1), 3, 3000


@pytest.fixture(scope="session")
def gaming_project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with three small days of gaming, published."""
    # Here, because it loads every algorithm.
    from tests.pipeline import make_day, make_window

    root = tmp_path_factory.mktemp("gaming")
    last = FIRST + timedelta(days=DAYS - 1)
    write_gaming(root / "landing", FIRST, DAYS, EVENTS, seed=11)
    (root / "stupid.toml").write_text(
        'landing = "landing"\ndata_root = "lake"\nevent_model = "gaming"\n'
        f"partitions_start = {FIRST}\npartitions_end = {last}\npattern_min_actors = 5\n",
        encoding="utf-8",
    )
    project = Project.load(root)
    for n in range(DAYS):
        make_day(project, str(FIRST + timedelta(days=n)))
    make_window(project, str(last))
    return project


@pytest.fixture(scope="session")
def readers(
    flights_project: Project, gaming_project: Project
) -> Iterator[dict[str, SnapshotReader]]:
    projects = {"flights": flights_project, "gaming": gaming_project}
    opened = {
        name: SnapshotReader(project, open_snapshot(project.lake))
        for name, project in projects.items()
    }
    yield opened
    for reader in opened.values():
        reader.close()
