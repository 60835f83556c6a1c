"""Evict days that have left the window: one run for all of them, started by a sensor."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date

import dagster as dg

from stupid_dagster.automation.resources import ProjectResource
from stupid_dagster.automation.run_keys import run_key
from stupid_dagster.instance import wipe_partitions
from stupid_dagster.project import Project
from stupid_dagster.stages.audit import Audited, Finding, audit
from stupid_dagster.stages.evict import (
    Eviction,
    evict,
    leftovers,
    overdue,
    plan_eviction,
)
from stupid_dagster.stores.garbage import Garbage, disk_bytes
from stupid_dagster.tables import DAY_TABLES, WINDOW_TABLES

RECORDED = (*DAY_TABLES, *WINDOW_TABLES, "snapshot")
"""The assets that have partitions."""


@dataclass(frozen=True)
class Evicted:
    """What an eviction did: what left the disk and Dagster's records, and what is still to go."""

    eviction: Eviction
    garbage: Garbage
    wiped: Mapping[str, int]
    """Events removed, by asset."""
    bytes_before: int
    bytes_after: int
    pending: int
    """Bytes of dropped versions that wait for their grace."""
    seconds: float


def evict_and_wipe(project: Project, instance: dg.DagsterInstance, eviction: Eviction) -> Evicted:
    """Remove stale partitions from the lake, then from Dagster's records."""
    started = time.perf_counter()
    before = disk_bytes(project.lake.root)
    garbage = evict(project, eviction)
    wiped: dict[str, int] = {}
    for asset, partitions in stale_records(instance, eviction).items():
        wiped |= wipe_partitions(instance, [dg.AssetKey(asset)], partitions)
    return Evicted(
        eviction,
        garbage,
        wiped,
        before,
        disk_bytes(project.lake.root),
        sum(left.bytes for left in leftovers(project).waiting),
        time.perf_counter() - started,
    )


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
        for asset in RECORDED
    }
    return {asset: partitions for asset, partitions in found.items() if partitions}


def audit_all(project: Project, instance: dg.DagsterInstance, eviction: Eviction) -> Audited:
    """Audit the stores, and Dagster's records with them."""
    return audit(project, eviction, _records(instance, eviction))


def _records(instance: dg.DagsterInstance, eviction: Eviction) -> Iterator[Finding]:
    for asset in RECORDED:
        started = time.perf_counter()
        partitions = instance.get_materialized_partitions(dg.AssetKey(asset))
        stale = sorted(partition for partition in partitions if eviction.is_stale(asset, partition))
        yield Finding(
            "dagster",
            asset,
            scanned=len(partitions),
            references=len(stale),
            seconds=round(time.perf_counter() - started, 3),
            example=f"partition {stale[0]}, shown as materialised" if stale else None,
        )


def plan_or_fail(project: Project, anchor: date | None = None) -> Eviction:
    """Return what is to be evicted; raises dagster's Failure where no day has documents."""
    eviction = plan_eviction(project, anchor)
    if eviction is None:
        raise dg.Failure("no day has documents: there is nothing to evict", allow_retries=False)
    return eviction


@contextmanager
def existing_instance(project: Project) -> Iterator[dg.DagsterInstance | None]:
    """Yield the instance that `open_instance` opens if there is one already; changes nothing."""
    default = project.settings.root / ".dagster_home"
    home = project.settings.path(os.environ.get("DAGSTER_HOME") or default)
    if not (home / "dagster.yaml").exists():
        yield None
        return
    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield instance


eviction_job = dg.define_asset_job(
    "evict",
    selection=dg.AssetSelection.assets("eviction", "audit"),
    description="Remove the days before the horizon from every table, snapshot and record, and "
    "prove it.",
)


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
    due = overdue(leftovers(loaded))
    if not (eviction.stale or records or due):
        return dg.SkipReason(f"nothing lies before the horizon, {eviction.horizon}")
    # The versions take part in the key, so that a day that came back is evicted again.
    versions = [
        loaded.lake.live(table, partition).address
        for table, partitions in eviction.stale.items()
        for partition in partitions
    ]
    versions += [f"{asset}/{p}" for asset, found in records.items() for p in found]
    versions += [str(left.folder) for left in due]
    return dg.RunRequest(run_key=run_key(eviction.horizon, of=versions))
