"""Each hour's and day's metrics against the days before it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray

from stupid_dagster.compute.arrays import Floats
from stupid_dagster.compute.changes.baseline import Expectation, expectations, usual_days
from stupid_dagster.compute.changes.drivers import Driver, find_drivers
from stupid_dagster.compute.changes.hours import Clock, hourly_expectations, usual_hours
from stupid_dagster.compute.changes.series import Key, Series, daily_series, hourly_series
from stupid_dagster.errors import ComputeError
from stupid_dagster.event_model import EventModel
from stupid_dagster.tables import TABLES, TIME, conform

SEVERITIES = ("normal", "notable", "significant", "critical")
"""By |z|, from 0, 2, 3 and 4 on."""
NOTABLE, SIGNIFICANT, CRITICAL = 2.0, 3.0, 4.0
HOUR_CAUTION, MEMBER_HOUR_CAUTION = 1.2, 2.0
"""How much larger the scales of hours are, so that of many times as many values as critical few
are critical by chance: 1.2 is for 24 times as many normal values, 2 for thousands with outliers."""

_ORDER = ("grain", "metric", "dimension", "member", "time")


def build_trends(
    model: EventModel,
    metrics_days: pl.LazyFrame,
    *,
    baseline_days: int = 7,
    days: Iterable[dt.date] | None = None,
) -> pl.DataFrame:
    """Return the table `trends` of the event model's metrics: days and hours.

    Arguments and errors are those of `daily_trends`. Sorted by grain, metric, dimension, member,
    time.
    """
    days = None if days is None else list(days)
    tables = [
        trends(model, metrics_days, baseline_days=baseline_days, days=days)
        for trends in (daily_trends, hourly_trends)
    ]
    return pl.concat(tables)


def daily_trends(
    model: EventModel,
    metrics_days: pl.LazyFrame,
    *,
    baseline_days: int = 7,
    days: Iterable[dt.date] | None = None,
) -> pl.DataFrame:
    """Return the rows of grain `day` of the table `trends`: each day against those before it.

    `metrics_days` are rows of the day table `metrics` of all days of a window; `days` the
    local days that the lake has (by default those with rows). Days missing from the lake have
    no rows here and no say; on the others counts, sums and numbers of distinct values are 0
    where nothing was recorded, means and ratios null. Ratios are computed here, per member
    too where both parts have that split.

    A day is judged by z = (value - baseline) / scale against the `baseline_days` calendar
    days before it, if the lake has 4 of them, else z is null and the severity normal:
    `stupid_dagster.compute.changes.baseline.expectations` says how, with its floors; the scale of a
    mean over fewer events than the baseline's median day grows by the root of the quotient.
    Severity by |z| from 2 notable, 3 significant, 4 critical; direction flat within |z| < 1;
    `since` is the first of the days in a row that were notable or worse in this direction.
    `drivers` of the whole's notable days are by
    `stupid_dagster.compute.changes.drivers.find_drivers`.

    Sorted by metric, dimension, member, time. Raises ComputeError when columns are missing, and
    for `baseline_days` below 1.
    """
    _check(baseline_days)
    series = daily_series(model, metrics_days, days)
    if not series.keys:
        return TABLES["trends"].empty()
    noise, least = _noise(model, series, partial(usual_days, baseline_days=baseline_days))
    usual = usual_days(series.events, baseline_days)
    expected = expectations(series.values, baseline_days, noise, least)
    return _table("day", model, series, _widened(model, series, expected, usual), usual)


def hourly_trends(
    model: EventModel,
    metrics_days: pl.LazyFrame,
    *,
    baseline_days: int = 7,
    days: Iterable[dt.date] | None = None,
) -> pl.DataFrame:
    """Return the rows of grain `hour`: each hour against the same hour of the days before it.

    As `daily_trends`, but with the baselines and scales of
    `stupid_dagster.compute.changes.hours.hourly_expectations`, from 2 earlier days on. Of members
    only the hours that are notable or worse have rows. The scale is 1.2 times that of a value
    looked at alone, for members twice. Hours that the last day has not had yet have no rows
    (`stupid_dagster.compute.changes.series.hourly_series`).
    """
    _check(baseline_days)
    series = hourly_series(model, metrics_days, days)
    if not series.keys:
        return TABLES["trends"].empty()
    clock = Clock(series.day, series.hour)
    usual_of = partial(usual_hours, clock=clock, baseline_days=baseline_days)
    noise, least = _noise(model, series, usual_of)
    usual = usual_of(series.events)
    means = _are_means(model, series)
    # The deviation of a mean of n terms goes with 1 / sqrt(n), of a sum with sqrt(n).
    terms = np.sqrt(np.maximum(usual, 1))
    expected = hourly_expectations(
        series.values,
        clock,
        baseline_days,
        noise=noise,
        least=least,
        units=np.where(means, 1 / terms, terms),
        caution=np.where(_are_members(series), MEMBER_HOUR_CAUTION, HOUR_CAUTION),
    )
    return _table("hour", model, series, _widened(model, series, expected, usual), usual)


def judged(values: Floats, expected: Expectation) -> tuple[Floats, NDArray[np.int64]]:
    """Return z and the place in `SEVERITIES` of values, both of the values' shape."""
    with np.errstate(invalid="ignore"):
        z = (values - expected.baseline) / expected.scale
    levels = [NOTABLE, SIGNIFICANT, CRITICAL]
    return z, np.digitize(np.nan_to_num(np.abs(z)), levels).astype(np.int64)


