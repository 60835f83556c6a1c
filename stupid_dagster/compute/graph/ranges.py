"""The days' entities and edges in ranges of their keys, each small enough to be merged in memory.

Merging holds every row of the days with its key and properties, not only the merged ones. A range's
rows have no key in common with another's, and ranges are in the order of the keys: their merged
tables, one after the other, are the merged table of all.
"""

from __future__ import annotations

from itertools import pairwise

import polars as pl

ENTITIES_AT_ONCE = 2_000_000
EDGES_AT_ONCE = 8_000_000
"""Rows of the days' tables that are merged at once."""
SAMPLED = 1_000
"""One row in so many tells where the ranges end."""
Key = tuple[str, ...]


def entity_ranges(
    entities: pl.LazyFrame, rows: int = ENTITIES_AT_ONCE, *, sampled: int = SAMPLED
) -> list[pl.LazyFrame]:
    """Return the days' `entities` in ranges of about so many rows, in the order of their ids.

    Fewer rows are one range. Where ranges end is told by one row in so many (`sampled`).
    """
    count = entities.select(pl.len()).collect(engine="streaming").item()
    return _ranges(entities, ("entity_id",), -(-count // rows), sampled)


def edge_ranges(
    edges: pl.LazyFrame, rows: int = EDGES_AT_ONCE, *, sampled: int = SAMPLED
) -> list[pl.LazyFrame]:
    """Return the days' `edges` as `entity_ranges` does, by type, source and target.

    Each type is at least one range; without any edge there is one without rows.
    """
    counts = edges.group_by("type").len().collect(engine="streaming").sort("type")
    return [
        part
        for name, count in counts.iter_rows()
        for part in _ranges(
            edges.filter(pl.col("type") == name), ("source", "target"), -(-count // rows), sampled
        )
    ] or [edges]


def _ranges(frame: pl.LazyFrame, columns: Key, number: int, sampled: int) -> list[pl.LazyFrame]:
    """Return the rows of `frame` in about so many ranges of the key that columns make."""
    if number < 2:
        return [frame]
    sample = (
        frame.select(columns)
        .with_row_index("number")
        .filter(pl.col("number") % sampled == 0)
        .drop("number")
        .collect(engine="streaming")
        .sort(columns)
    )
    places = {sample.row(part * sample.height // number) for part in range(1, number)}
    bounds = [None, *sorted(places), None]
    return [_between(frame, columns, first, end) for first, end in pairwise(bounds)]


def _between(frame: pl.LazyFrame, columns: Key, first: Key | None, end: Key | None) -> pl.LazyFrame:
    """Return the rows whose key is at least `first` and before `end`; None is no bound."""
    # Of the first column alone Parquet's statistics know which row groups needn't be read.
    if first:
        frame = frame.filter(pl.col(columns[0]) >= first[0], _is_from(columns, first))
    if end:
        frame = frame.filter(pl.col(columns[0]) <= end[0], ~_is_from(columns, end))
    return frame


def _is_from(columns: Key, key: Key) -> pl.Expr:
    """Return whether a row's key is at least `key`, by the first column, then the next."""
    column, value = pl.col(columns[0]), key[0]
    if len(columns) == 1:
        return column >= value
    return (column > value) | ((column == value) & _is_from(columns[1:], key[1:]))
