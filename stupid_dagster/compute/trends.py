"""Each day's metrics against the days before it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

import numpy as np
import polars as pl

from stupid_dagster.compute.baseline import Expectation, Floats, expectations, median
from stupid_dagster.compute.series import DailySeries, Key, daily_series, day_starts
from stupid_dagster.event_model import EventModel
from stupid_dagster.tables import TABLES, conform

SEVERITIES = ("normal", "notable", "significant", "critical")
"""By |z|, from 0, 2, 3 and 4 on."""
NOTABLE, SIGNIFICANT, CRITICAL = 2.0, 3.0, 4.0
MAX_DRIVERS = 5
MIN_CONTRIBUTION = 0.05
"""Members that explain less of a change than this are not named."""


def daily_trends(
    model: EventModel,
    metrics_days: pl.LazyFrame,
    *,
    baseline_days: int = 7,
    days: Iterable[dt.date] | None = None,
) -> pl.DataFrame:
    """Return the table `trends`: every metric of every day against the days before it.

    `metrics_days` are rows of the day table `metrics` of all days of a window; `days` the
    local days that the lake has (by default those with rows). Days missing from the lake have
    no rows here and no say; on the others counts, sums and numbers of distinct values are 0
    where nothing was recorded, means and ratios null. Ratios are computed here, per member
    too where both parts have that split.

    A day is judged by z = (value - baseline) / scale against the `baseline_days` calendar
    days before it, if the lake has 4 of them, else z is null and the severity normal:
    `stupid_dagster.compute.baseline.expectations` says how, with its floors; the scale of a
    mean over fewer events than the baseline's median day grows by the root of the quotient.
    Severity by |z| from 2 notable, 3 significant, 4 critical; direction flat within |z| < 1.

    `drivers` of the whole's notable days are the members (at most 5, of any dimension) with
    the largest share of the change: (member's value - its baseline) / (whole's value - its
    baseline); for means the members' events weigh; for ratios members of the numerator count,
    over the whole's denominator. The shares of one dimension add up to about 1, not exactly:
    a sum of medians isn't the median of the sum.

    Sorted by metric, dimension, member, time. Raises ComputeError when columns are missing.
    """
    if baseline_days < 1:
        raise ValueError(f"baseline_days must be at least 1, not {baseline_days}")
    if not model.metrics:
        return TABLES["trends"].empty()
    series = daily_series(model, metrics_days, days)
    if not series.days:
        return TABLES["trends"].empty()
    expected = expectations(series.values, baseline_days, *_noise(model, series))
    expected = _widened(model, series, expected, baseline_days)
    with np.errstate(invalid="ignore"):
        z = (series.values - expected.baseline) / expected.scale
        severity = np.digitize(np.nan_to_num(np.abs(z)), [NOTABLE, SIGNIFICANT, CRITICAL])
    with np.errstate(invalid="ignore", divide="ignore"):  # of members that no event has
        drivers = _drivers(model, series, expected, severity, baseline_days)
    return _table(model, series, expected, z, severity, drivers)


def _noise(model: EventModel, series: DailySeries) -> tuple[Floats, Floats]:
    """Return the variance per unit of baseline [days, series] and the least baselines [series]."""
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
    return noise, least


def _widened(
    model: EventModel, series: DailySeries, expected: Expectation, baseline_days: int
) -> Expectation:
    """Return the expectation with larger scales where a mean is over fewer events than usual.

    The deviation of a mean of n terms goes with 1 / sqrt(n).
    """
    means = np.array([model.metrics[key.metric].kind == "mean" for key in series.keys])
    scale = expected.scale.copy()
    for day in range(1, len(series.days)):
        usual = median(series.events[max(0, day - baseline_days) : day, means])
        fewer = np.maximum(usual / np.maximum(series.events[day, means], 1), 1)
        scale[day, means] *= np.sqrt(np.nan_to_num(fewer, nan=1))
    return Expectation(expected.baseline, scale)


def _drivers(
    model: EventModel,
    series: DailySeries,
    expected: Expectation,
    severity: np.ndarray,
    baseline_days: int,
) -> dict[tuple[int, int], list[dict[str, str | float]]]:
    """Return the drivers of each (day, column) of a whole that is notable or worse."""
    found: dict[tuple[int, int], list[dict[str, str | float]]] = {}
    for column, key in enumerate(series.keys):
        if key.dimension:
            continue
        for day in np.flatnonzero(severity[:, column]):
            change = series.values[day, column] - expected.baseline[day, column]
            shares = [
                (share / change, field, member)
                for field in _explaining(model, key.metric)
                for member, share in _changes(
                    model, series, expected, key, field, int(day), baseline_days
                )
            ]
            shares = sorted((s for s in shares if s[0] >= MIN_CONTRIBUTION), key=_largest_first)
            found[int(day), column] = [
                {"dimension": field, "member": member, "contribution": share}
                for share, field, member in shares[:MAX_DRIVERS]
            ]
    return found


def _largest_first(share: tuple[float, str, str]) -> tuple[float, str, str]:
    return -share[0], share[1], share[2]


def _explaining(model: EventModel, metric: str) -> list[str]:
    rule = model.metrics[metric]
    return list(model.metrics[rule.ratio.numerator].by if rule.ratio else rule.by)


def _changes(
    model: EventModel,
    series: DailySeries,
    expected: Expectation,
    key: Key,
    field: str,
    day: int,
    baseline_days: int,
) -> list[tuple[str, float]]:
    """Return what each member of a dimension adds to the whole's change, in the metric's unit."""
    rule = model.metrics[key.metric]
    metric = rule.ratio.numerator if rule.ratio else key.metric
    members = series.members(metric, field)
    columns = [column for _, column in members]
    now, before = series.values[day, columns], expected.baseline[day, columns]
    if rule.ratio:
        below = series.column(Key(rule.ratio.denominator))
        change = now / series.values[day, below] - before / expected.baseline[day, below]
    elif rule.kind == "mean":
        # Each member's pull on the mean is its share of events times its distance from it.
        usual = expected.baseline[day, series.column(key)]
        past = median(series.events[max(0, day - baseline_days) : day, columns])
        today = series.events[day, columns]
        pull_now = np.nan_to_num(today / today.sum() * (now - usual))
        change = pull_now - np.nan_to_num(past / past.sum() * (before - usual))
    else:
        change = now - before
    known = np.isfinite(change)
    return [
        (member, float(c)) for (member, _), c, k in zip(members, change, known, strict=True) if k
    ]


def _table(
    model: EventModel,
    series: DailySeries,
    expected: Expectation,
    z: Floats,
    severity: np.ndarray,
    drivers: dict[tuple[int, int], list[dict[str, str | float]]],
) -> pl.DataFrame:
    day, column = np.nonzero(np.broadcast_to(series.present[:, None], z.shape))
    keys = pl.DataFrame(series.keys, schema=list(Key._fields), orient="row")
    starts = day_starts(model, series.days)
    direction = np.where(z >= 1, "up", np.where(z <= -1, "down", "flat"))
    frame = keys[column].with_columns(
        time=starts.gather(day),
        value=pl.Series(series.values[day, column]),
        baseline=pl.Series(expected.baseline[day, column]),
        scale=pl.Series(expected.scale[day, column]),
        z=pl.Series(z[day, column]),
        severity=pl.Series(np.array(SEVERITIES)[severity[day, column]]),
        direction=pl.Series(direction[day, column]),
        drivers=pl.Series(
            [drivers.get(cell, []) for cell in zip(day.tolist(), column.tolist(), strict=True)],
            dtype=TABLES["trends"].schema["drivers"],
        ),
    )
    frame = frame.with_columns(pl.col("value", "baseline", "scale", "z").fill_nan(None))
    return conform("trends", frame.sort("metric", "dimension", "member", "time"))
