"""The model's metrics, by hour and for the day."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from stupid_dagster.event_model import EventModel, measured_event_types
from stupid_dagster.event_model.expressions import matches, text_of
from stupid_dagster.event_model.measures import Metric
from stupid_dagster.tables import TABLES, conform


def build_metrics(model: EventModel, documents: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return the table `metrics`: whole and split by each metric's fields, test events left out.

    A metric without events has no rows: 0 for counts and sums. Ratios are not stored; they are
    quotients of two stored metrics.
    """
    frames = []
    for name, metric in model.metrics.items():
        if metric.kind == "ratio":
            continue
        events = _measured(model, metric, documents)
        if events is None:
            continue
        for grain in ("hour", "day"):
            for dimension in ("", *metric.by):
                frames.append(_aggregated(name, metric, events, grain, dimension))
    if not frames:
        return TABLES["metrics"].empty()
    table = pl.concat(frames).sort("grain", "metric", "dimension", "member", "time").collect()
    return conform("metrics", table)


def _measured(
    model: EventModel, metric: Metric, documents: Mapping[str, pl.DataFrame]
) -> pl.LazyFrame | None:
    """Return (hour, day, actor, value, the split fields) of the metric's events."""
    hour, day = _starts(model)
    frames = []
    for event_type in measured_event_types(model, metric):
        if event_type not in documents:
            continue
        frame = documents[event_type]
        value = pl.col(metric.field) if metric.field else pl.lit(1)
        value = text_of(value) if metric.kind == "distinct" else value.cast(pl.Float64)
        splits = [
            (text_of(pl.col(f)) if f in frame.columns else pl.lit(None, dtype=pl.String)).alias(
                f"by:{f}"
            )
            for f in metric.by
        ]
        frames.append(
            frame.lazy()
            .filter(matches(metric.where) & ~pl.col("is_test"))
            .select("actor", *splits, hour=hour, day=day, value=value)
            .filter(pl.col("value").is_not_null())
        )
    if not frames:
        return None
    # Numbers are counted twice as fast as texts. They are given to all event types together, for
    # those of one by itself would mean something else in another.
    coded = ["actor", "value"] if metric.kind == "distinct" else ["actor"]
    return pl.concat(frames).with_columns(pl.col(coded).cast(pl.Categorical).to_physical())


def _starts(model: EventModel) -> tuple[pl.Expr, pl.Expr]:
    """Return the starts of an event's hour and of its local day."""
    time = pl.col("timestamp")
    local = time.dt.convert_time_zone(model.timezone)
    # Of two midnights (clocks set back over it) the first; without any the first moment.
    midnight = (
        local.dt.date()
        .cast(pl.Datetime("ms"))
        .dt.replace_time_zone(model.timezone, ambiguous="earliest", non_existent="null")
    )
    day = pl.coalesce(midnight, local.dt.truncate("1d")).dt.convert_time_zone("UTC")
    return time.dt.truncate("1h"), day


def _aggregated(
    name: str,
    metric: Metric,
    events: pl.LazyFrame,
    grain: str,
    dimension: str,
) -> pl.LazyFrame:
    member = pl.col(f"by:{dimension}") if dimension else pl.lit("")
    value = pl.col("value")
    # Sorted, floats are added up in one order, however many threads there are: a worker with
    # more CPUs would else give other last digits, and the same day another version.
    match metric.kind:
        case "count":
            value = value.len()
        case "sum":
            value = value.implode().list.sort().list.sum()
        case "mean":
            value = value.implode().list.sort().list.mean()
        case _:
            value = value.n_unique()
    return (
        events.group_by(time=grain, member=member)
        .agg(
            value=value.cast(pl.Float64),
            events=pl.len(),
            actors=pl.col("actor").drop_nulls().n_unique(),
        )
        .filter(pl.col("member").is_not_null())
        .with_columns(grain=pl.lit(grain), metric=pl.lit(name), dimension=pl.lit(dimension))
        .select(TABLES["metrics"].schema.keys())
    )
