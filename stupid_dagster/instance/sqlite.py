"""Dagster's SQLite storage, taught to forget single partitions, and to be quick."""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypedDict

import dagster as dg
import sqlalchemy as sa
from dagster._core.instance.utils import RUNLESS_RUN_ID
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster._core.storage.event_log.sqlite.sqlite_event_log import (
    INDEX_SHARD_NAME,
    SqliteEventLogStorage,
)
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage, _event_logs_directory
from dagster._serdes import ConfigurableClassData
from sqlalchemy.event import listen

from stupid_dagster.instance.wiping import CHECKS, EVENTS, WipeableEventLog

_OPEN_RUN_SHARDS = 4


class _Config(TypedDict):
    base_dir: str


class WipeableSqliteEventLog(WipeableEventLog, SqliteEventLogStorage):
    """An event log in SQLite files: one for each run, and an index of all assets' events."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
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

    # --- wiping ----------------------------------------------------------------------------

    def _forget_events(
        self,
        connection: sa.Connection,
        events: sa.ColumnElement[bool],
        checks: sa.ColumnElement[bool],
    ) -> None:
        """Delete them, and what the checks cite: a run's log has a file of its own."""
        evaluation = CHECKS.evaluation_event_storage_id
        # Until a check has a result it cites the event that planned it for all partitions.
        others = CHECKS.id.not_in(sa.select(CHECKS.id).where(checks))
        evaluations = (
            sa.select(evaluation).where(checks).except_(sa.select(evaluation).where(others))
        )
        newest = connection.execute(sa.select(sa.func.max(EVENTS.id))).scalar()
        connection.execute(
            SqlEventLogStorageTable.delete().where(sa.or_(events, EVENTS.id.in_(evaluations)))
        )
        self._keep_ids_rising(connection, newest)

    def _keep_ids_rising(self, connection: sa.Connection, newest: int | None) -> None:
        """Leave a note in place of the log's newest event if that is gone.

        SQLite gives the id after the highest, and sensors and automation conditions look only at
        events with a higher id than they last saw: an id used twice would be overlooked.
        """
        if newest == connection.execute(sa.select(sa.func.max(EVENTS.id))).scalar():
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
            self._event_log_storage = WipeableSqliteEventLog(_event_logs_directory(base_dir))

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: _Config
    ) -> WipeableSqliteStorage:
        """Return the storage that `dagster.yaml` describes (Dagster's returns its own class)."""
        return cls.from_local(inst_data=inst_data, **config_value)


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
