"""Evict days that have left the window: one run for all of them, started by a sensor."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import dagster as dg

from stupid_dagster.automation.away import skipped_while_away
from stupid_dagster.automation.in_progress import run_in_progress
from stupid_dagster.automation.needs import RETENTION_NEEDS, op_tags, run_tags
from stupid_dagster.automation.resources import ProjectResource
from stupid_dagster.automation.run_keys import newest_record, run_key
from stupid_dagster.instance import wipe_partitions
from stupid_dagster.project import Project
from stupid_dagster.stages.audit import Audited, Finding, audit
from stupid_dagster.stages.evict import (
    Eviction,
    evict,
    leftovers,
    overdue,
    plan_eviction,
    remove_garbage,
)
from stupid_dagster.stores.garbage import Garbage
from stupid_dagster.tables import DAY_TABLES, WINDOW_TABLES

RECORDED = (*DAY_TABLES, *WINDOW_TABLES, "snapshot")
"""The assets that have partitions."""
_STATE = "stupid_dagster/eviction"
"""Tag of the runs that the sensor asks for: what there was to remove, as a digest."""
_PATIENCE = timedelta(hours=1)
"""Until a run that has failed is asked for again."""
_REST = timedelta(minutes=10)
"""Until the sensor looks again at a lake whose ledger is as it was when nothing was found."""


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
    before = project.lake.inventory.bytes()
    garbage = evict(project, eviction)
    wiped: dict[str, int] = {}
    for asset, partitions in stale_records(instance, eviction).items():
        wiped |= wipe_partitions(instance, [dg.AssetKey(asset)], partitions)
    return Evicted(
        eviction,
        garbage,
        wiped,
        before,
        project.lake.inventory.bytes(),
        sum(left.bytes for left in leftovers(project).waiting),
        time.perf_counter() - started,
    )


def stale_records(instance: dg.DagsterInstance, eviction: Eviction) -> dict[str, list[str]]:
    """Return the stale partitions that Dagster has records of, by asset.

    Not only of what the lake still has: an eviction may have been killed between the two.
    """
    found = {asset: _recorded(instance, eviction, asset)[1] for asset in RECORDED}
    return {asset: partitions for asset, partitions in found.items() if partitions}


def _recorded(
    instance: dg.DagsterInstance, eviction: Eviction, asset: str
) -> tuple[int, list[str]]:
    """Return how many partitions of an asset Dagster has records of, and the stale ones."""
    partitions = instance.get_materialized_partitions(dg.AssetKey(asset))
    return len(partitions), sorted(p for p in partitions if eviction.is_stale(asset, p))


def audit_all(project: Project, instance: dg.DagsterInstance, eviction: Eviction) -> Audited:
    """Audit the stores, and Dagster's records with them."""
    return audit(project, eviction, _records(instance, eviction))


