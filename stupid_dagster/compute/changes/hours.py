"""What an hour's value should have been, from the same hour of the days before it.

Plain NumPy on dense arrays of [hours, series], NaN where a value is missing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stupid_dagster.compute.arrays import Floats
from stupid_dagster.compute.changes.baseline import (
    MIN_BASELINE,
    MIN_SURPRISES,
    NORMAL_Q75,
    RELATIVE_FLOOR,
    Expectation,
    expectations,
    median,
    third_quartile,
)

HOURS = 24
FEW_DAYS = 2
"""With fewer earlier days than this no hour is judged; with fewer than 4, more carefully."""
EARLY_CAUTION = 2.0
"""How much larger the scale is with so few, at least."""
MIN_HOURS = 12
"""Hours of a day that are needed to tell its level."""


class Clock(NamedTuple):
    """Local day (from 0; less is left out) and hour by the clock (0 to 23) of each time."""

    day: NDArray[np.int64]
    hour: NDArray[np.int64]

    def fold(self, values: Floats) -> Floats:
        """Return [times, series] as [days, 24, series]: means of hours that come twice.

        NaN where clocks skip an hour.
        """
        days = int(self.day.max(initial=-1)) + 1
        inside = self.day >= 0
        cell = (self.day * HOURS + self.hour)[inside]
        total = np.zeros((days * HOURS, values.shape[1]))
        np.add.at(total, cell, values[inside])
        number = np.bincount(cell, minlength=days * HOURS).astype(float)
        number[number == 0] = np.nan
        return (total / number[:, None]).reshape(days, HOURS, -1)

    def unfold(self, grid: Floats) -> Floats:
        """Return [days, 24, series] as [times, series]."""
        result = grid[np.maximum(self.day, 0), self.hour]
        result[self.day < 0] = np.nan
        return result


def hourly_expectations(
    values: Floats,
    clock: Clock,
    baseline_days: int,
    *,
    noise: Floats,
    least: Floats,
    units: Floats,
    caution: Floats,
) -> Expectation:
    """Return the baseline and scale of every hour of every series, both [times, series].

    `values`, `noise` [times, series] and `least` [series] are as for `expectations`. `units`
    [times, series] says in what deviations of series without known noise are alike. Scales are
    multiplied by `caution` [series].

    Each hour of the clock is a daily series of its own, judged by
    `stupid_dagster.compute.changes.baseline.expectations`: the median of the same hour of the days
    before, moved by the weekday's effect on that hour.

    But seven values tell their spread badly, and 24 times as many hours as days can be wrong.
    So a scale is at least what all hours of the series have shown on the days before, in units
    of their Poisson deviation or of `units`: the third quartile of the surprises / 1.15; and
    half of the third largest of the days' largest ones, so that what has happened on three days
    before is notable at most, and one or two bad days hide nothing.

    With 2 or 3 earlier days the scale is twice that (where noise is known, only as far as
    `caution` doesn't do it already), and the
    baseline the kindest fair one: of two earlier values the nearer to the hour's own (which it
    is if it lies between them), of three the median; as it is, or moved by the day's own level
    (the median over 12 of its hours or more of value / baseline; of counts only).
    """
    grid, noise, units = clock.fold(values), np.nan_to_num(clock.fold(noise)), clock.fold(units)
    days, _, series = grid.shape
    daily = (days, HOURS * series)
    found = expectations(
        grid.reshape(daily), baseline_days, noise.reshape(daily), np.tile(least, HOURS)
    )
    baseline, scale = (part.reshape(grid.shape) for part in found)
    for day in range(1, min(MIN_BASELINE, days)):
        baseline[day] = _early_baseline(grid, day, least)
    poisson = np.sqrt(np.maximum(noise * baseline, noise**2))
    units = np.where(noise > 0, poisson, units)
    surprises = np.abs(grid - baseline) / units
    early = np.maximum(EARLY_CAUTION / caution, 1)
    for day in range(FEW_DAYS, days):
        usual = _usual_surprise(surprises[:day]) * units[day]
        if day < MIN_BASELINE:
            floor = np.fmax(RELATIVE_FLOOR * np.abs(baseline[day]), poisson[day])
            scale[day] = np.where(noise[day] > 0, early, EARLY_CAUTION) * np.fmax(usual, floor)
        else:
            scale[day] = np.fmax(scale[day], usual)
    baseline[:FEW_DAYS] = np.nan
    scale[np.isnan(baseline) | ~(scale > 0)] = np.nan
    return Expectation(clock.unfold(baseline), clock.unfold(scale * caution))


def usual_hours(values: Floats, clock: Clock, baseline_days: int) -> Floats:
    """Return the median of the same hour of the `baseline_days` days before [times, series]."""
    grid = clock.fold(values)
    usual = np.full_like(grid, np.nan)
    for day in range(1, len(grid)):
        before = grid[max(0, day - baseline_days) : day]
        usual[day] = median(before.reshape(len(before), -1)).reshape(usual[day].shape)
    return clock.unfold(usual)


def _early_baseline(grid: Floats, day: int, least: Floats) -> Floats:
    """Return the baselines [24, series] of a day with 1 to 3 days before it."""
    today, before = grid[day], np.sort(grid[:day], axis=0)  # NaN last
    known = np.isfinite(before).sum(axis=0)
    low = before[0]
    high = np.take_along_axis(before, np.maximum(known - 1, 0)[None], axis=0)[0]
    middle = before[1] if day == MIN_BASELINE - 1 else low

    def nearest(level: Floats | float) -> Floats:
        between = np.clip(today, low * level, high * level)
        fair = np.where(known == MIN_BASELINE - 1, middle * level, between)
        return np.where(known >= min(day, FEW_DAYS), fair, np.nan)

    plain = nearest(1.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(plain > 0, today / plain, np.nan)
    several = (np.isfinite(ratio).sum(axis=0) >= MIN_HOURS) & (least == 0)
    moved = nearest(np.where(several, median(ratio), 1.0))
    return np.where(np.abs(today - moved) < np.abs(today - plain), moved, plain)


def _usual_surprise(surprises: Floats) -> Floats:
    """Return the usual surprise of each series, of [days, 24, series]; 0 for too few."""
    days, _, series = surprises.shape
    every = surprises.reshape(-1, series)
    enough = np.isfinite(every).sum(axis=0) >= MIN_SURPRISES
    usual = np.where(enough, third_quartile(every) * NORMAL_Q75, 0.0)
    worst = np.sort(np.nan_to_num(surprises).max(axis=1), axis=0)
    return np.fmax(usual, worst[-3] / 2) if days >= MIN_BASELINE else usual
