"""What all SQL event logs share: how partitions are counted and forgotten.

Open-source Dagster can wipe a whole asset but not one partition of it, so an evicted day would
show as materialised for ever. This rests on private parts of Dagster, so releases that it wasn't
tested with are refused.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

import dagster as dg
import sqlalchemy as sa
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    AssetEventTagsTable,
    AssetKeyTable,
    SqlEventLogStorageTable,
)
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from dagster._serdes import deserialize_value
from packaging.specifiers import SpecifierSet

from stupid_dagster.errors import InstanceError

TESTED_DAGSTER = SpecifierSet(">=1.13.27,<1.14")

EVENTS = SqlEventLogStorageTable.c
CHECKS = AssetCheckExecutionsTable.c
# `asset_keys` sums up the newest event of each of these.
_SUMMARISED = [
    event_type.value
    for event_type in (
        dg.DagsterEventType.ASSET_MATERIALIZATION,
        dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
        dg.DagsterEventType.ASSET_OBSERVATION,
    )
]
# What `asset_keys` says of an asset without events.
NO_SUMMARY = {
    "last_materialization": None,
    "last_run_id": None,
    "last_materialization_timestamp": None,
    "cached_status_data": None,
}


def wipe_partitions(
    instance: dg.DagsterInstance,
    asset_keys: Iterable[dg.AssetKey],
    partition_keys: Iterable[str],
) -> dict[str, int]:
    """Make an instance forget partitions of assets, which then show as missing.

    Their materialisations, observations, planned and failed events and check results go; the
    logs of the runs that made them stay. A partition without any is no mistake. Returns the
    number of records removed per asset (`a/b`). Raises InstanceError where the instance's
    storage can't forget partitions.
    """
    storage = instance.event_log_storage
    if not isinstance(storage, WipeableEventLog):
        raise InstanceError(
            f"the Dagster instance keeps its events in {type(storage).__name__}, which can't "
            "forget single partitions: copy the `storage:` section of stupid_dagster/dagster.yaml "
            "for SQLite or Postgres into the dagster.yaml in DAGSTER_HOME (a history that is there "
            "is taken over as it is)"
        )
    partitions = list(partition_keys)
    removed: dict[str, int] = {}
    for asset_key in dict.fromkeys(asset_keys):
        count = storage.count_partition_records(asset_key, partitions)
        if count:
            # Through the instance, which puts the wipe itself on record.
            instance.wipe_asset_partitions(asset_key, partitions)
        removed[asset_key.to_user_string()] = count
    return removed


class WipeableEventLog(SqlEventLogStorage):
    """An event log that can forget partitions; comes before Dagster's own among the bases."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if dg.__version__ not in TESTED_DAGSTER:
            raise InstanceError(
                f"stupid_dagster.instance was tested with Dagster {TESTED_DAGSTER}, and this is "
                f"{dg.__version__}: install a release in that range, or take the `storage:` "
                "section out of dagster.yaml (the history stays, but eviction can't mark days as "
                "missing)"
            )
        super().__init__(*args, **kwargs)

    # --- partition status ------------------------------------------------------------------
    # Always from the events: a cached status, written by a UI that had read the events before a
    # wipe, would bring the wiped partitions back. It's two indexed queries an asset.

    def can_read_asset_status_cache(self) -> bool:
        """Return False."""
        return False

    def can_write_asset_status_cache(self) -> bool:
        """Return False."""
        return False

    # --- wiping ----------------------------------------------------------------------------

    def count_partition_records(self, asset_key: dg.AssetKey, partition_keys: Sequence[str]) -> int:
        """Return how many events and check results there are of an asset's partitions."""
        events, checks = _records(asset_key, partition_keys)
        with self.index_connection() as connection:
            return sum(
                connection.execute(sa.select(sa.func.count()).where(condition)).scalar_one()
                for condition in (events, checks)
            )

    def wipe_asset_partitions(self, asset_key: dg.AssetKey, partition_keys: Sequence[str]) -> None:
        """Forget all events and check results of an asset's partitions, in one transaction."""
        events, checks = _records(asset_key, partition_keys)
        with self.index_transaction() as connection:
            # First, as nobody else writes (SQLite) or sums up this asset (Postgres) after that.
            self._forget_summary(connection, asset_key)
            tagged = AssetEventTagsTable.c.event_id
            connection.execute(
                AssetEventTagsTable.delete().where(tagged.in_(sa.select(EVENTS.id).where(events)))
            )
            self._forget_events(connection, events, checks)
            connection.execute(AssetCheckExecutionsTable.delete().where(checks))
            self._restore_summary(connection, asset_key)

    @abstractmethod
    def _forget_events(
        self,
        connection: sa.Connection,
        events: sa.ColumnElement[bool],
        checks: sa.ColumnElement[bool],
    ) -> None:
        """Take partitions' events out of the index of assets, not out of their runs' logs."""

    def _forget_summary(self, connection: sa.Connection, asset_key: dg.AssetKey) -> None:
        connection.execute(
            AssetKeyTable.update()
            .where(AssetKeyTable.c.asset_key == asset_key.to_string())
            .values(NO_SUMMARY)
        )

    def _restore_summary(self, connection: sa.Connection, asset_key: dg.AssetKey) -> None:
        """Have the newest events that are left summed up as if they had just come."""
        newest = (
            sa.select(sa.func.max(EVENTS.id))
            .where(EVENTS.asset_key == asset_key.to_string())
            .where(EVENTS.dagster_event_type.in_(_SUMMARISED))
            .group_by(EVENTS.dagster_event_type)
        )
        query = sa.select(EVENTS.id, EVENTS.event).where(EVENTS.id.in_(newest)).order_by(EVENTS.id)
        for event_id, stored in connection.execute(query).all():
            event = deserialize_value(stored, dg.EventLogEntry)
            self._store_asset_event(connection, event, event_id)


def _records(
    asset_key: dg.AssetKey, partition_keys: Sequence[str]
) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    """Return the conditions for partitions' rows in the event log and among the checks."""
    key = asset_key.to_string()
    return (
        sa.and_(EVENTS.asset_key == key, EVENTS.partition.in_(partition_keys)),
        sa.and_(CHECKS.asset_key == key, CHECKS.partition.in_(partition_keys)),
    )
