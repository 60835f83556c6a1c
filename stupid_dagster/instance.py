"""Dagster's SQLite storage, taught to forget single partitions, and to be quick.

Open-source Dagster can wipe a whole asset but not one partition of it, so an evicted day would
show as materialised for ever. `WipeableSqliteStorage`, named in `dagster.yaml`, can. It rests on
private parts of Dagster, so releases that it wasn't tested with are refused.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
import time
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypedDict

import dagster as dg
import sqlalchemy as sa
from dagster._core.instance.utils import RUNLESS_RUN_ID
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    AssetEventTagsTable,
    AssetKeyTable,
    SqlEventLogStorageTable,
)
from dagster._core.storage.event_log.sqlite.sqlite_event_log import (
    INDEX_SHARD_NAME,
    SqliteEventLogStorage,
)
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage, _event_logs_directory
from dagster._serdes import ConfigurableClassData, deserialize_value
from packaging.specifiers import SpecifierSet
from sqlalchemy.event import listen

from stupid_dagster.errors import InstanceError

TESTED_DAGSTER = SpecifierSet(">=1.13.27,<1.14")

_OPEN_RUN_SHARDS = 4
_EVENTS = SqlEventLogStorageTable.c
_CHECKS = AssetCheckExecutionsTable.c
# `asset_keys` sums up the newest event of each of these.
_SUMMARISED = [
    event_type.value
    for event_type in (
        dg.DagsterEventType.ASSET_MATERIALIZATION,
        dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
        dg.DagsterEventType.ASSET_OBSERVATION,
    )
]


class _Config(TypedDict):
    base_dir: str


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
    if not isinstance(storage, WipeableEventLogStorage):
        raise InstanceError(
            f"the Dagster instance keeps its events in {type(storage).__name__}, which can't "
            "forget single partitions: copy the `storage:` section of stupid_dagster/dagster.yaml "
            "into the dagster.yaml in DAGSTER_HOME (a SQLite history there is taken over as it is)"
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


class WipeableEventLogStorage(SqliteEventLogStorage):
    """An event log in SQLite files: one for each run, and an index of all assets' events."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        if dg.__version__ not in TESTED_DAGSTER:
            raise InstanceError(
                f"stupid_dagster.instance was tested with Dagster {TESTED_DAGSTER}, and this is "
                f"{dg.__version__}: install a release in that range, or take the `storage:` "
                "section out of dagster.yaml (the history stays, but eviction can't mark days as "
                "missing)"
            )
        # By process, as a connection must not be used on the other side of a fork.
        self._engines: dict[tuple[int, str], sa.Engine] = {}
        weakref.finalize(self, _close, self._engines)
        super().__init__(base_dir, inst_data)

    # --- connections -----------------------------------------------------------------------
    # Dagster's own opens and closes a connection several times an event, and on each close
    # SQLite copies the write-ahead log into the file and syncs. Kept open, a run's bookkeeping
    # takes half the time, and a quarter on a busy disk.

    @contextmanager
    def _connect(self, shard: str) -> Iterator[sa.Connection]:
        with self._db_lock:
            engine = self._engine(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.begin() as connection:
                yield connection

    def _engine(self, shard: str) -> sa.Engine:
        """Return the engine of a shard's one connection, which is used under the lock only."""
        key = (os.getpid(), shard)
        engine = self._engines.pop(key, None)
        if engine is None:
            engine = sa.create_engine(
                self.conn_string_for_shard(shard),
                poolclass=sa.StaticPool,
                connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
            )
            listen(engine, "connect", _leave_syncing_to_checkpoints)
        self._engines[key] = engine  # the most recently used is the last
        runs = [key for key in self._engines if key[1] != INDEX_SHARD_NAME]
        for key in runs[:-_OPEN_RUN_SHARDS]:
            self._engines.pop(key).dispose()
        return engine

    def _disconnect(self) -> None:
        with self._db_lock:
            _close(self._engines)

    def store_event(self, event: dg.EventLogEntry) -> None:
        """Store an event, and wake those who follow its run."""
        super().store_event(event)
        # The UI's live log waits for a change of this file, but an open connection writes to the
        # log beside it.
        os.utime(self.path_for_shard(event.run_id))

    def wipe(self) -> None:
        """Remove all events."""
        self._disconnect()  # the files go
        super().wipe()

    def dispose(self) -> None:
        """Close what is open."""
        super().dispose()
        self._disconnect()

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
        """Remove all events and check results of an asset's partitions, in one transaction."""
        events, checks = _records(asset_key, partition_keys)
        checks_wiped = sa.select(_CHECKS.id).where(checks)
        evaluation = _CHECKS.evaluation_event_storage_id
        # Until a check has a result it cites the event that planned it for all partitions.
        evaluations_wiped = (
            sa.select(evaluation)
            .where(checks)
            .except_(sa.select(evaluation).where(_CHECKS.id.not_in(checks_wiped)))
        )
        doomed = sa.select(_EVENTS.id).where(sa.or_(events, _EVENTS.id.in_(evaluations_wiped)))
        with self.index_transaction() as connection:
            # A write comes first, so that nobody else writes between these statements.
            self._forget_summary(connection, asset_key)
            newest = connection.execute(sa.select(sa.func.max(_EVENTS.id))).scalar()
            connection.execute(
                AssetEventTagsTable.delete().where(AssetEventTagsTable.c.event_id.in_(doomed))
            )
            connection.execute(SqlEventLogStorageTable.delete().where(_EVENTS.id.in_(doomed)))
            connection.execute(AssetCheckExecutionsTable.delete().where(checks))
            self._keep_ids_rising(connection, newest)
            self._restore_summary(connection, asset_key)

    def _forget_summary(self, connection: sa.Connection, asset_key: dg.AssetKey) -> None:
        connection.execute(
            AssetKeyTable.update()
            .where(AssetKeyTable.c.asset_key == asset_key.to_string())
            .values(
                last_materialization=None,
                last_run_id=None,
                last_materialization_timestamp=None,
                cached_status_data=None,
            )
        )

    def _restore_summary(self, connection: sa.Connection, asset_key: dg.AssetKey) -> None:
        """Have the newest events that are left summed up as if they had just come."""
        newest = (
            sa.select(sa.func.max(_EVENTS.id))
            .where(_EVENTS.asset_key == asset_key.to_string())
            .where(_EVENTS.dagster_event_type.in_(_SUMMARISED))
            .group_by(_EVENTS.dagster_event_type)
        )
        query = (
            sa.select(_EVENTS.id, _EVENTS.event).where(_EVENTS.id.in_(newest)).order_by(_EVENTS.id)
        )
        for event_id, stored in connection.execute(query).all():
            event = deserialize_value(stored, dg.EventLogEntry)
            self._store_asset_event(connection, event, event_id)

    def _keep_ids_rising(self, connection: sa.Connection, newest: int | None) -> None:
        """Leave a note in place of the log's newest event if that is gone.

        SQLite gives the id after the highest, and sensors and automation conditions look only at
        events with a higher id than they last saw: an id used twice would be overlooked.
        """
        if newest == connection.execute(sa.select(sa.func.max(_EVENTS.id))).scalar():
            return
        note = dg.EventLogEntry(
            error_info=None,
            level=logging.INFO,
            user_message="The events up to here were wiped with their partitions.",
            run_id=RUNLESS_RUN_ID,
            timestamp=time.time(),
        )
        row = self._event_to_row(note) | {"id": newest}
        connection.execute(SqlEventLogStorageTable.insert().values(row))


class WipeableSqliteStorage(DagsterSqliteStorage):
    """Dagster's storage in SQLite files, with an event log that can forget partitions.

    In `dagster.yaml`: `storage: {custom: {module: stupid_dagster.instance, class:
    WipeableSqliteStorage, config: {base_dir: ...}}}`.
    """

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        # Two processes that make the same files at once can leave them unusable.
        with (Path(base_dir) / ".opening").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            super().__init__(base_dir, inst_data)
            self._event_log_storage = WipeableEventLogStorage(_event_logs_directory(base_dir))

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: _Config
    ) -> WipeableSqliteStorage:
        """Return the storage that `dagster.yaml` describes (Dagster's returns its own class)."""
        return cls.from_local(inst_data=inst_data, **config_value)


def _records(
    asset_key: dg.AssetKey, partition_keys: Sequence[str]
) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    """Return the conditions for partitions' rows in the event log and among the checks."""
    key = asset_key.to_string()
    return (
        sa.and_(_EVENTS.asset_key == key, _EVENTS.partition.in_(partition_keys)),
        sa.and_(_CHECKS.asset_key == key, _CHECKS.partition.in_(partition_keys)),
    )


def _close(engines: dict[tuple[int, str], sa.Engine]) -> None:
    for key in list(engines):
        engine = engines.pop(key)
        if key[0] == os.getpid():
            engine.dispose()


def _leave_syncing_to_checkpoints(connection: sqlite3.Connection, _record: Any) -> None:
    """Don't wait for the disk at each commit.

    A killed process loses nothing; a power cut may lose the last events, never the file.
    """
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
