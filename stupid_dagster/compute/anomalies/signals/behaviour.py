"""The behavioural signal: the last day against the actor's own days before."""

from __future__ import annotations

import numpy as np
import polars as pl

from stupid_dagster.compute.anomalies.signals.evidence import Evidence, columns_of
from stupid_dagster.compute.anomalies.signals.surprise import against_own_usual
from stupid_dagster.compute.arrays import Floats
from stupid_dagster.event_model import EventModel

HISTORY_DAYS = 7
"""Days before the last one that make what is usual."""
DAYS = "days"


def day_counters(model: EventModel, activity: pl.LazyFrame) -> pl.LazyFrame:
    """Return what can be counted in the table `activity`: its other columns, and float64s.

    These are events, sessions, and the features that are counts or numbers of distinct values, as
    far as the days have them: those of an earlier event model lack what it hadn't. Sums, means
    and last values have no distribution that is known beforehand.
    """
    known = activity.collect_schema().names()
    features = model.features.columns.items()
    kinds = {name: feature.kind for name, feature in features if name in known}
    counted = [
        pl.col("events"),
        pl.col("sessions").list.len(),
        *(pl.col(name) for name, kind in kinds.items() if kind == "count"),
        *(pl.col(name).list.len() for name, kind in kinds.items() if kind == "distinct"),
    ]
    others = [name for name in ("actor", "day") if name in known]
    return activity.select(*others, *(column.cast(pl.Float64).fill_null(0) for column in counted))


def own_history(counters: pl.LazyFrame) -> pl.LazyFrame:
    """Return the sum of each of an actor's counters over its days, and `days`, their number."""
    return counters.group_by("actor").agg(
        pl.len().cast(pl.Float64).alias(DAYS), pl.exclude("actor", "day").sum()
    )


def behaviour_evidence(actors: pl.Series, today: pl.DataFrame, history: pl.DataFrame) -> Evidence:
    """Return how far the actors' counters of the last day are from their own days before.

    `today` is of `day_counters`, `history` of `own_history` over the days before. A day of an
    actor is one on which it was there: to stay away is no deviation, and who is back after a
    pause is compared with what it did when it was there. An actor without such a day has no
    usual, and no deviation.
    """
    names = [name for name in today.columns if name not in ("actor", "day") and name in history]
    now = columns_of(actors, today, names)
    before = np.nan_to_num(columns_of(actors, history, [DAYS, *names]))
    items: dict[str, tuple[Floats, ...]] = {}
    for name, count, total in zip(names, now.T, before.T[1:], strict=True):
        items[name] = (count, *against_own_usual(count, total, before[:, 0], both_ways=True))
    return Evidence.of("behaviour", items, len(actors))
