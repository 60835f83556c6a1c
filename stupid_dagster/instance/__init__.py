"""Dagster's storage, taught to forget single partitions: in SQLite files, or on Postgres.

`WipeableSqliteStorage`, here, or `stupid_dagster.instance.postgres.WipeablePostgresStorage` is
named in `dagster.yaml`. Postgres is imported only where it is named.
"""

from stupid_dagster.instance.sqlite import WipeableSqliteStorage
from stupid_dagster.instance.wiping import wipe_partitions

__all__ = ["WipeableSqliteStorage", "wipe_partitions"]
