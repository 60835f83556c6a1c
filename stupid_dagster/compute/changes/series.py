"""Dense series from the day table `metrics`: times without holes by series."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from stupid_dagster.compute.arrays import Floats, Ints
from stupid_dagster.errors import ComputeError
from stupid_dagster.event_model import EventModel
from stupid_dagster.tables import TIME

_ZERO_WHEN_ABSENT = ("count", "sum", "distinct")
_NEEDED = ("grain", "time", "metric", "dimension", "member", "value", "events", "actors")
_HOUR_MS = 3_600_000


class Key(NamedTuple):
    """A series: a metric, as a whole (`dimension` and `member` empty) or for one member."""

    metric: str
    dimension: str = ""
    member: str = ""


@dataclass(frozen=True)
class Series:
    """Values of many series at times without holes: local days, or the hours of them.

    `values`, `events` and `actors` are [times, series]. Rows of times of which the lake knows
    nothing are NaN; at the others counts, sums and numbers of distinct values are 0 where nothing
    happened, means and ratios are NaN. `day` is each time's local day, counted from the first;
    `hour` its hour by the clock, -1 for days. Of ratios `events` are the denominator and `actors`
    the numerator's.
    """

    starts: pl.Series
    day: Ints
    hour: Ints
    known: NDArray[np.bool_]
    keys: list[Key]
    values: Floats
    events: Floats
    actors: Floats

    def column(self, key: Key) -> int:
        """Return the column of a series. Raises KeyError when there is none."""
        return self._columns[key]

    def members(self, metric: str, dimension: str) -> list[tuple[str, int]]:
        """Return (member, column) of every member of a metric's dimension, by name."""
        return self._members.get((metric, dimension), [])

    @cached_property
    def _columns(self) -> dict[Key, int]:
        return {key: column for column, key in enumerate(self.keys)}

    @cached_property
    def _members(self) -> dict[tuple[str, str], list[tuple[str, int]]]:
        members: dict[tuple[str, str], list[tuple[str, int]]] = {}
        for column, key in enumerate(self.keys):
            if key.dimension:
                members.setdefault((key.metric, key.dimension), []).append((key.member, column))
        return members


def split_dimensions(model: EventModel, metric: str) -> list[str]:
    """Return the fields that a metric is followed by.

    A ratio is split by what both of its parts are split by (by its own `by` too, if given).
    """
    rule = model.metrics[metric]
    if rule.ratio is None:
        return list(rule.by)
    below = model.metrics[rule.ratio.denominator].by
    both = [field for field in model.metrics[rule.ratio.numerator].by if field in below]
    return [field for field in both if not rule.by or field in rule.by]


def daily_series(
    model: EventModel, metrics_days: pl.LazyFrame, days: Iterable[dt.date] | None = None
) -> Series:
    """Return the model's metrics, and their splits, as dense daily series.

    `metrics_days` are rows of the day table `metrics`; metrics that the model doesn't have are
    ignored. `days` are the local days that the lake has, for those on which nothing at all
    happened; by default the days that have rows. Raises ComputeError when columns are missing.
    """
    rows = _rows(model, metrics_days, "day")
    known = set(rows["day"].unique()).union(days or [])
    calendar = _calendar(known)
    place = (rows["day"] - min(known, default=dt.date.min)).dt.total_days()
    return _dense(
        model,
        rows.with_columns(place=place),
        starts=day_starts(model, calendar),
        day=np.arange(len(calendar)),
        hour=np.full(len(calendar), -1),
        known=np.array([day in known for day in calendar], dtype=bool),
    )


def hourly_series(
    model: EventModel, metrics_days: pl.LazyFrame, days: Iterable[dt.date] | None = None
) -> Series:
    """Return the same for every hour of those days.

    Hours are UTC's. One that a local midnight cuts (timezones of half an hour) belongs to the
    day it starts on, and is known if both days are. Where clocks go back, two hours have the
    same `hour`; where they go forward, one is missing. On the last day the hours from the last
    one with events on are unknown, unless it is the day's last: a running day has not had them
    yet, or not whole.
    """
    rows = _rows(model, metrics_days, "hour")
    # The rest of an hour that a midnight cuts has rows, and is no day of its own.
    known = set(rows["day"].unique() if days is None else days)
    calendar = _calendar(known)
    if not calendar:
        return daily_series(model, metrics_days.clear(), [])
    ends = day_starts(model, [calendar[0], calendar[-1] + dt.timedelta(1)])
    first = ends.dt.truncate("1h")[0]
    starts = pl.datetime_range(
        first, ends[1], "1h", closed="left", time_unit="ms", time_zone="UTC", eager=True
    ).alias("time")
    local = starts.dt.convert_time_zone(model.timezone)
    day = (local.dt.date() - calendar[0]).dt.total_days().to_numpy()
    last_moment = starts.dt.offset_by("59m59s").dt.convert_time_zone(model.timezone)
    end_day = (last_moment.dt.date() - calendar[0]).dt.total_days().to_numpy()
    has = np.array([*(d in known for d in calendar), False], dtype=bool)
    has_day = np.where(day >= 0, has[day], False) & has[end_day]
    rows = rows.with_columns(
        place=(pl.col("time") - pl.lit(first)).dt.total_milliseconds() // _HOUR_MS
    ).filter(pl.col("place").is_between(0, len(starts) - 1))
    last = rows["place"].max()
    if isinstance(last, int) and day[last] == len(calendar) - 1 and last < len(starts) - 1:
        has_day[last:] = False
    return _dense(
        model,
        _whole_hours(model, rows),
        starts=starts,
        day=day,
        hour=local.dt.hour().to_numpy().astype(np.int64),
        known=has_day,
    )


