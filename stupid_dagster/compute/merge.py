"""Day tables of a window, added up.

Each input is the concatenation of one day table over several days with the extra column `day`
(Date), and has at most one row per key and day. All run with Polars' streaming engine.
"""

from __future__ import annotations

import polars as pl

from stupid_dagster.tables import TABLES


def merge_entities(days: pl.LazyFrame) -> pl.LazyFrame:
    """Return the table `graph_nodes` of the days' `entities`, sorted by entity_id.

    A property is the newest value that any of the days gives; days differ in their properties
    if `days` was concatenated with `how="diagonal_relaxed"`.
    """
    merged = days.group_by("entity_id").agg(
        # An id determines them: no two entity types share a prefix.
        pl.col("type", "key").first(),
        _total("events"),
        pl.len().alias("days"),
        pl.col("first_seen").min(),
        pl.col("last_seen").max(),
        pl.col("is_test").all(),
        *_newest_properties(days),
    )
    return _typed("graph_nodes", merged).sort("entity_id")


def merge_edges(days: pl.LazyFrame) -> pl.LazyFrame:
    """Return the table `graph_edges` of the days' `edges`, sorted by type, source and target."""
    merged = days.group_by("type", "source", "target").agg(
        _total("weight"),
        pl.len().alias("days"),
        pl.col("first_seen").min(),
        pl.col("last_seen").max(),
    )
    return _typed("graph_edges", merged).sort("type", "source", "target")


def merge_texts(days: pl.LazyFrame) -> pl.LazyFrame:
    """Return the distinct texts of the days' `texts`, sorted by text_id.

    Columns: text_id (UInt64), event_type, text, count (UInt32, events of all days), days
    (List(Date), ascending), example (id of a document of the newest of those days).
    """
    return (
        days.group_by("text_id")
        .agg(
            pl.col("event_type", "text").first(),
            _total("count").cast(pl.UInt32),
            pl.col("day").sort().alias("days"),
            pl.col("example").max_by("day"),
        )
        .sort("text_id")
    )


def _total(name: str) -> pl.Expr:
    """Return the sum as UInt64, whose cast to UInt32 fails where the sum itself would wrap."""
    return pl.col(name).cast(pl.UInt64).sum()


def _newest_properties(days: pl.LazyFrame) -> list[pl.Expr]:
    """Return the aggregate of `properties`, or nothing where there is no such column."""
    dtype = days.collect_schema().get("properties")
    if not isinstance(dtype, pl.Struct):
        return []
    values = [pl.col("properties").struct.field(field.name) for field in dtype.fields]
    if not values:
        return [pl.col("properties").first()]
    # Days don't overlap, so that no two rows of an entity have the same last_seen.
    newest = [value.max_by(pl.when(value.is_not_null()).then("last_seen")) for value in values]
    return [pl.struct(newest).alias("properties")]


def _typed(name: str, frame: pl.LazyFrame) -> pl.LazyFrame:
    """Return `frame` with the table's columns in its order and types; `properties` comes last."""
    columns = [pl.col(column).cast(dtype) for column, dtype in TABLES[name].schema.items()]
    return frame.select(*columns, pl.col("^properties$"))
