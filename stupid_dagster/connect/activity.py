"""What each actor did in a day, in numbers that add up over days."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from stupid_dagster.event_model import EventModel, measured_event_types
from stupid_dagster.event_model.expressions import matches, text_of
from stupid_dagster.event_model.measures import Feature
from stupid_dagster.tables import TABLES, conform


def build_activity(model: EventModel, documents: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return the table `activity`: one row an actor, sorted, with the features' columns."""
    events = _all_events(documents)
    table = (
        events.group_by("actor")
        .agg(
            events=pl.len(),
            first_seen=pl.col("timestamp").min(),
            last_seen=pl.col("timestamp").max(),
            is_test=pl.col("is_test").any(),
        )
        .join(_sessions(model, events), on="actor", how="left")
    )
    for name, feature in model.features.columns.items():
        if feature.kind in ("sessions", "ratio"):  # made of the others, over the window
            continue
        columns = _feature(model, name, feature, documents)
        if columns is None:
            table = table.with_columns(_absent(name, feature))
        else:
            table = table.join(columns, on="actor", how="left")
    added_up = [
        name for name, feature in model.features.columns.items() if feature.kind in ("count", "sum")
    ]
    filled = table.with_columns(pl.col(added_up).fill_null(0))
    return conform("activity", filled.sort("actor").collect())


def _all_events(documents: Mapping[str, pl.DataFrame]) -> pl.LazyFrame:
    base = ["actor", "timestamp", "is_test"]
    frames = [frame.lazy().select(base) for frame in documents.values()]
    if not frames:
        return TABLES["documents"].empty().lazy().select(base)
    return pl.concat(frames).filter(pl.col("actor").is_not_null())


def _sessions(model: EventModel, events: pl.LazyFrame) -> pl.LazyFrame:
    gap = pl.duration(seconds=model.session_gap_minutes * 60)
    starts = pl.col("timestamp").diff().over("actor") > gap
    return (
        events.sort("actor", "timestamp")
        .with_columns(session=starts.fill_null(value=False).cum_sum().over("actor"))
        .group_by("actor", "session")
        .agg(
            start=pl.col("timestamp").min(),
            end=pl.col("timestamp").max(),
            events=pl.len().cast(pl.UInt32),
        )
        .sort("actor", "session")
        .group_by("actor", maintain_order=True)
        .agg(sessions=pl.struct("start", "end", "events"))
    )


def _feature(
    model: EventModel, name: str, feature: Feature, documents: Mapping[str, pl.DataFrame]
) -> pl.LazyFrame | None:
    """Return (actor, the feature's columns), or None when no event of the day can have it."""
    field = feature.field
    frames = [
        documents[event_type]
        .lazy()
        .filter(matches(feature.where) & pl.col("actor").is_not_null())
        .select("actor", "timestamp", *([pl.col(field).alias("value")] if field else []))
        for event_type in measured_event_types(model, feature)
        if event_type in documents
    ]
    if not frames:
        return None
    return pl.concat(frames).group_by("actor").agg(_aggregate(name, feature))


def _aggregate(name: str, feature: Feature) -> list[pl.Expr]:
    value = pl.col("value")
    match feature.kind:
        case "count":
            return [pl.len().alias(name)]
        case "sum":
            return [value.cast(pl.Float64).sum().alias(name)]
        case "mean":
            number = value.cast(pl.Float64)
            return [number.sum().alias(name), number.count().alias(f"{name}__n")]
        case "distinct":
            return [text_of(value).drop_nulls().unique().sort().alias(name)]
        case _:
            # Of several values at one moment the greatest, so that it is always the same.
            return [text_of(value.sort_by("timestamp", "value").drop_nulls().last()).alias(name)]


def _absent(name: str, feature: Feature) -> list[pl.Expr]:
    types = {"count": pl.UInt32, "sum": pl.Float64, "mean": pl.Float64, "last": pl.String}
    columns = [pl.lit(None, dtype=types.get(feature.kind, pl.List(pl.String))).alias(name)]
    if feature.kind == "mean":
        columns.append(pl.lit(None, dtype=pl.UInt32).alias(f"{name}__n"))
    return columns
