"""Each actor's behaviour over the feature window, from the day table `activity`."""

from __future__ import annotations

import polars as pl

from stupid_dagster.errors import ComputeError
from stupid_dagster.event_model import EventModel
from stupid_dagster.event_model.measures import Feature
from stupid_dagster.tables import conform

_HOUR_MS = 3_600_000
_MINUTE_MS = 60_000
_MADE_LATER = ("sessions", "ratio")
_BASE = ("actor", "day", "events", "is_test", "sessions")


def build_features(model: EventModel, activity_days: pl.LazyFrame) -> pl.DataFrame:
    """Return the table `features`: a row an actor, sorted, with a float64 per model feature.

    `activity_days` is the day table `activity` of the feature window's days, concatenated,
    with a column `day` (Date). Rows of test accounts are left out. By a feature's kind:

    - count, sum: added up over the days; 0 where there was nothing.
    - mean: sum of the terms over their number; null without terms.
    - distinct: number of distinct values over all days.
    - last: value of the last day that has one, as `encode` has it, or, with nothing to
      encode, as a number; null when it is neither.
    - ratio: of two of these, or of one and all events; null where nothing is divided by.
    - sessions: of the days' sessions, joined where the gap between them (across midnight) is
      at most the model's session gap: their number, the mean gap between them in hours (null
      with one session), or their mean length in minutes (null with none).

    Raises ComputeError when columns are missing.
    """
    features = model.features.columns
    _check_columns(activity_days, features)
    days = activity_days.filter(~pl.col("is_test").fill_null(value=False))
    table = (
        days.sort("actor", "day")
        .group_by("actor", maintain_order=True)
        .agg(
            pl.col("events").cast(pl.UInt64).sum(),
            *(_combined(name, f) for name, f in features.items() if f.kind not in _MADE_LATER),
        )
    )
    if any(feature.kind == "sessions" for feature in features.values()):
        table = table.join(_sessions(model, days), on="actor", how="left")
    columns = [_finished(name, feature).alias(name) for name, feature in features.items()]
    return conform("features", table.select("actor", "events", *columns).sort("actor").collect())


def _check_columns(activity_days: pl.LazyFrame, features: dict[str, Feature]) -> None:
    needed = list(_BASE)
    for name, feature in features.items():
        needed += [name] if feature.kind not in _MADE_LATER else []
        needed += [f"{name}__n"] if feature.kind == "mean" else []
    found = activity_days.collect_schema().names()
    if missing := [column for column in needed if column not in found]:
        raise ComputeError(
            f"activity lacks the columns {', '.join(missing)}: its days were made with another "
            "event model; materialise them again"
        )


def _combined(name: str, feature: Feature) -> pl.Expr:
    """Return a feature's aggregate over an actor's days, which are in time order."""
    value = pl.col(name)
    if feature.kind == "distinct":
        return value.explode().drop_nulls().n_unique()
    if feature.kind == "last":
        return value.drop_nulls().last()
    total = value.cast(pl.Float64).sum()
    if feature.kind == "mean":
        terms = pl.col(f"{name}__n").cast(pl.Float64).sum()
        return pl.when(terms > 0).then(total / terms).alias(name)
    return total


def _sessions(model: EventModel, days: pl.LazyFrame) -> pl.LazyFrame:
    """Return per actor: number of sessions, their total length and the gaps between them, in ms."""
    gap = pl.duration(seconds=model.session_gap_minutes * 60)
    start, end = pl.col("start"), pl.col("end")
    since = (start - end.shift(1)).over("actor")
    begins = (since.is_null() | (since > gap)).alias("begins")
    ordered = (
        days.select("actor", session="sessions")
        .explode("session", empty_as_null=False, keep_nulls=False)
        .select(
            "actor",
            start=pl.col("session").struct.field("start"),
            end=pl.col("session").struct.field("end"),
        )
        .sort("actor", "start", "end")
        .with_columns(begins, since=since.dt.total_milliseconds())
    )
    # The gaps inside joined sessions belong to their length.
    inside = pl.col("since").filter(~pl.col("begins")).sum()
    between = pl.col("since").filter(pl.col("begins"))
    return ordered.group_by("actor").agg(
        pl.col("begins").sum().cast(pl.Float64).alias("sessions:count"),
        ((end - start).dt.total_milliseconds().sum() + inside).alias("sessions:length"),
        between.mean().alias("sessions:gap"),
    )


def _finished(name: str, feature: Feature) -> pl.Expr:
    """Return a feature's final column: a finite float64, or null."""
    value = pl.col(name)
    match feature.kind:
        case "last" if feature.encode:
            value = value.cast(pl.String).replace_strict(
                feature.encode, default=None, return_dtype=pl.Float64
            )
        case "ratio" if feature.ratio:
            value = pl.col(feature.ratio.numerator) / pl.col(feature.ratio.denominator)
        case "sessions":
            count = pl.col("sessions:count").fill_null(0.0)
            match feature.sessions:
                case "count":
                    value = count
                case "mean_gap_hours":
                    value = pl.col("sessions:gap") / _HOUR_MS
                case _:
                    value = pl.when(count > 0).then(pl.col("sessions:length") / count / _MINUTE_MS)
    number = value.cast(pl.Float64, strict=False)
    return pl.when(number.is_finite()).then(number)
