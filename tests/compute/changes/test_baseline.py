"""Baselines and scales against a plain version, one series and one day at a time."""

from __future__ import annotations

import math
from statistics import median

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stupid_dagster.compute.changes.baseline import expectations
from tests.compute.graphs import unhurried

Series = list[float | None]


def plain_level(values: Series, day: int) -> float | None:
    around = [v for v in values[max(0, day - 3) : day + 4] if v is not None]
    return median(around) if len(around) >= 4 else None


def third_quartile(values: list[float]) -> float:
    return sorted(values)[math.ceil(0.75 * len(values)) - 1]


def plain_effect(values: Series, day: int, weekday: int) -> tuple[float, float]:
    """Return a weekday's effect before `day`, as it is and damped."""
    off = []
    for earlier in range(weekday, day - 3, 7):
        value, level = values[earlier], plain_level(values, earlier)
        if value is not None and level is not None:
            off.append(value - level)
    if not off:
        return 0.0, 0.0
    off.sort()
    effect = min((off[(len(off) - 1) // 2], off[len(off) // 2]), key=abs)
    if len(off) < 2 or effect == 0:
        return effect, 0.0
    doubt = 2 * third_quartile([abs(o - effect) for o in off]) / 1.1503 / abs(effect)
    return effect, effect * (1 - min(1.0, doubt) ** 2)


def plain_expectation(
    values: Series, baseline_days: int, noise: float, least: float
) -> list[tuple[float | None, float | None]]:
    correct = {4: 1.363, 5: 1.206, 6: 1.2, 7: 1.14, 8: 1.129, 9: 1.107}
    result: list[tuple[float | None, float | None]] = []
    surprises: list[float] = []
    for day, value in enumerate(values):
        own, own_damped = plain_effect(values, day, day % 7)
        before = [
            v - plain_effect(values, day, d % 7)[1] + own_damped
            for d, v in enumerate(values[:day])
            if v is not None and d >= day - baseline_days
        ]
        if len(before) < 4:
            result.append((None, None))
            continue
        center = median(before)
        expected = max(center, least)
        undamped = max(center + own - own_damped, least)
        if value is not None and abs(value - undamped) < (1 - 1e-9) * abs(value - expected):
            expected = undamped
        off = [abs(v - center) for v in before]
        n = len(off)
        spread = 1.4826 * correct.get(n, n / (n - 0.8)) * median(off)
        if spread == 0 and noise == 0:
            spread = 1.2533 * sum(off) / n
        candidates = [spread, 0.05 * abs(expected)]
        candidates.append(math.sqrt(max(noise * expected, noise**2)))
        if len(surprises) >= 8:
            candidates += [third_quartile(surprises) / 1.1503, sorted(surprises)[-3] / 2]
        result.append((expected, max(candidates) or None))
        if value is not None:
            surprises.append(abs(value - expected))
    return result


values_of_days = st.lists(
    st.none() | st.sampled_from([0.0, 0.0, 1.0, 3.0, 8.0, 20.0, 500.0]) | st.floats(-50, 50),
    max_size=26,
)


@settings(unhurried, max_examples=200)
@given(
    st.lists(values_of_days, min_size=1, max_size=3),
    st.sampled_from([5, 7, 10]),
    st.sampled_from([0.0, 1.0, 0.01]),
    st.sampled_from([0.0, -math.inf]),
)
def test_equals_the_plain_version(
    columns: list[Series], baseline_days: int, noise: float, least: float
) -> None:
    days = max(len(column) for column in columns)
    columns = [[None] * (days - len(column)) + column for column in columns]
    array = np.array(columns, dtype=np.float64).T.reshape(days, len(columns))
    found = expectations(
        array, baseline_days, np.full_like(array, noise), np.full(len(columns), least)
    )
    for n, column in enumerate(columns):
        for day, (baseline, scale) in enumerate(
            plain_expectation(column, baseline_days, noise, least)
        ):
            wanted = [math.nan if v is None else v for v in (baseline, scale)]
            got = [found.baseline[day, n], found.scale[day, n]]
            assert got == pytest.approx(wanted, nan_ok=True, abs=1e-9), day


@unhurried
@given(st.lists(st.floats(0, 100), min_size=12, max_size=30), st.integers(5, 11))
def test_later_days_have_no_say(values: list[float], day: int) -> None:
    array = np.array(values).reshape(-1, 1)
    changed = array.copy()
    changed[day + 1 :] = 9999.0
    noise, least = np.ones_like(array), np.zeros(1)
    for one, other in zip(
        expectations(array, 7, noise, least),
        expectations(changed, 7, noise, least),
        strict=True,
    ):
        np.testing.assert_array_equal(one[: day + 1], other[: day + 1])


def z_of_last(values: list[float], noise: float = 1.0) -> float:
    array = np.array(values, dtype=np.float64).reshape(-1, 1)
    expected = expectations(array, 7, np.full_like(array, noise), np.zeros(1))
    return float((array[-1, 0] - expected.baseline[-1, 0]) / expected.scale[-1, 0])


WEEK = [100.0, 103.0, 98.0, 101.0, 99.0, 60.0, 70.0]


def test_a_weekend_is_no_drop_once_it_was_seen_twice() -> None:
    for last in range(15, 30):
        values = (WEEK * 5)[: last + 1]
        assert abs(z_of_last(values)) < 1, last


def test_a_saturday_like_a_working_day_is_a_rise() -> None:
    values = [*(WEEK * 4)[:26], 101.0]
    assert len(values) % 7 == 6
    assert z_of_last(values) > 3


def test_one_or_two_earlier_outliers_do_not_hide_the_next() -> None:
    quiet = [10.0, 12.0, 9.0, 11.0, 10.0, 8.0, 12.0] * 4
    clean = z_of_last([*quiet, 60.0])
    for spoiled in ([24], [24, 26], [26, 27]):
        values = list(quiet)
        for day in spoiled:
            values[day] = 400.0
        assert z_of_last([*values, 60.0]) > 0.6 * clean > 4, spoiled


def test_what_happened_three_times_is_notable_at_most() -> None:
    values = [10.0, 12.0, 9.0, 11.0, 10.0, 8.0, 12.0, 10.0] * 3
    values[9] = values[14] = values[20] = 90.0
    assert 1 < z_of_last([*values, 90.0]) < 3
    assert z_of_last([*values, 400.0]) > 4


def test_nothing_but_zeros_before_judges_counts_and_nothing_else() -> None:
    assert z_of_last([0.0] * 9 + [3.0]) == pytest.approx(3.0)
    assert math.isnan(z_of_last([0.0] * 9 + [3.0], noise=0.0))
