"""Take whole days out of every table, snapshot and file.

A window's knowledge goes with the first day that it covers. What is published changes first,
then live versions go, then files that nothing names any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

import structlog

from stupid_dagster.project import Project
from stupid_dagster.stores.snapshots import (
    Garbage,
    collect_garbage,
    open_snapshot,
    publish,
    published_id,
)
from stupid_dagster.tables import TABLES

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Eviction:
    """What lies before the horizon, the oldest day that is kept."""

    horizon: date
    stale: Mapping[str, list[str]] = field(default_factory=dict)

    @property
    def partitions(self) -> list[str]:
        """All partitions that go from any table, ascending."""
        return sorted({partition for found in self.stale.values() for partition in found})


def plan_eviction(project: Project, anchor: date | None = None) -> Eviction | None:
    """Return what must go when the newest window ends on `anchor`; None without any documents.

    All tables are looked at, so that one that was left behind alone is found too.
    """
    anchor = anchor or project.anchor()
    if anchor is None:
        return None
    horizon = project.settings.horizon(anchor)
    stale: dict[str, list[str]] = {}
    for table in project.lake.tables():
        oldest = horizon
        if table in TABLES and TABLES[table].grain == "window":
            oldest = horizon + timedelta(days=project.settings.window_days - 1)
        partitions = project.lake.partitions(table)
        found = [partition for partition in partitions if partition < oldest.isoformat()]
        if found:
            stale[table] = found
    return Eviction(horizon, stale)


def evict(project: Project, eviction: Eviction) -> Garbage:
    """Remove the stale partitions; can be killed at any point and run again.

    Returns what left the disk; what slow readers may still use goes with a later collection.
    """
    _publish_without(project, eviction)
    for table, partitions in eviction.stale.items():
        for partition in partitions:
            project.lake.drop(table, partition)
    garbage = collect_garbage(
        project.lake,
        kept_snapshots=project.settings.kept_snapshots,
        grace=timedelta(minutes=project.settings.garbage_minutes),
        evicted=eviction.stale,
    )
    log.info("evicted", horizon=str(eviction.horizon), partitions=eviction.partitions)
    return garbage


def _publish_without(project: Project, eviction: Eviction) -> None:
    """Publish the same window without the stale days, if the published one names any."""
    if published_id(project.lake) is None:
        return
    manifest = open_snapshot(project.lake).manifest
    kept = {
        table: [p for p in partitions if p not in eviction.stale.get(table, [])]
        for table, partitions in manifest.versions.items()
    }
    if kept == {table: list(partitions) for table, partitions in manifest.versions.items()}:
        return
    publish(
        project.lake,
        window=(date.fromisoformat(manifest.first_day), date.fromisoformat(manifest.last_day)),
        tables=kept,
        event_model=manifest.event_model,
        event_model_hash=manifest.event_model_hash,
        embedder_id=manifest.embedder_id,
        code_version=manifest.code_version,
    )
