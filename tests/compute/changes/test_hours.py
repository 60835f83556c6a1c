"""Baselines and scales of hours against a plain version, one series and one hour at a time."""

from __future__ import annotations

import math
from statistics import mean, median

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stupid_dagster.compute.changes.hours import Clock, hourly_expectations, usual_hours
from tests.compute.changes.test_baseline import plain_expectation, third_quartile
from tests.compute.graphs import unhurried

Value = float | None
Grid = list[list[Value]]


def usual_clock(days: int) -> Clock:
    """Return the clock of days of 24 hours each."""
    hours = np.arange(days * 24)
    return Clock(hours // 24, hours % 24)


def plain_early(grid: Grid, day: int, least: float) -> list[Value]:
    """Return the baselines of the hours of one of the first days."""

    def fair(hour: int, level: float) -> Value:
        before = sorted(v * level for row in grid[:day] if (v := row[hour]) is not None)
        today = grid[day][hour]
        if len(before) == 3:
            return before[1]
        if today is None or len(before) < min(day, 2):
            return None
        return min(max(today, before[0]), before[-1])

    plain = [fair(hour, 1.0) for hour in range(24)]
    ratios = [v / b for v, b in zip(grid[day], plain, strict=True) if v is not None and b and b > 0]
    level = median(ratios) if len(ratios) >= 12 and least == 0 else 1.0
    result = []
    for hour, (value, base) in enumerate(zip(grid[day], plain, strict=True)):
        moved = fair(hour, level)
        if None not in (value, base, moved) and abs(value - moved) < abs(value - base):  # type: ignore
            base = moved
        result.append(base)
    return result


def plain_hours(
    grid: Grid, baseline_days: int, noise: float, least: float, unit: float, caution: float
) -> list[list[tuple[Value, Value]]]:
    """Return (baseline, scale) of every hour of [days][24]."""
    by_hour = [
        plain_expectation([row[hour] for row in grid], baseline_days, noise, least)
        for hour in range(24)
    ]
    surprises: list[list[float]] = []
    early = max(2.0 / caution, 1.0) if noise else 2.0
    result = []
    for day, row in enumerate(grid):
        own = [by_hour[hour][day] for hour in range(24)]
        bases = plain_early(grid, day, least) if day in (1, 2, 3) else [base for base, _ in own]
        earlier = [s for one in surprises for s in one]
        usual = third_quartile(earlier) / 1.1503 if len(earlier) >= 8 else 0.0
        if day >= 4:
            usual = max(usual, sorted(max(one, default=0.0) for one in surprises)[-3] / 2)
        surprises.append([])
        judged: list[tuple[Value, Value]] = []
        for value, base, (_, scale) in zip(row, bases, own, strict=True):
            if base is None:
                judged.append((None, None))
                continue
            poisson = math.sqrt(max(noise * base, noise**2))
            one = poisson if noise else unit
            if value is not None:
                surprises[-1].append(abs(value - base) / one)
            if day < 4:
                scale = early * max(usual * one, 0.05 * abs(base), poisson)
            else:
                scale = max(scale or 0.0, usual * one)
            judged.append((base, scale or None) if day >= 2 else (None, None))
        result.append(judged)
    return result


@settings(unhurried, max_examples=60)
@given(
    st.integers(1, 12),
    st.integers(0, 2**32 - 1),
    st.sampled_from([3, 7]),
    st.sampled_from([0.0, 1.0, 0.01]),
    st.sampled_from([0.0, -math.inf]),
    st.sampled_from([0.0, 0.1, 0.6]),
)
def test_equals_the_plain_version(
    days: int, seed: int, baseline_days: int, noise: float, least: float, missing: float
) -> None:
    rng = np.random.default_rng(seed)
    profile = rng.choice([0.0, 1.0, 20.0, 300.0], size=24)
    values = rng.poisson(profile * rng.choice([1.0, 1.0, 2.0, 0.5], size=(days, 1))).astype(float)
    values[rng.random(values.shape) < 0.02] = 900.0
    values[rng.random(values.shape) < missing] = np.nan
    column = values.reshape(-1, 1)
    unit, caution = 3.0, 1.0 + seed % 3
    found = hourly_expectations(
        column,
        usual_clock(days),
        baseline_days,
        noise=np.full_like(column, noise),
        least=np.array([least]),
        units=np.full_like(column, unit),
        caution=np.array([caution]),
    )
    grid = [[None if np.isnan(v) else float(v) for v in row] for row in values]
    plain = plain_hours(grid, baseline_days, noise, least, unit, caution)
    for day, row in enumerate(plain):
        for hour, (base, scale) in enumerate(row):
            at = day * 24 + hour
            wanted = [math.nan if base is None else base, caution * (scale or math.nan)]
            got = [found.baseline[at, 0], found.scale[at, 0]]
            assert got == pytest.approx(wanted, nan_ok=True, rel=1e-9), (day, hour)


def test_an_hour_that_comes_twice_counts_as_its_mean_and_a_skipped_one_is_missing() -> None:
    clock = Clock(np.array([-1, 0, 0, 0, 1]), np.array([23, 1, 1, 2, 2]))
    values = np.array([[99.0], [10.0], [20.0], [7.0], [9.0]])
    grid = clock.fold(values)
    assert grid.shape == (2, 24, 1)
    assert (grid[0, 1, 0], grid[0, 2, 0], grid[1, 2, 0]) == (15.0, 7.0, 9.0)
    assert np.isnan(grid[1, 1, 0])
    np.testing.assert_array_equal(clock.unfold(grid)[:, 0], [np.nan, 15.0, 15.0, 7.0, 9.0])


def test_what_is_usual_is_the_median_of_the_same_hour_of_the_days_before() -> None:
    rng = np.random.default_rng(3)
    values = rng.integers(0, 50, size=(10 * 24, 2)).astype(float)
    found = usual_hours(values, usual_clock(10), 7)
    assert np.isnan(found[:24]).all()
    for at in (24, 100, 239):
        before = [values[t] for t in range(at - 24, max(-1, at - 7 * 24 - 1), -24)]
        assert found[at].tolist() == [median(column) for column in zip(*before, strict=True)]


BUSY = 1000 * (1.2 - np.cos(np.arange(24) / 24 * 2 * np.pi))


def z_of(values: np.ndarray) -> np.ndarray:
    """Return z [days, 24] of counts [days, 24]."""
    column = values.reshape(-1, 1)
    found = hourly_expectations(
        column,
        usual_clock(len(values)),
        7,
        noise=np.ones_like(column),
        least=np.zeros(1),
        units=np.ones_like(column),
        caution=np.ones(1),
    )
    with np.errstate(invalid="ignore"):
        return ((column - found.baseline) / found.scale).reshape(values.shape)


def ordinary(days: int, seed: int = 1) -> np.ndarray:
    """Return counts of days with a shape of the day, a weekend, and clumps of three."""
    rng = np.random.default_rng(seed)
    weekend = np.where(np.arange(days) % 7 >= 5, 1.08, 1.0)[:, None]
    return 3.0 * rng.poisson(BUSY * weekend / 3)


@pytest.mark.parametrize("day", [2, 3, 4, 8, 20])
def test_a_burst_is_critical_in_its_hour_alone_from_the_third_day_on(day: int) -> None:
    values = ordinary(day + 1)
    values[day, 13] *= 2
    z = z_of(values)[day]
    assert z[13] > 4
    assert np.abs(np.delete(z, 13)).max() < 4


def test_no_hour_of_many_ordinary_weeks_is_critical() -> None:
    worst = [np.nanmax(np.abs(z_of(ordinary(30, seed)))) for seed in range(15)]
    assert max(worst) < 4
    assert mean(worst) < 3.5


@pytest.mark.parametrize("day", [10, 17])
def test_one_outlier_before_changes_next_to_nothing(day: int) -> None:
    values = ordinary(21)
    clean = z_of(values)
    values[day, 9] *= 30
    spoiled = z_of(values)
    assert spoiled[day, 9] > 50
    later = slice(day + 1, None)
    assert np.abs(spoiled[later] - clean[later]).max() < 1
    assert np.abs(spoiled[later]).max() < 4
    values[20, 13] *= 2
    assert z_of(values)[20, 13] > 4


def test_a_bad_day_does_not_hide_the_next() -> None:
    values = ordinary(21)
    values[12, 8:20] = 0
    values[18, 9:11] = 0
    z = z_of(values)
    assert z[12, 8:20].max() < -4
    assert z[18, 9:11].max() < -4
