"""The engine's own metrics: actors never seen before, and sizes of segments and communities."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

import numpy as np
import polars as pl

from stupid_dagster.compute.changes.baseline import Expectation, expectations, usual_days
from stupid_dagster.compute.changes.series import Key, day_starts
from stupid_dagster.compute.changes.trends import trend_rows
from stupid_dagster.event_model import EventModel
from stupid_dagster.tables import TABLES

NEW_ACTORS = "new_actors"
SIZES = {
    "clusters": ("cluster", "cluster_id", "cluster_size"),
    "communities": ("community", "community_id", "community_size"),
}
"""Table of groups: dimension (and kind of `history`), id, metric."""
SHARE_DAYS = 3
"""Days before that tell what share of the actors not seen lately is new."""
MOST_GROUPS = 20
"""Largest groups whose sizes are followed."""
SIZE_WINDOWS = 6
"""Earlier windows that a size is compared with, at most; fewer than a week of them, so that
nothing is taken for a weekday's effect."""


def new_actor_trends(
    model: EventModel,
    activity_days: pl.LazyFrame,
    *,
    days: Iterable[dt.date],
    baseline_days: int = 7,
) -> pl.DataFrame:
    """Return rows of the table `trends`: each day's actors that no earlier day of the window has.

    `activity_days` are rows of the day table `activity` with their `day`, `days` the days that
    the lake has. On a window's first days all are new, and fewer and fewer later. So a day is
    judged by those not seen on the `baseline_days` days before it, which means the same on any
    day that has these days before it, against the same of 4 such days or more (with 7: from the
    window's 12th day on). Of these, a share is new to the whole window, fewer from day to day:
    the baseline and scale of them all are multiplied by the day's own share, or by the median of
    the 3 days before where that is less, since then more are really new. Test accounts are left
    out.
    """
    present = sorted(days)
    if not present:
        return TABLES["trends"].empty()
    first, last = present[0], present[-1]
    calendar = [first + dt.timedelta(days=n) for n in range((last - first).days + 1)]
    known = np.isin(np.array(calendar), np.array(present))
    new = _new_actors(activity_days.filter(pl.col("day").is_in(present)), baseline_days)
    place = (new["day"] - first).dt.total_days().to_numpy()
    value, recent = (np.where(known, 0.0, np.nan) for _ in range(2))
    value[place], recent[place] = new["never"].to_numpy(), new["lately"].to_numpy()
    for day in range(len(calendar)):
        if not known[max(0, day - baseline_days) : day].all() or day < baseline_days:
            recent[day] = np.nan
    judged = recent[:, None]
    expected = expectations(judged, baseline_days, np.ones_like(judged), np.zeros(1))
    share = np.where(judged == 0, 1.0, np.nan)  # of nobody; unknown where `judged` is
    np.divide(value[:, None], judged, out=share, where=judged > 0)
    share = np.where(share > (before := usual_days(share, SHARE_DAYS)), before, share)
    return trend_rows(
        "day",
        day_starts(model, calendar),
        known[:, None],
        [Key(NEW_ACTORS)],
        value[:, None],
        Expectation(expected.baseline * share, expected.scale * share),
    )


def size_trends(
    model: EventModel, groups: pl.DataFrame, kind: str, history: pl.DataFrame, last_day: dt.date
) -> pl.DataFrame:
    """Return rows of the table `trends`: sizes of a window's 20 largest groups.

    `groups` is the table `clusters` or `communities` (`kind` says which); `history` that table
    with earlier windows' sizes. A size is judged against the same group's in the last 6 of
    them, if 4 have it.
    """
    dimension, name, metric = SIZES[kind]
    largest = groups.sort("size", name, descending=[True, False]).head(MOST_GROUPS)
    ids = largest[name].sort().to_list()
    if not ids:
        return TABLES["trends"].empty()
    earlier = history.filter(pl.col("kind") == dimension, pl.col("day") < last_day)
    windows = earlier["day"].unique().sort().tail(SIZE_WINDOWS)
    now = largest.select(day=pl.lit(last_day), name=name, value=pl.col("size").cast(pl.Float64))
    rows = pl.concat([earlier.select("day", "name", "value"), now])
    order = pl.concat([windows, pl.Series([last_day])])
    sizes = np.full((len(order), len(ids)), np.nan)
    windows_of = pl.DataFrame({"day": order}).with_row_index("window")
    columns_of = pl.DataFrame({"name": ids}).with_row_index("column")
    cells = rows.join(windows_of, on="day").join(columns_of, on="name")
    sizes[cells["window"].to_numpy(), cells["column"].to_numpy()] = cells["value"].to_numpy()
    expected = expectations(sizes, SIZE_WINDOWS, np.ones_like(sizes), np.zeros(len(ids)))
    return trend_rows(
        "day",
        day_starts(model, [last_day]),
        np.ones((1, len(ids)), dtype=bool),
        [Key(metric, dimension, group) for group in ids],
        sizes[-1:],
        Expectation(expected.baseline[-1:], expected.scale[-1:]),
    )


def _new_actors(activity_days: pl.LazyFrame, lately: int) -> pl.DataFrame:
    """Return per day how many actors were `never` seen before, or not in the days `lately`."""
    actor, gap = pl.col("actor"), pl.col("day") - pl.col("day").shift()
    same = (actor == actor.shift()).fill_null(False)
    return (
        activity_days.filter(~pl.col("is_test"))
        # Numbers are sorted ten times as fast as texts.
        .select(actor.cast(pl.Categorical).to_physical(), "day")
        .sort("actor", "day")
        .select("day", never=~same, lately=~same | (gap > pl.duration(days=lately)))
        .group_by("day")
        .agg(pl.col("never", "lately").sum())
        .collect()
    )
