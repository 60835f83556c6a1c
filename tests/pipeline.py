"""The pipeline's stages, run one after the other without Dagster."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl

from stupid_dagster.project import Project
from stupid_dagster.stages.anomalies import make_anomalies
from stupid_dagster.stages.clusters import make_clusters, make_features
from stupid_dagster.stages.day import make_connections, make_documents, make_vectors
from stupid_dagster.stages.digest import make_digest
from stupid_dagster.stages.event_clusters import make_event_clusters
from stupid_dagster.stages.graph import make_graph, make_graph_database, make_graph_knowledge
from stupid_dagster.stages.labels import make_labels
from stupid_dagster.stages.patterns import make_cooccurrence, make_patterns
from stupid_dagster.stages.publish import make_catalog, publish_window
from stupid_dagster.stages.search_index import make_search_index
from stupid_dagster.stages.trends import make_history, make_trends
from stupid_dagster.stages.window import make_window_days, open_window
from stupid_dagster.stages.words import make_insights
from stupid_dagster.stores.snapshots import Manifest
from stupid_dagster.stores.version import VERSION_FILE, VersionWriter
from stupid_dagster.tables import WINDOW_TABLES

DAY_STAGES = (make_documents, make_connections, make_vectors)
WINDOW_STAGES = (
    *(make_window_days, make_search_index),
    *(make_graph, make_graph_database, make_graph_knowledge),
    *(make_features, make_clusters, make_event_clusters, make_patterns, make_cooccurrence),
    *(make_trends, make_anomalies, make_history, make_labels, make_insights, make_digest),
    make_catalog,
)


def make_day(project: Project, day: str) -> None:
    """Run the stages of a day."""
    for stage in DAY_STAGES:
        stage(project, day)


def write_window_table(project: Project, table: str, last_day: str, frame: pl.DataFrame) -> None:
    """Write a table of the window that was begun, as a stage would."""
    open_window(project, last_day).stage().table(table, frame)


def publish_days_as_they_are(project: Project, last_day: str) -> Manifest:
    """Publish the window's tables again with the days of now, as if they were made of them."""
    before = open_window(project, last_day)
    tables = {name: found for name in WINDOW_TABLES[1:] if (found := before.find(name))}
    make_window_days(project, last_day)
    stage = open_window(project, last_day).stage()
    for name, version in tables.items():
        folder = project.lake.version_path(version)

        def copy(writer: VersionWriter, folder: Path = folder, rows: int = version.rows) -> None:
            ignored = shutil.ignore_patterns(VERSION_FILE)
            shutil.copytree(folder, writer.path, ignore=ignored, dirs_exist_ok=True)
            writer.rows = rows

        stage.files(name, copy)
    return publish_window(project, last_day).manifest


def make_window(project: Project, last_day: str) -> Manifest:
    """Run the stages of a window and publish it."""
    made = {one.table for stage in WINDOW_STAGES for one in stage(project, last_day)}
    assert made == {*WINDOW_TABLES}, "tables that no stage makes, or a stage that isn't run here"
    return publish_window(project, last_day).manifest
