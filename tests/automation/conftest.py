"""What tests of sensors share: an instance, and of eviction a project."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from stupid_dagster.dagster_home import ensure_dagster_home
from stupid_dagster.project import Project


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """Yield an instance as `make` sets it up: its storage can wipe partitions."""
    home = ensure_dagster_home(tmp_path / "dagster_home")
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with dg.DagsterInstance.get() as instance:
        yield instance


@pytest.fixture
def project(own_project: Project) -> Project:
    """Return a project that keeps two windows of three days."""
    config = own_project.settings.root / "stupid.toml"
    config.write_text(
        config.read_text() + "window_days = 3\nkept_windows = 2\ngarbage_minutes = 0\n"
    )
    return Project.load(own_project.settings.root)
