"""Describe the window, and publish it as a snapshot."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, timedelta

from stupid_dagster import __version__
from stupid_dagster.catalog import build_catalog
from stupid_dagster.event_model import model_hash
from stupid_dagster.project import Project
from stupid_dagster.stages.evict import remove_garbage
from stupid_dagster.stages.window import open_window
from stupid_dagster.stages.written import Written
from stupid_dagster.stores.garbage import Garbage
from stupid_dagster.stores.snapshots import Manifest, publish
from stupid_dagster.stores.version import VersionWriter
from stupid_dagster.tables import WINDOW_TABLES


@dataclass(frozen=True)
class Publication:
    """The snapshot of a window, whether it is the one that is served, and what left the disk."""

    manifest: Manifest
    served: bool
    garbage: Garbage


def make_catalog(project: Project, last_day: str) -> list[Written]:
    """Write the `catalog` of the window, as `catalog.json`."""
    window = open_window(project, last_day)
    stage = window.stage()
    knowledge = {name: window.find(name) for name in WINDOW_TABLES if name != "catalog"}
    catalog = build_catalog(
        project.model,
        project.lake,
        documents=window.versions["documents"],
        field_statistics=window.versions.get("field_statistics", {}),
        knowledge={name: version for name, version in knowledge.items() if version}
        | {name: window.version(name) for name in ("graph_nodes", "graph_edges")},
    )

    def fill(writer: VersionWriter) -> None:
        text = json.dumps(catalog, ensure_ascii=False, indent=1)
        (writer.path / "catalog.json").write_text(text, encoding="utf-8")

    stage.files("catalog", fill)
    return stage.written


def publish_window(project: Project, last_day: str) -> Publication:
    """Publish the window as a snapshot, then remove what nothing names any more.

    A window before the newest doesn't take the place of what is served: it is kept beside it.
    Raises ConflictError when one of its tables was made of other versions of the days, or one of
    its days was evicted since, and SnapshotError when a file is missing or damaged.
    """
    window = open_window(project, last_day)
    knowledge = {name: window.find(name) for name in WINDOW_TABLES}
    last = date.fromisoformat(last_day)
    serves = False

    def takes_over(served: Manifest | None) -> bool:
        nonlocal serves
        serves = _takes_over(project, last_day, served)
        return serves

    manifest = publish(
        project.lake,
        window=(last - timedelta(days=project.settings.window_days - 1), last),
        versions={
            **window.versions,
            **{name: {last_day: version} for name, version in knowledge.items() if version},
        },
        event_model=project.model.name,
        event_model_hash=model_hash(project.model),
        embedder_id=project.embedder.model_id,
        code_version=__version__,
        serve=takes_over,
    )
    return Publication(manifest, serves, remove_garbage(project))


def _takes_over(project: Project, last_day: str, served: Manifest | None) -> bool:
    """Return whether a window is to be served: none newer is, or none newer can be made."""
    if served is None or last_day >= served.last_day:
        return True
    anchor = project.anchor()
    return anchor is None or last_day >= anchor.isoformat()
