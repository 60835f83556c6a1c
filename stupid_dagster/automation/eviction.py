"""Evict days that have left the window: one run for all of them, started by a sensor."""

import hashlib

import dagster as dg

from stupid_dagster.automation.resources import ProjectResource
from stupid_dagster.instance import wipe_partitions
from stupid_dagster.project import Project
from stupid_dagster.stages.evict import Eviction, evict, plan_eviction
from stupid_dagster.stores.snapshots import Garbage


def evict_and_wipe(
    project: Project, instance: dg.DagsterInstance, eviction: Eviction
) -> tuple[Garbage, dict[str, int]]:
    """Remove stale partitions from the lake, then from Dagster's records.

    Returns what left the disk and the number of events removed per asset.
    """
    garbage = evict(project, eviction)
    wiped: dict[str, int] = {}
    for table, partitions in eviction.stale.items():
        wiped |= wipe_partitions(instance, [dg.AssetKey(table)], partitions)
    return garbage, wiped


@dg.op
def evict_stale_days(context: dg.OpExecutionContext, project: ProjectResource) -> None:
    """Evict whatever lies before the horizon now."""
    loaded = project.load()
    eviction = plan_eviction(loaded)
    if eviction is None or not eviction.stale:
        context.log.info("nothing to evict")
        return
    garbage, wiped = evict_and_wipe(loaded, context.instance, eviction)
    context.log.info(
        f"evicted {len(eviction.partitions)} partitions before {eviction.horizon}: "
        f"{garbage.versions} versions and {garbage.bytes:,} bytes left the disk, "
        f"{sum(wiped.values())} events left Dagster's records"
    )


@dg.job(
    name="evict",
    executor_def=dg.in_process_executor,
    description="Remove the days before the horizon from every table, snapshot and record.",
)
def eviction_job():
    """Evict stale days."""
    evict_stale_days()


@dg.sensor(
    job=eviction_job,
    name="eviction",
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Evict days that have left the kept windows, all in one run.",
)
def eviction_sensor(project: ProjectResource):
    """Ask for one eviction run when any table has a partition before the horizon."""
    loaded = project.load()
    eviction = plan_eviction(loaded)
    if eviction is None or not eviction.stale:
        return dg.SkipReason("no partition lies before the horizon")
    # The versions take part in the key, so that a day that came back is evicted again.
    versions = sorted(
        f"{table}/{partition}/{loaded.lake.live(table, partition).name}"
        for table, partitions in eviction.stale.items()
        for partition in partitions
    )
    digest = hashlib.sha256("\n".join(versions).encode()).hexdigest()[:16]
    return dg.RunRequest(run_key=f"{eviction.horizon}:{digest}")
