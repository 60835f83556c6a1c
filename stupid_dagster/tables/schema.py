"""What a table of the lake is described by, and columns that several tables have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

Grain = Literal["day", "window", "all"]
GROUP_PREFIXES = ("cluster", "community", "event_cluster", "bots", "pattern")
"""What ids of groups begin with: they look like an entity's, so that no entity may have them."""
Refers = Literal["day", "document", "entity", "text", "json", "words", "said"]
"""What texts and numbers of a column refer to: a day, a document, an entity or a text, by its id;
JSON of any of these; or nothing, being words that come from users' data or are made for reading,
or `said`: an event's whole text.
"""

TIME = pl.Datetime("ms", "UTC")
STRINGS = pl.List(pl.String)


@dataclass(frozen=True)
class Column:
    """A column: name, Polars type, meaning, what its values refer to, and of numbers the unit.

    Days and times are known by their type. Other texts without a mark are names: what looks like
    a day, a document or an entity among them is taken for one (see `stages/audit.py`).
    """

    name: str
    dtype: Any
    description: str
    refers: Refers | None = None
    unit: str | None = None


@dataclass(frozen=True)
class Table:
    """A table of the lake, one partition a day; a window's partition is its last day.

    Of the grain `all` there is one partition for all time.
    """

    name: str
    grain: Grain
    description: str
    columns: tuple[Column, ...] = ()
    model_columns: str | None = None
    algorithm: str | None = None
    """How it is computed, and after whom; settings by their names. Every table has it."""
    outlives: bool = False
    """Kept when its days are evicted; holds counts, and no ids."""
    optional: bool = False
    """Days that were made before there was this table are complete without it."""

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
ACTOR = Column("actor", pl.String, "Entity id of the actor.", "entity")


def group_changes(name: str, groups: str) -> Table:
    """Return the table that says how groups changed since the previous window."""
    return Table(
        name,
        "window",
        f"{groups} of this window and the previous one, matched.",
        (
            Column("group_id", pl.String, "Id; of one that is gone, its last."),
            Column(
                "change",
                pl.String,
                "born, continued, split (off others), merged (of others) or died.",
            ),
            Column("previous_ids", STRINGS, "Groups of the previous window that it comes from."),
            Column("size", pl.UInt32, "Members now; 0 for one that died.", unit="members"),
            Column(
                "previous_size",
                pl.UInt32,
                "Members of its id in the previous window, or 0.",
                unit="members",
            ),
            Column("kept", pl.UInt32, "Members of its id in both windows.", unit="members"),
            Column(
                "overlap",
                pl.Float64,
                "kept over the members in either: 1 is the same.",
                unit="share, 0 to 1",
            ),
        ),
        algorithm=(
            "One-to-one matching of most likeness, by members in common (Jaccard; Greene et al. "
            "2010) and, for segments, centres; splits and merges by the share of members "
            "(Spiliopoulou et al. 2006)."
        ),
    )


def group_moves(name: str, groups: str, members: str) -> Table:
    """Return the table that says how many members moved from which group to which."""
    return Table(
        name,
        "window",
        f"How many {members} were in which {groups} in the previous window and in this one.",
        (
            Column("from_id", pl.String, "Group in the previous window; null: in none."),
            Column("to_id", pl.String, "Group in this window; null: in none."),
            Column(
                "members",
                pl.UInt32,
                "Members that were in the one and are in the other.",
                unit="members",
            ),
        ),
        algorithm="Counted from the members of both windows.",
    )
