"""What values the fields of events have in a window: its days' `field_statistics`, added up."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import polars as pl

from stupid_dagster.connect import bottom_k, distinct_values, most_frequent
from stupid_dagster.event_model import EventModel

MOST_VALUES = 20
"""Values of a field or property that the catalog names."""
_KEYS = ["event_type", "field"]
Values = dict[str, Any]
UNKNOWN: Values = {
    "distinct": None,
    "distinct_is_exact": False,
    "min": None,
    "max": None,
    "top_values": [],
}
"""What is said of a field of whose values no day tells."""


def window_fields(
    model: EventModel, days: pl.LazyFrame, *, whole: bool
) -> dict[tuple[str, str], Values]:
    """Return what is known of each (event type, field)'s values from rows of `field_statistics`.

    Keys as in `UNKNOWN`. `distinct` is estimated from the sketches; it is exact where these hold
    all values, of all days (`whole`). A top value's documents are `at_least` so many: on days that
    it was not among the most frequent of they aren't counted. Numbers and truth values are such.
    """
    rows = (
        days.group_by(_KEYS, maintain_order=True)
        .agg(
            bottom_k(pl.col("sketch").explode()).alias("sketch"),
            pl.col("distinct").max().alias("most_of_a_day"),
            *(pl.col(end).drop_nulls() for end in ("min", "max")),
        )
        .join(_top_values(days), on=_KEYS, how="left")
        .collect()
    )
    return {
        (row["event_type"], row["field"]): dict(_described(model, row, whole=whole))
        for row in rows.iter_rows(named=True)
    }


def _top_values(days: pl.LazyFrame) -> pl.LazyFrame:
    each = days.select(*_KEYS, "top_values").explode("top_values").unnest("top_values")
    return (
        each.drop_nulls("value")
        .group_by(*_KEYS, "value")
        .agg(pl.col("count").cast(pl.UInt64).sum())
        .group_by(_KEYS)
        .agg(most_frequent(MOST_VALUES).alias("top_values"))
    )


def _described(model: EventModel, row: dict[str, Any], *, whole: bool) -> Iterator[tuple[str, Any]]:
    kind = model.field_type(row["field"])
    estimate, exact = distinct_values(row["sketch"])
    yield "distinct", max(estimate, row["most_of_a_day"])
    yield "distinct_is_exact", exact and whole
    for end, extreme in (("min", min), ("max", max)):
        values = [_typed(text, kind) for text in row[end]]
        yield end, extreme((v for v in values if v is not None), default=None)
    tops = ((_typed(top["value"], kind), top["count"]) for top in row["top_values"] or ())
    yield (
        "top_values",
        [{"value": value, "at_least": count} for value, count in tops if value is not None],
    )


def _typed(text: str, kind: str) -> Any:
    """Return a value from its text; None where an older event model had it of another type."""
    with suppress(ValueError):
        match kind:
            case "integer":
                return int(text)
            case "float":
                return number if math.isfinite(number := float(text)) else None
            case "boolean":
                return {"true": True, "false": False}.get(text)
            case _:
                return text
    return None
