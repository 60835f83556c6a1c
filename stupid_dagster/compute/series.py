"""Dense daily series from the day table `metrics`: calendar days by series."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from stupid_dagster.errors import ComputeError
from stupid_dagster.event_model import EventModel
from stupid_dagster.tables import TIME

Floats = NDArray[np.float64]

_ZERO_WHEN_ABSENT = ("count", "sum", "distinct")
_NEEDED = ("grain", "time", "metric", "dimension", "member", "value", "events")


class Key(NamedTuple):
    """A series: a metric, as a whole (`dimension` and `member` empty) or for one member."""

    metric: str
    dimension: str = ""
    member: str = ""


@dataclass(frozen=True)
class DailySeries:
    """Values of many series on a calendar without holes.

    `values` and `events` are [days, series]. Rows of days that the lake lacks are NaN; on
    the others counts, sums and numbers of distinct values are 0 where nothing happened,
    means and ratios are NaN.
    """

    days: list[dt.date]
    present: NDArray[np.bool_]
    keys: list[Key]
    values: Floats
    events: Floats

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
) -> DailySeries:
    """Return the model's metrics, and their splits, as dense daily series.

    `metrics_days` are rows of the day table `metrics`; those of grain `hour` are ignored, as
    are metrics that the model doesn't have. `days` are the local days that the lake has, for
    those on which nothing at all happened; by default the days that have rows.
    Raises ComputeError when columns are missing.
    """
    names = metrics_days.collect_schema().names()
    if missing := [column for column in _NEEDED if column not in names]:
        raise ComputeError(f"metrics lack the columns {', '.join(missing)}; found {names}")
    rows = (
        metrics_days.filter(pl.col("grain") == "day")
        .select(
            pl.col("time").dt.convert_time_zone(model.timezone).dt.date().alias("day"),
            *_NEEDED[2:],
        )
        .collect()
    )
    found: set[dt.date] = set(rows["day"].unique())
    known = found.union(days or [])
    if not known:
        return DailySeries([], np.zeros(0, bool), [], np.zeros((0, 0)), np.zeros((0, 0)))
    first = min(known)
    calendar = [first + dt.timedelta(days=n) for n in range((max(known) - first).days + 1)]
    present = np.array([day in known for day in calendar])
    base = [name for name, rule in model.metrics.items() if rule.ratio is None]
    keys = _keys(rows, model, base)
    values = np.full((len(calendar), len(keys)), np.nan)
    events = np.full_like(values, np.nan)
    absent = np.array([0.0 if _counts(model, key) else np.nan for key in keys])
    values[present] = absent
    events[present] = 0.0
    cells = rows.join(
        pl.DataFrame(keys, schema=list(Key._fields), orient="row").with_row_index("column"),
        on=list(Key._fields),
        how="inner",
    ).filter(pl.col("value").is_not_null())
    at = ((cells["day"] - first).dt.total_days().to_numpy(), cells["column"].to_numpy())
    values[at] = cells["value"].to_numpy()
    events[at] = cells["events"].fill_null(0).to_numpy()
    return _with_ratios(model, DailySeries(calendar, present, keys, values, events))


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


def _with_ratios(model: EventModel, series: DailySeries) -> DailySeries:
    keys: list[Key] = []
    columns: list[Floats] = []
    weights: list[Floats] = []
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
    if not keys:
        return series
    return DailySeries(
        series.days,
        series.present,
        [*series.keys, *keys],
        np.column_stack([series.values, *columns]),
        np.column_stack([series.events, *weights]),
    )
