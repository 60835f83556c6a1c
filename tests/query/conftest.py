from __future__ import annotations

from collections.abc import Iterator

import pytest

from stupid_dagster.project import Project
from stupid_dagster.query import SnapshotReader
from stupid_dagster.stores.snapshots import open_snapshot


@pytest.fixture(scope="session")
def reader(flights_project: Project) -> Iterator[SnapshotReader]:
    snapshot = open_snapshot(flights_project.lake)
    with SnapshotReader(flights_project, snapshot) as opened:
        yield opened
