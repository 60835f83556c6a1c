"""Every table of the lake: its grain, columns, types and meaning, in one place.

Checks, the UI's column schemas, the catalog and the documentation are made from it.
Columns that come from the event model are described by `model_columns`.
"""

from __future__ import annotations

import polars as pl

from stupid_dagster.tables.audit import AUDIT
from stupid_dagster.tables.day import DAY
from stupid_dagster.tables.schema import GROUP_PREFIXES, STRINGS, TIME, Column, Grain, Refers, Table
from stupid_dagster.tables.window import WINDOW

__all__ = [
    "DAY_TABLES",
    "GROUP_PREFIXES",
    "STRINGS",
    "TABLES",
    "TIME",
    "WINDOW_TABLES",
    "Column",
    "Grain",
    "Refers",
    "Table",
    "conform",
]

TABLES: dict[str, Table] = {table.name: table for table in (*DAY, *WINDOW, AUDIT)}
DAY_TABLES = [table.name for table in DAY]
WINDOW_TABLES = [table.name for table in WINDOW]


def conform(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Return `frame` with the table's columns first, cast to the table's types.

    Columns of the event model follow, as they are. Raises Polars' own errors when a column
    is missing or can't be cast, and ValueError for columns that the table doesn't have: those
    are bugs, not bad input.
    """
    schema = TABLES[name].schema
    extra = [column for column in frame.columns if column not in schema]
    if extra and TABLES[name].model_columns is None:
        raise ValueError(f"table {name} has no columns {extra}")
    return frame.select(*(pl.col(c).cast(t) for c, t in schema.items()), *extra)
