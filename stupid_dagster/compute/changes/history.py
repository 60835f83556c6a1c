"""What stays of days and windows when they are evicted: counts and measures."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from functools import partial

import polars as pl

from stupid_dagster.compute.changes.growth import NEW_ACTORS
from stupid_dagster.compute.changes.trends import SEVERITIES
from stupid_dagster.compute.events.event_clusters import NOISE_ID
from stupid_dagster.compute.sequences.patterns import VANISHED
from stupid_dagster.event_model import EventModel
from stupid_dagster.tables import TABLES, conform

MOST_GROUPS = 50
"""Largest segments, and communities, whose sizes are kept."""
METRIC = "metric"

_KEY = ["day", "kind", "name"]


def window_history(
    model: EventModel, tables: Mapping[str, pl.LazyFrame], last_day: dt.date
) -> pl.DataFrame:
    """Return what one window knows, as rows of the table `history`.

    `tables` are its window tables, those of them that there are: of `trends` the metrics of
    every day as a whole, and how many rows of the last day have which severity; of `clusters`
    and `communities` the sizes of the 50 largest; `graph_statistics`; `anomalies` by severity,
    `patterns` that have not vanished by category; of `event_clusters` their number, events,
    and events of noise. All but metrics are dated with the window's last day.
    """
    rows = []
    found = dict(tables)
    if "trends" in found:
        rows.append(_metrics(found["trends"], model))
        found["trends"] = found["trends"].filter(_day(model) == last_day)
    for table, (kind, counted) in _COUNTED.items():
        if table in found:
            counts = counted(found[table])
            rows.append(counts.with_columns(day=pl.lit(last_day), kind=pl.lit(kind)))
    if not rows:
        return TABLES["history"].empty()
    columns = [*_KEY, pl.col("value").cast(pl.Float64)]
    table = pl.concat([row.select(columns) for row in rows]).drop_nulls().collect()
    return conform("history", table.sort(_KEY))


def merge_history(
    own: pl.DataFrame, last_day: dt.date, others: Iterable[tuple[dt.date, pl.DataFrame]]
) -> pl.DataFrame:
    """Return the table `history`: a window's own rows and all that other partitions know.

    `others` are (last day, `history`) of any windows, later ones and an earlier version of this
    one included. Of one metric and day this window's value is taken, else the latest window's:
    it knows the day's newest version. Of everything else, and of new actors (who grow fewer the
    more days before are known), that of the window that ends nearest to the day. What this
    window found before and finds no more is dropped.
    """
    found_again = own.filter(pl.col("kind") != METRIC)["kind"].unique().to_list()
    stale = (pl.col("day") == last_day) & pl.col("kind").is_in(found_again)
    frames = [own.with_columns(window=pl.lit(last_day), other=pl.lit(False))]
    for window, rows in others:
        kept = rows.filter(~stale)
        frames.append(kept.with_columns(window=pl.lit(window), other=pl.lit(True)))
    by_newest = (pl.col("kind") == METRIC) & (pl.col("name") != NEW_ACTORS)
    distance = (pl.col("window") - pl.col("day")).dt.total_days().abs()
    table = (
        pl.concat(frames)
        .sort(
            pl.when(~by_newest).then(distance), "other", "window", descending=[False, False, True]
        )
        .unique(_KEY, keep="first", maintain_order=True)
        .select(*TABLES["history"].schema)
    )
    return conform("history", table.sort(_KEY))


def _metrics(trends: pl.LazyFrame, model: EventModel) -> pl.LazyFrame:
    return trends.filter(pl.col("grain") == "day", pl.col("dimension") == "").select(
        _day(model), kind=pl.lit(METRIC), name="metric", value="value"
    )


def _day(model: EventModel) -> pl.Expr:
    return pl.col("time").dt.convert_time_zone(model.timezone).dt.date().alias("day")


def _sizes(groups: pl.LazyFrame, name: str) -> pl.LazyFrame:
    largest = groups.sort("size", name, descending=[True, False]).head(MOST_GROUPS)
    return largest.select(name=name, value="size")


def _graph(table: pl.LazyFrame) -> pl.LazyFrame:
    kind = pl.when(pl.col("type") != "").then(pl.lit(" ") + pl.col("type")).otherwise(pl.lit(""))
    return table.select(name=pl.col("statistic") + kind.fill_null(""), value="value")


def _by_severity(table: pl.LazyFrame) -> pl.LazyFrame:
    """Count the rows of each severity but the lowest, 0 included."""
    levels = pl.LazyFrame({"name": SEVERITIES[1:]})
    found = table.group_by(name="severity").agg(value=pl.len())
    return levels.join(found, on="name", how="left").with_columns(pl.col("value").fill_null(0))


def _patterns(table: pl.LazyFrame) -> pl.LazyFrame:
    there = table.filter(pl.col("status").fill_null("new") != VANISHED)
    return there.group_by(name="category").agg(value=pl.len())


def _event_clusters(table: pl.LazyFrame) -> pl.LazyFrame:
    noise, events = pl.col("event_cluster_id") == NOISE_ID, pl.col("events").cast(pl.Float64)
    counted = table.select(
        clusters=(~noise).sum().cast(pl.Float64),
        events=events.filter(~noise).sum(),
        noise_events=events.filter(noise).sum(),
    )
    return counted.unpivot(variable_name="name", value_name="value")


_COUNTED: dict[str, tuple[str, Callable[[pl.LazyFrame], pl.LazyFrame]]] = {
    "clusters": ("cluster", partial(_sizes, name="cluster_id")),
    "communities": ("community", partial(_sizes, name="community_id")),
    "graph_statistics": ("graph", _graph),
    "trends": ("trends", _by_severity),
    "anomalies": ("anomalies", _by_severity),
    "patterns": ("patterns", _patterns),
    "event_clusters": ("event_clusters", _event_clusters),
}
"""By window table: the `kind` of its rows in `history`, and what makes them (name, value)."""
HISTORY_TABLES = tuple(_COUNTED)
"""Window tables that `window_history` draws on."""