def _records(instance: dg.DagsterInstance, eviction: Eviction) -> Iterator[Finding]:
    for asset in RECORDED:
        started = time.perf_counter()
        scanned, stale = _recorded(instance, eviction, asset)
        yield Finding(
            "dagster",
            asset,
            scanned=scanned,
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


eviction_job = dg.define_asset_job(
    "evict",
    selection=dg.AssetSelection.assets("eviction", "audit"),
    # Beside the daemon, with any executor: files and records go, nothing is computed, and a
    # cluster that is full must not hold it up.
    executor_def=dg.in_process_executor,
    tags=run_tags(*RETENTION_NEEDS.values()),
    description="Remove the days before the horizon from every table, snapshot and record, and "
    "prove it.",
)


@dg.op(name="remove_garbage", tags=op_tags("remove_garbage"))
def remove_garbage_op(project: ProjectResource) -> None:
    """Remove versions and snapshots that nothing names and whose grace is over."""
    garbage = remove_garbage(project.load())
    dg.get_dagster_logger().info(
        f"{garbage.versions:,} versions, {garbage.snapshots:,} snapshots and {garbage.bytes:,} "
        "bytes left the disk"
    )


@dg.job(
    name="collect_garbage",
    executor_def=dg.in_process_executor,
    tags=run_tags(*RETENTION_NEEDS.values()),
)
def garbage_job() -> None:
    """Remove files that nothing needs any more; no day and no record goes, so without an audit."""
    remove_garbage_op()


@dg.sensor(
    jobs=[eviction_job, garbage_job],
    name="eviction",
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Evict days that have left the kept windows, all in one run; without any, remove "
    "the files whose grace is over.",
)
@skipped_while_away
def eviction_sensor(context: dg.SensorEvaluationContext, project: ProjectResource):
    """Ask for one eviction run when any table or record is past its time, one after the other.

    When only files are, for a run that removes those. What failed is asked for again each hour.
    Where nothing was found it looks again when the lake's ledger has changed, when a known grace is
    over, and after `_REST`: a look at a bucket is some thousand requests.
    """
    if run := run_in_progress(context.instance, eviction_job.name, garbage_job.name):
        return dg.SkipReason(f"run {run.run_id} of the job `{run.job_name}` isn't over")
    loaded = project.load()
    rest = _Rest.of(context.cursor)
    # As it was before what follows is asked for.
    state = loaded.lake.ledger.state
    if rest and state and state == rest.state and datetime.now(UTC) < rest.until:
        return dg.SkipReason(f"nothing has changed; it looks again at {rest.until:%H:%M} UTC")
    eviction = plan_eviction(loaded)
    if eviction is None:
        return dg.SkipReason("no day has documents yet")
    records = stale_records(context.instance, eviction)
    left = leftovers(loaded)
    found = [f"due {version.held.address}" for version in overdue(left)]
    found += [f"due {name}" for name, due in left.snapshots.items() if due <= left.now]
    # Their grace begins with a collection, which a publisher that was killed has not come to.
    found += [f"unwanted {name}" for name in left.unmarked]
    job = garbage_job.name
    if eviction.stale or records:
        job = eviction_job.name
        found += [
            _state(loaded, table, p) for table, stale in eviction.stale.items() for p in stale
        ]
        found += [f"{asset}/{p}" for asset, stale in records.items() for p in stale]
    if not found:
        due = [*(one.due for one in left.waiting), *left.snapshots.values()]
        until = min([left.now + _REST, *(one for one in due if one > left.now)])
        context.update_cursor(_Rest(state or "", until).text)
        return dg.SkipReason(f"nothing lies before the horizon, {eviction.horizon}")
    key = asked = run_key(job, eviction.horizon, of=found)
    if former := newest_record(context.instance, {_STATE: asked}):
        ended = datetime.fromtimestamp(former.end_time or former.update_timestamp.timestamp(), UTC)
        told = (
            f"run {former.dagster_run.run_id} of the job `{job}` ended and left all as it was "
            f"({former.dagster_run.status.value.lower()}): see its log"
        )
        if (again := ended + _PATIENCE) > datetime.now(UTC):
            return dg.SkipReason(f"{told}; it is asked for again at {again:%Y-%m-%d %H:%M} UTC")
        context.log.warning(f"{told}; it is asked for again now")
        key = f"{asked}:{former.dagster_run.run_id}"
    return dg.RunRequest(run_key=key, job_name=job, tags={_STATE: asked})


@dataclass(frozen=True)
class _Rest:
    """That nothing was found at a state of the ledger, and when to look again all the same."""

    state: str
    until: datetime

    @classmethod
    def of(cls, cursor: str | None) -> _Rest | None:
        """Return what `text` has said; None for anything else."""
        try:
            tree = json.loads(cursor or "")
            return cls(str(tree["state"]), datetime.fromisoformat(tree["until"]))
        except (ValueError, KeyError, TypeError):
            return None

    @property
    def text(self) -> str:
        """It as a sensor's cursor."""
        return json.dumps({"state": self.state, "until": self.until.isoformat()})


def _state(project: Project, table: str, partition: str) -> str:
    """Return what changes when a stale partition comes back, even one that can't be read."""
    named = project.lake.named_at(table, partition)
    return f"{table}/{partition}/{named}" if named else f"{table}/{partition}"
