"""What a day's value should have been, and how far off is far, from the days before it.

Plain NumPy on dense arrays of [days, series], NaN where a value is missing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stupid_dagster.compute.arrays import Floats

MIN_BASELINE = 4
"""With fewer earlier days than this a day isn't judged."""
MIN_SURPRISES = 8
"""Earlier surprises needed before they count."""
RELATIVE_FLOOR = 0.05
"""No deviation counts as less than this share of the baseline: z = 4 is at least 20 % off."""
WEEK = 7
NORMAL_MAD = 1.4826
"""Standard deviations in one median absolute deviation (MAD), for normal values."""
NORMAL_MEAN = 1.2533
"""The same for the mean absolute deviation."""
NORMAL_Q75 = 1 / 1.1503
"""The same for the third quartile of absolute deviations."""
SMALL_SAMPLE_MAD = {4: 1.363, 5: 1.206, 6: 1.200, 7: 1.140, 8: 1.129, 9: 1.107}
"""Factors that take the bias out of the MAD of few values (Croux and Rousseeuw 1992)."""


class Expectation(NamedTuple):
    """Per day and series: expected value, and scale of its ordinary deviations; else NaN."""

    baseline: Floats
    scale: Floats


def expectations(values: Floats, baseline_days: int, noise: Floats, least: Floats) -> Expectation:
    """Return the baseline and scale of every day of every series, from earlier days only.

    `values` [days, series] lies on a calendar without holes, NaN where a value is missing.
    `noise` [days, series] is what a series' variance is at least per unit of its baseline: 1
    for counts (Poisson), 0 where nothing is known. `least` [series] is the least that a
    baseline can be (0 for counts, -inf for means).

    Baseline: the median of the `baseline_days` days before, of which 4 must be there, each
    first moved by the difference between its weekday's effect and the tested day's. A
    weekday's effect is the median of its earlier deviations from the 7 days around them
    (of an even number, the middle one nearer to 0), damped by 1 - (2 s / effect)^2, at least
    0, with s their third quartile distance from it: an effect that its own weekdays
    contradict, or that one alone shows, is damped to nothing. What was damped away is still a
    fair explanation: where the undamped effect fits the day better, its baseline is taken.

    Scale, the largest of:
    - 1.4826 times the median absolute deviation of those days, corrected for their small
      number; where that is 0 and noise too, 1.2533 times their mean absolute deviation;
    - from 8 earlier surprises |value - baseline| on: their third quartile / 1.15, since seven
      days tell their spread to no better than a third; and half of the third largest, so
      that what has happened three times before is notable at most. Both leave the two
      largest out, so that one or two earlier outliers don't hide the next;
    - sqrt(noise * baseline), the Poisson deviation of a count, for a count of at least 1;
    - 5 % of the baseline.
    A scale of 0 (nothing but zeros before) becomes NaN: such a day can't be judged.
    """
    baseline = np.full_like(values, np.nan)
    scale = np.full_like(values, np.nan)
    surprises = np.full_like(values, np.nan)
    deviations = values - _level(values)
    for day in range(MIN_BASELINE, len(values)):
        start = max(0, day - baseline_days)
        effects, damped = _weekday_effects(deviations, day)
        own = day % WEEK
        weekdays = np.arange(start, day) % WEEK
        moved = values[start:day] - damped[weekdays] + damped[own]
        center = median(moved)
        expected = np.maximum(center, least)
        undamped = np.maximum(center + effects[own] - damped[own], least)
        # Clearly better: equal distances must not depend on the last bit.
        fits = np.abs(values[day] - undamped) < (1 - 1e-9) * np.abs(values[day] - expected)
        expected = np.where(fits, undamped, expected)
        spread = np.maximum.reduce(
            [
                _spread(moved, center, noise[day] > 0),
                _usual_surprise(surprises[:day]),
                RELATIVE_FLOOR * np.abs(expected),
                np.sqrt(np.maximum(noise[day] * expected, noise[day] ** 2)),
            ]
        )
        enough = np.isfinite(moved).sum(axis=0) >= MIN_BASELINE
        baseline[day] = np.where(enough, expected, np.nan)
        scale[day] = np.where(enough & (spread > 0), spread, np.nan)
        surprises[day] = np.abs(values[day] - baseline[day])
    return Expectation(baseline, scale)


