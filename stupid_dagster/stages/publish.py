"""Describe the window, and publish it as a snapshot."""

from __future__ import annotations

import json
from datetime import date, timedelta

from stupid_dagster import __version__
from stupid_dagster.catalog import build_catalog
from stupid_dagster.event_model import model_hash
from stupid_dagster.project import Project
from stupid_dagster.stages.evict import remove_garbage
from stupid_dagster.stages.window import window_days
from stupid_dagster.stages.written import Stage, Written
from stupid_dagster.stores.lake import VersionWriter
from stupid_dagster.stores.snapshots import Garbage, Manifest, publish
from stupid_dagster.tables import DAY_TABLES, WINDOW_TABLES


def make_catalog(project: Project, last_day: str) -> list[Written]:
    """Write the `catalog` of the window, as `catalog.json`."""
    stage = Stage(project, last_day)
    catalog = build_catalog(project.lake, project.model, window_days(project, last_day), last_day)

    def fill(writer: VersionWriter) -> None:
        text = json.dumps(catalog, ensure_ascii=False, indent=1)
        (writer.path / "catalog.json").write_text(text, encoding="utf-8")

    stage.files("catalog", fill)
    return stage.written


def publish_window(project: Project, last_day: str) -> tuple[Manifest, Garbage]:
    """Publish the window's live tables as the snapshot, then remove what nothing names.

    Raises SnapshotError when a file of any of its tables is missing or damaged.
    """
    last = date.fromisoformat(last_day)
    days = window_days(project, last_day)
    manifest = publish(
        project.lake,
        window=(last - timedelta(days=project.settings.window_days - 1), last),
        tables={
            **{table: days for table in DAY_TABLES},
            **{table: [last_day] for table in WINDOW_TABLES},
        },
        event_model=project.model.name,
        event_model_hash=model_hash(project.model),
        embedder_id=project.embedder.model_id,
        code_version=__version__,
    )
    return manifest, remove_garbage(project)
