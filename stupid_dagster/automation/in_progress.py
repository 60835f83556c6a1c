"""Which days are being made: by runs that are queued or at work, and by backfills."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import dagster as dg
from dagster._core.definitions.assets.graph.base_asset_graph import BaseAssetGraph
from dagster._core.errors import DagsterDefinitionChangedDeserializationError
from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus, PartitionBackfill
from dagster._core.storage.dagster_run import IN_PROGRESS_RUN_STATUSES
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
)

from stupid_dagster.project import days_between

_DOCUMENTS = dg.AssetKey("documents")
_NOT_OF_DAYS = ("window", "evict", "collect_garbage")


def days_are_being_made(instance: dg.DagsterInstance) -> bool:
    """Return whether any backfill, or any run that makes days, isn't over."""
    return bool(open_backfills(instance) or _runs_of_days(instance))


def run_in_progress(instance: dg.DagsterInstance, *jobs: str) -> dg.DagsterRun | None:
    """Return the newest run of any of the jobs that is queued or at work, None without one."""
    return next((run for run in _runs(instance) if run.job_name in jobs), None)


def days_in_progress(instance: dg.DagsterInstance, assets: BaseAssetGraph | None) -> set[str]:
    """Return the days that a run or backfill is to make; `assets` explains backfills of assets."""
    days: set[str] = set()
    for run in _runs_of_days(instance):
        if day := run.tags.get(PARTITION_NAME_TAG):
            days.add(day)
        first = run.tags.get(ASSET_PARTITION_RANGE_START_TAG)
        last = run.tags.get(ASSET_PARTITION_RANGE_END_TAG)
        if first and last:
            days.update(days_between(date.fromisoformat(first), date.fromisoformat(last)))
    for backfill in open_backfills(instance):
        days.update(_days_of(backfill, assets))
    return days


def open_backfills(instance: dg.DagsterInstance) -> list[PartitionBackfill]:
    """Return the backfills that aren't over."""
    requested = BulkActionsFilter(statuses=[BulkActionStatus.REQUESTED])
    return list(instance.get_backfills(filters=requested))


def _runs(instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
    statuses = [*IN_PROGRESS_RUN_STATUSES, dg.DagsterRunStatus.QUEUED]
    return [*instance.get_runs(dg.RunsFilter(statuses=statuses))]


def _runs_of_days(instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
    return [run for run in _runs(instance) if run.job_name not in _NOT_OF_DAYS]


def _days_of(backfill: PartitionBackfill, assets: BaseAssetGraph | None) -> Iterable[str]:
    if not backfill.is_asset_backfill:
        return [] if backfill.job_name in _NOT_OF_DAYS else backfill.partition_names or []
    if assets is None:
        return []
    try:
        data = backfill.get_asset_backfill_data(assets)
    except DagsterDefinitionChangedDeserializationError:  # Dagster will fail it.
        return []
    if _DOCUMENTS not in data.target_subset.partitions_subsets_by_asset_key:
        return []
    return data.target_subset.get_partitions_subset(_DOCUMENTS).get_partition_keys()