def trend_rows(
    grain: str,
    starts: pl.Series,
    wanted: NDArray[np.bool_],
    keys: list[Key],
    values: Floats,
    expected: Expectation,
    drivers: Mapping[tuple[int, int], list[Driver]] | None = None,
) -> pl.DataFrame:
    """Return rows of the table `trends` for the `wanted` cells of dense series [times, series].

    Sorted by metric, dimension, member, time.
    """
    z, severity = judged(values, expected)
    time, column = np.nonzero(wanted)
    z_of, level = z[time, column], severity[time, column]
    since = _run_starts(np.where(severity > 0, np.sign(z), 0).astype(np.int64))[time, column]
    frame = pl.DataFrame(keys, schema=list(Key._fields), orient="row")[column].with_columns(
        grain=pl.lit(grain),
        time=starts.gather(time),
        value=pl.Series(values[time, column]),
        baseline=pl.Series(expected.baseline[time, column]),
        scale=pl.Series(expected.scale[time, column]),
        z=pl.Series(z_of),
        severity=pl.Series(np.array(SEVERITIES)[level]),
        direction=pl.Series(np.where(z_of >= 1, "up", np.where(z_of <= -1, "down", "flat"))),
        since=pl.when(pl.Series(level) > 0).then(starts.gather(since)).cast(TIME),
        drivers=_driver_lists(drivers or {}, time, column),
    )
    frame = frame.with_columns(pl.col("value", "baseline", "scale", "z").fill_nan(None))
    return conform("trends", frame.sort(_ORDER))


def _driver_lists(
    drivers: Mapping[tuple[int, int], list[Driver]],
    time: NDArray[np.int64],
    column: NDArray[np.int64],
) -> pl.Series:
    """Return the drivers of each cell (time, column): a list, empty where it has none."""
    dtype = TABLES["trends"].schema["drivers"]
    cells = {"time": pl.Int64, "column": pl.Int64}
    found = pl.DataFrame(
        [(*cell, names) for cell, names in drivers.items()],
        schema={**cells, "drivers": dtype},
        orient="row",
    )
    wanted = pl.DataFrame({"time": time, "column": column}, schema=cells)
    lists = wanted.join(found, on=["time", "column"], how="left", maintain_order="left")["drivers"]
    return lists.fill_null(pl.Series([[]], dtype=dtype))


def _run_starts(signs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where the run of equal signs that each cell belongs to starts, [times, series]."""
    starts = np.zeros_like(signs)
    for time in range(1, len(signs)):
        starts[time] = np.where(signs[time] == signs[time - 1], starts[time - 1], time)
    return starts


def _check(baseline_days: int) -> None:
    if baseline_days < 1:
        raise ComputeError(f"baseline_days is {baseline_days}; it must be at least 1")


def _noise(
    model: EventModel, series: Series, usual: Callable[[Floats], Floats]
) -> tuple[Floats, Floats]:
    """Return the variance per unit of baseline [times, series] and least baselines [series].

    A count of single events varies as a Poisson number, by its mean; one of clumps, of `c`
    events an actor, by c times that (compound Poisson). The clumps of the time itself count, so
    that one busy actor is no trend, or the `usual` ones if larger.
    """
    noise = np.zeros_like(series.values)
    least = np.zeros(len(series.keys))
    for column, key in enumerate(series.keys):
        rule = model.metrics[key.metric]
        if rule.kind in ("count", "distinct"):
            noise[:, column] = 1.0
        elif rule.ratio and model.metrics[rule.ratio.numerator].kind == "count":
            # A count over a total: its variance is the count's over the total's square.
            total = series.events[:, column]
            np.divide(1.0, total, out=noise[:, column], where=total > 0)
        elif not rule.ratio:
            least[column] = -np.inf
    ratios = np.array([model.metrics[key.metric].ratio is not None for key in series.keys])
    amounts = np.where(ratios, series.values * series.events, series.values)
    clumps = np.fmax(_per(amounts, series.actors), _per(usual(amounts), usual(series.actors)))
    return noise * clumps, least


def _per(amounts: Floats, actors: Floats) -> Floats:
    """Return amounts per actor, at least 1, which is also what it is where nobody is known."""
    each = np.divide(amounts, actors, out=np.ones_like(amounts), where=actors > 0)
    return np.fmax(each, 1.0)


def _are_means(model: EventModel, series: Series) -> NDArray[np.bool_]:
    return np.array([model.metrics[key.metric].kind == "mean" for key in series.keys], dtype=bool)


def _are_members(series: Series) -> NDArray[np.bool_]:
    return np.array([bool(key.dimension) for key in series.keys], dtype=bool)


def _widened(
    model: EventModel, series: Series, expected: Expectation, usual_events: Floats
) -> Expectation:
    """Return the expectation with larger scales where a mean is over fewer events than usual.

    The deviation of a mean of n terms goes with 1 / sqrt(n).
    """
    fewer = np.maximum(usual_events / np.maximum(series.events, 1), 1)
    wider = np.where(_are_means(model, series), np.sqrt(np.nan_to_num(fewer, nan=1)), 1.0)
    return Expectation(expected.baseline, expected.scale * wider)


def _table(
    grain: str, model: EventModel, series: Series, expected: Expectation, usual_events: Floats
) -> pl.DataFrame:
    _, severity = judged(series.values, expected)
    drivers = find_drivers(model, series, expected, usual_events, severity > 0)
    wanted = np.broadcast_to(series.known[:, None], severity.shape)
    if grain == "hour":
        wanted = wanted & ((severity > 0) | ~_are_members(series))
    return trend_rows(grain, series.starts, wanted, series.keys, series.values, expected, drivers)
