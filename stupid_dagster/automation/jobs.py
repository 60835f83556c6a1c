"""The jobs that make days and windows, and what starts them.

Days and windows have jobs of their own: a backfill of days must not drag in a window a day.
"""

import hashlib
from datetime import date

import dagster as dg

from stupid_dagster.automation.resources import ProjectResource
from stupid_dagster.project import Project
from stupid_dagster.stores.snapshots import open_snapshot, published_id
from stupid_dagster.tables import DAY_TABLES, WINDOW_TABLES

day_job = dg.define_asset_job(
    "days",
    selection=dg.AssetSelection.assets(*DAY_TABLES),
    description="Make days: documents, entities, edges, texts, vectors, activity, metrics.",
)
window_job = dg.define_asset_job(
    "window",
    selection=dg.AssetSelection.assets(*WINDOW_TABLES, "snapshot"),
    description="Make the knowledge of the window that ends on a day, and publish it.",
)
daily_schedule = dg.build_schedule_from_partitioned_job(
    day_job,
    name="daily",
    description="Make the day that has ended, an hour after its midnight.",
    hour_of_day=1,
)


@dg.sensor(
    job=window_job,
    name="newest_window",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Make and publish the newest window when any of its days has changed.",
)
def newest_window_sensor(project: ProjectResource):
    """Ask for the newest window unless the published one was made of the same days."""
    loaded = project.load()
    anchor = loaded.anchor()
    if anchor is None:
        return dg.SkipReason("no day has documents yet")
    wanted = day_versions(loaded, anchor)
    if not wanted:
        return dg.SkipReason(f"no day of the window ending on {anchor} is complete yet")
    if wanted == published_day_versions(loaded, anchor):
        return dg.SkipReason(f"the published window ending on {anchor} is up to date")
    digest = hashlib.sha256("\n".join(sorted(wanted)).encode()).hexdigest()[:16]
    return dg.RunRequest(run_key=f"{anchor}:{digest}", partition_key=anchor.isoformat())


def day_versions(project: Project, anchor: date) -> set[str]:
    """Return `<table>/<day>/<version>` of all day tables of the window ending on `anchor`."""
    live = (
        project.lake.find(table, day) for table in DAY_TABLES for day in project.window_days(anchor)
    )
    return {f"{v.table}/{v.partition}/{v.name}" for v in live if v}


def published_day_versions(project: Project, anchor: date) -> set[str]:
    """Return the same of the published snapshot; empty when it is another window's."""
    if published_id(project.lake) is None:
        return set()
    manifest = open_snapshot(project.lake).manifest
    if manifest.last_day != anchor.isoformat():
        return set()
    return {
        f"{v.table}/{v.partition}/{v.name}"
        for table in DAY_TABLES
        for v in manifest.of(table).values()
    }
