"""What a table of the lake is described by, and columns that several tables have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

Grain = Literal["day", "window"]

TIME = pl.Datetime("ms", "UTC")
STRINGS = pl.List(pl.String)


@dataclass(frozen=True)
class Column:
    """A column: name, Polars type, meaning (with its unit)."""

    name: str
    dtype: Any
    description: str


@dataclass(frozen=True)
class Table:
    """A table of the lake, one partition a day; a window's partition is its last day."""

    name: str
    grain: Grain
    description: str
    columns: tuple[Column, ...] = ()
    model_columns: str | None = None

    @property
    def schema(self) -> dict[str, Any]:
        """Column names to Polars types, without the event model's own columns."""
        return {column.name: column.dtype for column in self.columns}

    def empty(self) -> pl.DataFrame:
        """Return the table with no rows."""
        return pl.DataFrame(schema=self.schema)


ENTITY_ID = "Entity id `<prefix>:<key>`."
SEEN = (
    Column("first_seen", TIME, "Time of the first event that shows it."),
    Column("last_seen", TIME, "Time of the last event that shows it."),
)
IS_TEST = Column("is_test", pl.Boolean, "Belongs to a test account; left out of knowledge.")
ACTOR = Column("actor", pl.String, "Entity id of the actor.")
