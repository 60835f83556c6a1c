"""Dagster's storage on Postgres, taught to forget single partitions; for more than one machine.

Needs the extra `postgres`. docs/deployment.md tells what else several machines need.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import dagster as dg
import sqlalchemy as sa
from dagster._core.storage.config import PostgresStorageConfig
from dagster._core.storage.event_log.schema import (
    AssetEventTagsTable,
    AssetKeyTable,
    SqlEventLogStorageTable,
)
from dagster._serdes import ConfigurableClassData
from sqlalchemy.dialects import postgresql

from stupid_dagster.errors import InstanceError
from stupid_dagster.instance.wiping import EVENTS, NO_SUMMARY, WipeableEventLog

try:
    from dagster_postgres import DagsterPostgresStorage, PostgresEventLogStorage
    from dagster_postgres.utils import (
        DagsterPostgresException,
        create_pg_connection,
        create_pg_engine,
        get_token_provider_from_config,
        pg_url_from_config,
    )
except ModuleNotFoundError as error:
    raise InstanceError(
        f"dagster.yaml names Dagster's storage on Postgres, and {error.name} isn't installed: "
        "pip install 'stupid-dagster[postgres]'"
    ) from error

if TYPE_CHECKING:
    from dagster_postgres.auth import PgTokenProvider

# Any number that others don't lock: "stupid" on a telephone's keys.
_OPENING_LOCK = 788743


class WipeablePostgresEventLog(WipeableEventLog, PostgresEventLogStorage):
    """An event log in one Postgres database, for any number of processes and machines.

    An asset's row in `asset_keys` is the lock: who wipes its partitions holds it from the first
    statement to the last, and who stores an event of it takes it to sum the event up.
    """

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: PostgresStorageConfig
    ) -> WipeablePostgresEventLog:
        """Return the log that `event_log_storage:` describes (Dagster's returns its own class).

        Raises InstanceError where the server can't be reached.
        """
        postgres_url = _with_driver(pg_url_from_config(config_value))
        token_provider = get_token_provider_from_config(config_value)
        with _opening(postgres_url, token_provider):
            return cls(
                postgres_url,
                config_value.get("should_autocreate_tables", True),
                inst_data,
                token_provider,
            )

    def _forget_events(
        self,
        connection: sa.Connection,
        events: sa.ColumnElement[bool],
        checks: sa.ColumnElement[bool],
    ) -> None:
        """Part them from their asset: runs' logs are in the same table, and lose nothing."""
        connection.execute(
            SqlEventLogStorageTable.update().where(events).values(asset_key=None, partition=None)
        )

    def _forget_summary(self, connection: sa.Connection, asset_key: dg.AssetKey) -> None:
        # An asset's first event is there before its row is: without a row there were no lock.
        row = postgresql.insert(AssetKeyTable).values(asset_key=asset_key.to_string())
        connection.execute(
            row.on_conflict_do_update(index_elements=[AssetKeyTable.c.asset_key], set_=NO_SUMMARY)
        )

    def _store_asset_event(
        self, connection: sa.Connection, event: dg.EventLogEntry, event_id: int
    ) -> None:
        """Sum an event up, unless its partition was wiped after it was stored.

        Dagster stores an event in one transaction and sums it up in the next.
        """
        super()._store_asset_event(connection, event, event_id)  # waits for who is wiping
        asset_key = event.get_dagster_event().asset_key
        is_there = sa.select(EVENTS.asset_key).where(EVENTS.id == event_id)
        if asset_key is None or connection.execute(is_there).scalar() is not None:
            return
        connection.execute(
            AssetEventTagsTable.delete().where(AssetEventTagsTable.c.event_id == event_id)
        )
        self._forget_summary(connection, asset_key)
        self._restore_summary(connection, asset_key)


class WipeablePostgresStorage(DagsterPostgresStorage):
    """Dagster's storage on Postgres, with an event log that can forget partitions.

    In `dagster.yaml`: `storage: {custom: {module: stupid_dagster.instance.postgres, class:
    WipeablePostgresStorage, config: {postgres_url: ...}}}`; the other keys of `config` are those of
    Dagster's `storage: postgres`. Raises InstanceError where the server can't be reached.
    """

    def __init__(
        self,
        postgres_url: str,
        should_autocreate_tables: bool = True,
        inst_data: ConfigurableClassData | None = None,
        token_provider: PgTokenProvider | None = None,
    ) -> None:
        postgres_url = _with_driver(postgres_url)
        with _opening(postgres_url, token_provider):
            # First, as it refuses releases of Dagster before anything is written.
            event_log = WipeablePostgresEventLog(
                postgres_url, should_autocreate_tables, token_provider=token_provider
            )
            super().__init__(postgres_url, should_autocreate_tables, inst_data, token_provider)
        self._event_log_storage = event_log

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: PostgresStorageConfig
    ) -> WipeablePostgresStorage:
        """Return the storage that `dagster.yaml` describes (Dagster's returns its own class)."""
        return cls(
            postgres_url=pg_url_from_config(config_value),
            should_autocreate_tables=config_value.get("should_autocreate_tables", True),
            inst_data=inst_data,
            token_provider=get_token_provider_from_config(config_value),
        )


def _with_driver(postgres_url: str) -> str:
    """Name the driver that dagster-postgres brings: SQLAlchemy 2.1 takes another by default."""
    url = sa.make_url(postgres_url)
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg2")
    return url.render_as_string(hide_password=False)


@contextmanager
def _opening(postgres_url: str, token_provider: PgTokenProvider | None) -> Iterator[None]:
    """Let one process at a time make the tables.

    Another that found them half made would take them for an old release's until it ends.
    """
    engine = create_pg_engine(postgres_url, token_provider, poolclass=sa.NullPool)
    try:
        with create_pg_connection(engine) as connection, connection.begin():
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_OPENING_LOCK)))
            yield
    except DagsterPostgresException as error:
        where = engine.url.render_as_string(hide_password=True)
        reason = getattr(error.__cause__, "orig", error)
        raise InstanceError(
            f"Dagster's storage {where} can't be opened: {reason}; is the server up, and are "
            "address, database, user and password in dagster.yaml right?"
        ) from error
    finally:
        engine.dispose()