def usual_days(values: Floats, baseline_days: int) -> Floats:
    """Return the median of the `baseline_days` days before each, [days, series]."""
    usual = np.full_like(values, np.nan)
    for day in range(1, len(values)):
        usual[day] = median(values[max(0, day - baseline_days) : day])
    return usual


def median(values: Floats) -> Floats:
    """Return the median of each column, leaving NaN out; NaN for a column of nothing else."""
    low, high = _middle(values)
    return (low + high) / 2


def _middle(values: Floats) -> tuple[Floats, Floats]:
    """Return the two middle values of each column (equal when their number is odd)."""
    if not len(values):
        return np.full(values.shape[1], np.nan), np.full(values.shape[1], np.nan)
    ordered = np.sort(values, axis=0)  # NaN last
    number = np.isfinite(values).sum(axis=0)
    columns = np.arange(values.shape[1])
    low = ordered[np.maximum(number - 1, 0) // 2, columns]
    return low, ordered[np.where(number > 0, number // 2, 0), columns]


def third_quartile(values: Floats) -> Floats:
    """Return the value of rank ceil(0.75 n) of each column's n; NaN when n is 0."""
    number = np.isfinite(values).sum(axis=0)
    rank = np.maximum(np.ceil(0.75 * number).astype(int), 1)
    return np.sort(values, axis=0)[rank - 1, np.arange(values.shape[1])]


def _level(values: Floats) -> Floats:
    """Return the median of the 7 days around each day, of which 4 must have values."""
    half = WEEK // 2
    level = np.full_like(values, np.nan)
    for day in range(len(values)):
        around = values[max(0, day - half) : day + half + 1]
        enough = np.isfinite(around).sum(axis=0) >= MIN_BASELINE
        level[day] = np.where(enough, median(around), np.nan)
    return level


def _weekday_effects(deviations: Floats, day: int) -> tuple[Floats, Floats]:
    """Return the effects of the 7 weekdays [7, series], as they are and damped, before `day`."""
    effects = np.zeros((WEEK, deviations.shape[1]))
    damped = np.zeros_like(effects)
    # A day's level reaches 3 days ahead, and must not reach the tested day.
    known = deviations[: max(0, day - WEEK // 2)]
    for weekday in range(min(WEEK, len(known))):
        same = known[weekday::WEEK]
        low, high = _middle(same)
        effect = np.nan_to_num(np.where(np.abs(low) <= np.abs(high), low, high))
        spread = np.nan_to_num(third_quartile(np.abs(same - effect)) * NORMAL_Q75)
        doubt = np.ones_like(effect)
        several = (np.isfinite(same).sum(axis=0) >= 2) & (effect != 0)
        # Of an effect next to nothing the doubt is beyond all numbers; 1 is as much as counts.
        with np.errstate(over="ignore"):
            np.divide(2 * spread, np.abs(effect), out=doubt, where=several)
        doubt = np.minimum(doubt, 1)
        effects[weekday] = effect
        damped[weekday] = effect * (1 - doubt**2)
    return effects, damped


def _spread(moved: Floats, center: Floats, has_floor: NDArray[np.bool_]) -> Floats:
    distance = np.abs(moved - center)
    number = np.isfinite(distance).sum(axis=0)
    factors = [SMALL_SAMPLE_MAD.get(n, n / max(1.0, n - 0.8)) for n in range(len(moved) + 1)]
    mad = NORMAL_MAD * np.array(factors)[number] * median(distance)
    mean = NORMAL_MEAN * np.nansum(distance, axis=0) / np.maximum(number, 1)
    return np.nan_to_num(np.where((mad == 0) & ~has_floor, mean, mad))


def _usual_surprise(surprises: Floats) -> Floats:
    number = np.isfinite(surprises).sum(axis=0)
    if len(surprises) < MIN_SURPRISES:
        return np.zeros(surprises.shape[1])
    third_largest = np.sort(np.nan_to_num(surprises), axis=0)[-3]
    usual = np.maximum(third_quartile(surprises) * NORMAL_Q75, third_largest / 2)
    return np.where(number >= MIN_SURPRISES, np.nan_to_num(usual), 0.0)