def _rows(model: EventModel, metrics_days: pl.LazyFrame, grain: str) -> pl.DataFrame:
    names = metrics_days.collect_schema().names()
    if missing := [column for column in _NEEDED if column not in names]:
        raise ComputeError(f"metrics lack the columns {', '.join(missing)}; found {names}")
    day = pl.col("time").dt.convert_time_zone(model.timezone).dt.date().alias("day")
    return metrics_days.filter(pl.col("grain") == grain).select(day, *_NEEDED[1:]).collect()


def _calendar(known: set[dt.date]) -> list[dt.date]:
    if not known:
        return []
    first = min(known)
    return [first + dt.timedelta(days=n) for n in range((max(known) - first).days + 1)]


def _whole_hours(model: EventModel, rows: pl.DataFrame) -> pl.DataFrame:
    """Put the two parts of each hour that a local midnight cuts together.

    Distinct values of both are added up: what is in both counts twice, every day alike.
    """
    means = [name for name, rule in model.metrics.items() if rule.kind == "mean"]
    mean = (pl.col("value") * pl.col("events")).sum() / pl.col("events").sum()
    value = pl.when(pl.col("metric").first().is_in(means)).then(mean)
    parts = rows.filter(pl.col("value").is_not_null()).group_by("place", *Key._fields)
    return parts.agg(
        value=value.otherwise(pl.col("value").sum()),
        events=pl.col("events").sum(),
        actors=pl.col("actors").sum(),
    )


def _dense(
    model: EventModel,
    rows: pl.DataFrame,
    *,
    starts: pl.Series,
    day: Ints,
    hour: Ints,
    known: NDArray[np.bool_],
) -> Series:
    """Return the series of `rows` (place, metric, dimension, member, value, events, actors)."""
    if not len(starts):
        return Series(starts, day, hour, known, [], *(np.zeros((0, 0)) for _ in range(3)))
    base = [name for name, rule in model.metrics.items() if rule.ratio is None]
    keys = _keys(rows, model, base)
    values = np.full((len(starts), len(keys)), np.nan)
    events, actors = np.full_like(values, np.nan), np.full_like(values, np.nan)
    values[known] = [0.0 if _counts(model, key) else np.nan for key in keys]
    events[known] = actors[known] = 0.0
    cells = rows.join(
        pl.DataFrame(
            keys, schema=dict.fromkeys(Key._fields, pl.String), orient="row"
        ).with_row_index("column"),
        on=list(Key._fields),
        how="inner",
    ).filter(pl.col("value").is_not_null())
    cells = cells.filter(pl.Series(known)[cells["place"]])
    at = (cells["place"].to_numpy(), cells["column"].to_numpy())
    values[at] = cells["value"].to_numpy()
    events[at] = cells["events"].fill_null(0).to_numpy()
    actors[at] = cells["actors"].fill_null(0).to_numpy()
    return _with_ratios(model, Series(starts, day, hour, known, keys, values, events, actors))


def day_starts(model: EventModel, days: list[dt.date]) -> pl.Series:
    """Return the instants at which local days start: where clocks skip midnight, that moment."""
    starts = [dt.datetime(d.year, d.month, d.day, tzinfo=model.zone) for d in days]
    return pl.Series("time", [start.astimezone(dt.UTC) for start in starts], dtype=TIME)


def _counts(model: EventModel, key: Key) -> bool:
    return model.metrics[key.metric].kind in _ZERO_WHEN_ABSENT


def _keys(rows: pl.DataFrame, model: EventModel, base: list[str]) -> list[Key]:
    split = rows.filter(pl.col("dimension") != "").select(Key._fields)
    found = split.drop_nulls().unique().sort(Key._fields)
    splits = {(name, field) for name in base for field in model.metrics[name].by}
    members = [Key(*row) for row in found.iter_rows() if row[:2] in splits]
    return [*(Key(name) for name in base), *members]


def _with_ratios(model: EventModel, series: Series) -> Series:
    keys: list[Key] = []
    columns: list[Floats] = []
    weights: list[Floats] = []
    actors: list[Floats] = []
    for name, rule in model.metrics.items():
        if rule.ratio is None:
            continue
        above, below = rule.ratio.numerator, rule.ratio.denominator
        pairs = [(Key(name), series.column(Key(above)), series.column(Key(below)))]
        for field in split_dimensions(model, name):
            numerators = dict(series.members(above, field))
            for member, column in series.members(below, field):
                # A member of the denominator alone has had none of the numerator: 0.
                pairs.append((Key(name, field, member), numerators.get(member, -1), column))
        for key, numerator, denominator in pairs:
            bottom = series.values[:, denominator]
            top = series.values[:, numerator] if numerator >= 0 else np.zeros_like(bottom)
            keys.append(key)
            ratio = np.full_like(bottom, np.nan)
            np.divide(top, bottom, out=ratio, where=bottom > 0)
            columns.append(ratio)
            weights.append(bottom)
            actors.append(series.actors[:, numerator] if numerator >= 0 else np.zeros_like(bottom))
    if not keys:
        return series
    return replace(
        series,
        keys=[*series.keys, *keys],
        values=np.column_stack([series.values, *columns]),
        events=np.column_stack([series.events, *weights]),
        actors=np.column_stack([series.actors, *actors]),
    )
