"""Evict days that have left the window: one run for all of them, started by a sensor."""

import dagster as dg

from stupid_dagster.automation.resources import ProjectResource
from stupid_dagster.automation.run_keys import run_key
from stupid_dagster.instance import wipe_partitions
from stupid_dagster.project import Project
from stupid_dagster.stages.evict import Eviction, evict, plan_eviction, remove_garbage
from stupid_dagster.stores.garbage import Garbage
from stupid_dagster.tables import TABLES


def evict_and_wipe(
    project: Project, instance: dg.DagsterInstance, eviction: Eviction
) -> tuple[Garbage, dict[str, int]]:
    """Remove stale partitions from the lake, then from Dagster's records.

    Returns what left the disk and the number of events removed per asset.
    """
    records = stale_records(instance, eviction)
    garbage = evict(project, eviction)
    wiped: dict[str, int] = {}
    for asset, partitions in records.items():
        wiped |= wipe_partitions(instance, [dg.AssetKey(asset)], partitions)
    return garbage, wiped


def stale_records(instance: dg.DagsterInstance, eviction: Eviction) -> dict[str, list[str]]:
    """Return the stale partitions that Dagster has records of, by asset.

    Not only of what the lake still has: an eviction may have been killed between the two.
    """
    found = {
        asset: sorted(
            partition
            for partition in instance.get_materialized_partitions(dg.AssetKey(asset))
            if eviction.is_stale(asset, partition)
        )
        for asset in (*TABLES, "snapshot")
    }
    return {asset: partitions for asset, partitions in found.items() if partitions}


@dg.op
def evict_stale_days(context: dg.OpExecutionContext, project: ProjectResource) -> None:
    """Evict whatever lies before the horizon now."""
    loaded = project.load()
    eviction = plan_eviction(loaded)
    if eviction is None:
        context.log.info("nothing to evict: no day has documents")
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
def eviction_sensor(context: dg.SensorEvaluationContext, project: ProjectResource):
    """Ask for one eviction run when any table, record or leftover file is past its time."""
    loaded = project.load()
    eviction = plan_eviction(loaded)
    if eviction is None:
        return dg.SkipReason("no day has documents yet")
    records = stale_records(context.instance, eviction)
    garbage = remove_garbage(loaded, dry_run=True)
    if not (eviction.stale or records or garbage.versions):
        return dg.SkipReason(f"nothing lies before the horizon, {eviction.horizon}")
    # The versions take part in the key, so that a day that came back is evicted again.
    versions = [
        loaded.lake.live(table, partition).address
        for table, partitions in eviction.stale.items()
        for partition in partitions
    ]
    versions += [f"{asset}/{p}" for asset, found in records.items() for p in found]
    versions.append(f"{garbage.versions} versions, {garbage.bytes} bytes")
    return dg.RunRequest(run_key=run_key(eviction.horizon, of=versions))
