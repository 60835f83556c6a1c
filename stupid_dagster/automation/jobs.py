"""The jobs that make days and windows, and what starts them.

Days and windows have jobs of their own: a backfill of days must not drag in a window a day.
"""

from datetime import UTC, date

import dagster as dg
from dagster._core.storage.tags import PARTITION_NAME_TAG

from stupid_dagster.automation.away import skipped_while_away
from stupid_dagster.automation.in_progress import (
    days_are_being_made,
    days_in_progress,
    run_in_progress,
)
from stupid_dagster.automation.needs import DAY_RUN, WINDOW_NEEDS, run_tags
from stupid_dagster.automation.resources import ProjectResource
from stupid_dagster.automation.run_keys import newest_run, run_key
from stupid_dagster.errors import SnapshotError
from stupid_dagster.project import Project
from stupid_dagster.stages.window import DAMAGED, PINS
from stupid_dagster.stores.snapshots import USES, open_snapshot, published_id
from stupid_dagster.tables import DAY_TABLES, WINDOW_TABLES

day_job = dg.define_asset_job(
    "days",
    selection=dg.AssetSelection.assets(*DAY_TABLES),
    tags=run_tags(DAY_RUN),
    description="Make days: documents, entities, edges, texts, vectors, activity, metrics.",
)
window_job = dg.define_asset_job(
    "window",
    selection=dg.AssetSelection.assets(*WINDOW_TABLES, "snapshot"),
    tags=run_tags(*WINDOW_NEEDS.values()),
    description="Make the knowledge of the window that ends on a day, and publish it.",
)
_ZONE = Project.load().model.zone


@dg.schedule(
    job=day_job,
    name="hourly",
    cron_schedule="5 * * * *",
    execution_timezone=_ZONE.key,
    description="Make the running day with what has come so far, five minutes past each hour.",
)
def hourly_schedule(context: dg.ScheduleEvaluationContext, project: ProjectResource):
    """Ask for today. The day that has ended is left to `daily`, at midnight too."""
    now = context.scheduled_execution_time
    today = now.astimezone(_ZONE).date()
    if skip := _outside_partitions(project.load(), today):
        return skip
    assets = context.repository_def.asset_graph
    if today.isoformat() in days_in_progress(context.instance, assets):
        return dg.SkipReason(f"{today} is being made")
    # UTC, for an hour that comes twice when the clocks are set back.
    hour = now.astimezone(UTC).isoformat(timespec="minutes")
    return dg.RunRequest(run_key=f"hourly:{hour}", partition_key=today.isoformat())


def _outside_partitions(project: Project, day: date) -> dg.SkipReason | None:
    first, last = project.partition_range
    if first <= day <= last:
        return None
    return dg.SkipReason(f"{day} is outside the partitions, {first} to {last}")


@dg.sensor(
    job=window_job,
    name="newest_window",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Make and publish the newest window when any of its days has changed.",
)
@skipped_while_away
def newest_window_sensor(context: dg.SensorEvaluationContext, project: ProjectResource):
    """Ask for the newest window unless the published one was made of the same days.

    While days are being made it waits, so that a backfill of days ends with one window; and while a
    window is, since two at once would take twice as long, and one of them for nothing.
    """
    if days_are_being_made(context.instance):
        return dg.SkipReason("days are being made")
    if run := run_in_progress(context.instance, "window"):
        day = run.tags.get(PARTITION_NAME_TAG)
        return dg.SkipReason(f"the window ending on {day} is being made by run {run.run_id}")
    loaded = project.load()
    anchor = loaded.anchor()
    if anchor is None:
        return dg.SkipReason("no day has documents yet")
    wanted = day_versions(loaded, anchor)
    if not wanted:
        return dg.SkipReason(f"no day of the window ending on {anchor} is complete yet")
    if wanted == published_day_versions(loaded, anchor):
        return dg.SkipReason(f"the published window ending on {anchor} is up to date")
    # With what is published in the key, a window can be asked for again after another one.
    key = run_key(anchor, published_id(loaded.lake), of=wanted)
    if run := newest_run(context.instance, "newest_window", key):
        return dg.SkipReason(_asked_for(run, anchor))
    return dg.RunRequest(run_key=key, partition_key=anchor.isoformat())


def _asked_for(run: dg.DagsterRun, anchor: date) -> str:
    """Return why a window is not asked for again: what had failed once would fail for ever."""
    return (
        f"the window ending on {anchor} was asked for, for the days as they are now, and run "
        f"{run.run_id} ended without publishing it ({run.status.value.lower()}): see its log, then "
        f"re-execute it, or launch the job `window` for {anchor}; it is asked for again by itself "
        "when a day changes"
    )


def day_versions(project: Project, anchor: date) -> set[str]:
    """Return `<table>/<day>/<version>` of all day tables of the window ending on `anchor`."""
    days = project.complete_days(anchor).values()
    return {version.address for tables in days for version in tables.values()}


def published_day_versions(project: Project, anchor: date) -> set[str]:
    """Return those that the published window was made of; empty when it is another's, or damaged.

    Also those that it left out because their files are damaged: until they are made again, the
    window can't be another. What was evicted since still counts: without it, the window is another.
    """
    try:
        manifest = open_snapshot(project.lake).manifest
    except SnapshotError:  # Nothing is published, or nothing that can be read.
        return set()
    whole = all(manifest.of(table) for table in WINDOW_TABLES)
    if manifest.last_day != anchor.isoformat() or not whole:
        return set()
    if pins := manifest.of(PINS).get(manifest.last_day):
        return {*pins.metadata[USES], *pins.metadata.get(DAMAGED, ())}
    # An older release didn't pin versions.
    return {version.address for table in DAY_TABLES for version in manifest.of(table).values()}
