"""What values the fields of a day's documents have, in numbers that add up over days."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from stupid_dagster.connect.sketches import bottom_k
from stupid_dagster.event_model import EventModel
from stupid_dagster.event_model.expressions import distinct_hashes
from stupid_dagster.tables import TABLES, conform

TOP_VALUES = 50
"""Values of a day that are kept with their counts."""
LONGEST_VALUE = 100
"""Characters of a value that are kept."""


def build_field_statistics(
    model: EventModel, documents: Mapping[str, pl.DataFrame]
) -> pl.DataFrame:
    """Return the table `field_statistics`, in the event model's order of types and fields.

    One field is looked at after the other, so that memory holds the distinct values of one.
    """
    rows = [
        _statistics(name, frame[field])
        for name, frame in documents.items()
        for field in model.events[name].fields
    ]
    if not rows:
        return TABLES["field_statistics"].empty()
    return conform("field_statistics", pl.concat(rows))


def shortened(value: pl.Expr) -> pl.Expr:
    """Return a text cut at `LONGEST_VALUE` characters, with a mark where it is."""
    return (
        pl.when(value.str.len_chars() > LONGEST_VALUE)
        .then(pl.concat_str(value.str.head(LONGEST_VALUE), pl.lit("…")))
        .otherwise(value)
    )


def most_frequent(number: int) -> pl.Expr:
    """Return the first `number` of (value, count), most frequent first, then by value."""
    order = pl.struct("value", "count").sort_by("count", "value", descending=[True, False])
    return order.head(number)


def _statistics(event_type: str, values: pl.Series) -> pl.DataFrame:
    counts = values.drop_nulls().alias("value").value_counts()
    texts = counts["value"].cast(pl.String)
    least, most = counts["value"].min(), counts["value"].max()
    top = (
        counts.lazy()
        .select(value=shortened(pl.lit(texts)), count="count")
        .group_by("value")
        .agg(pl.col("count").sum())
        .select(most_frequent(TOP_VALUES).implode().alias("top_values"))
        .collect()
    )
    ends = pl.DataFrame(
        {"least": [least], "most": [most]}, {n: values.dtype for n in ("least", "most")}
    )
    return pl.concat(
        [
            pl.DataFrame(
                {
                    "event_type": [event_type],
                    "field": [values.name],
                    "documents": [len(values)],
                    "missing": [values.null_count()],
                    "distinct": [counts.height],
                }
            ),
            distinct_hashes(texts).select(bottom_k(pl.col("hash")).implode().alias("sketch")),
            top,
            ends.select(
                shortened(pl.col("least").cast(pl.String)).alias("min"),
                shortened(pl.col("most").cast(pl.String)).alias("max"),
            ),
        ],
        how="horizontal",
    )
