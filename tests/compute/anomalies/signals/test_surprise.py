"""Counts against what was to be expected, on actors drawn at random."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import nbinom, poisson

from stupid_dagster.compute.anomalies.signals import surprise
from stupid_dagster.compute.anomalies.signals.surprise import against_others, against_own_usual

ACTORS = 20_000
COUNTS = arrays(np.float64, 30, elements=st.integers(0, 1_000).map(float))


def players(seed: int, spread: float, days: int = 7) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Counts of a day, sums of the days before and their number, of gamma-distributed rates.

    The rate of each day is off by a lognormal factor of deviation `spread`.
    """
    generator = np.random.default_rng(seed)
    rates = generator.gamma(0.6, 12.0, ACTORS)
    number = generator.integers(1, days + 1, ACTORS)
    factors = np.exp(generator.normal(0, spread, (days + 1, ACTORS)))
    drawn = generator.poisson(rates * factors).astype(np.float64)
    before = np.where(np.arange(days)[:, None] < number, drawn[:days], 0).sum(axis=0)
    return drawn[-1], before, number.astype(np.float64)


@given(st.integers(0, 500), st.floats(0.01, 300), st.floats(0, 5))
def test_tails_are_those_of_scipy(x: int, mean: float, spread: float) -> None:
    above, below = surprise._tails(np.array([float(x)]), np.array([mean]), np.array([spread]))[:, 0]
    size = 1 / max(spread, surprise.LEAST_SPREAD)
    reference = nbinom(size, size / (size + mean))
    assert below == pytest.approx(reference.cdf(x), rel=1e-4, abs=1e-12)
    sure = reference.sf(x - 1)
    assert above >= sure * (1 - 1e-4)
    if sure > surprise.DOUBTFUL:
        assert above == pytest.approx(sure, rel=1e-4)


@given(st.integers(1, 60), st.floats(0.1, 30))
def test_the_heavier_tail_of_a_fixed_rate_is_poissons(x: int, mean: float) -> None:
    tail = surprise._poisson_lognormal(np.array([float(x)]), np.array([mean]), np.zeros(1))[0]
    assert tail == pytest.approx(poisson(mean).sf(x - 1), rel=1e-4)


@pytest.mark.parametrize(("mean", "spread", "x"), [(0.5, 3.0, 8), (10, 0.2, 30), (80, 0.5, 300)])
def test_the_heavier_tail_is_that_of_draws(mean: float, spread: float, x: int) -> None:
    deviation = np.sqrt(np.log1p(spread))
    generator = np.random.default_rng(0)
    rates = mean * np.exp(generator.normal(0, deviation, 2_000_000) - deviation**2 / 2)
    share = (generator.poisson(rates) >= x).mean()
    tail = surprise._poisson_lognormal(np.array([float(x)]), np.array([mean]), np.array([spread]))
    assert tail[0] == pytest.approx(share, rel=0.05)


@pytest.mark.parametrize("spread", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("both_ways", [True, False])
def test_ordinary_days_are_as_rare_as_they_are(spread: float, both_ways: bool) -> None:
    found = against_own_usual(*players(1, spread), both_ways=both_ways)
    assert (found.rarity >= 1).mean() < 0.1
    assert (found.rarity >= 2).mean() <= 0.011
    assert (found.rarity >= 3).mean() < 0.002
    assert (found.rarity >= 4).mean() < 0.0004


def test_a_day_unlike_the_own_ones_is_rare_the_more_the_more_days_tell_so() -> None:
    count, before, days = players(2, 0.4)
    usual = 12.0
    for place, known in enumerate((1, 3, 7)):
        count[place], before[place], days[place] = 20 * usual, known * usual, known
    count[3], before[3], days[3] = 0.0, 7 * 80.0, 7
    found = against_own_usual(count, before, days, both_ways=True)
    assert found.rarity[0] < 5 < found.rarity[1] <= found.rarity[2]
    assert found.usual[2] == pytest.approx(usual, rel=0.1)
    assert found.z[2] > 10
    assert found.rarity[3] > 2
    assert found.z[3] < -1
    one_way = against_own_usual(count, before, days, both_ways=False)
    assert one_way.rarity[3] == 0


def test_few_days_are_drawn_to_the_population() -> None:
    count, before, days = players(3, 0.0)
    days[:2], before[:2] = (1, 7), (0, 0)
    usual = against_own_usual(count, before, days, both_ways=True).usual
    assert 0 < usual[1] < usual[0] < (before / days).mean()


def test_who_always_does_what_nobody_else_does_is_as_usual() -> None:
    count, before, days = np.ones(ACTORS), np.full(ACTORS, 7.0), np.full(ACTORS, 7.0)
    count[:10], before[:10] = 9, 63
    count[10] = 9
    found = against_own_usual(count, before, days, both_ways=True)
    assert found.rarity[:10].max() < 1
    assert found.usual[0] == pytest.approx(8, abs=0.2)
    assert found.rarity[10] > 3


def test_a_day_with_one_row_tells_little() -> None:
    count, before, days = players(4, 0.4)
    count[:100], before[:100], days[:100] = np.quantile(count, 0.999), 1, 1
    found = against_own_usual(count, before, days, both_ways=True)
    assert found.rarity[:100].max() < 5


def test_a_day_that_is_other_for_all_is_nobodys_deviation() -> None:
    count, before, days = players(5, 0.4)
    plain = against_own_usual(count, before, days, both_ways=True)
    tripled = against_own_usual(count * 3, before, days, both_ways=True)
    assert tripled.usual.mean() == pytest.approx(3 * plain.usual.mean(), rel=0.05)
    assert (tripled.rarity >= 2).mean() <= 0.011


def test_actors_without_days_before_have_no_usual() -> None:
    count, before, days = players(6, 0.4)
    days[:50], before[:50] = 0, 0
    found = against_own_usual(count, before, days, both_ways=True)
    assert np.isnan(found.usual[:50]).all() and np.isnan(found.z[:50]).all()
    assert not found.rarity[:50].any()
    rest = against_own_usual(count[50:], before[50:], days[50:], both_ways=True)
    np.testing.assert_array_equal(found.rarity[50:], rest.rarity)


@given(COUNTS, COUNTS, arrays(np.float64, 30, elements=st.integers(0, 7).map(float)), st.booleans())
def test_any_counts_give_finite_rarities(
    count: np.ndarray, before: np.ndarray, days: np.ndarray, both_ways: bool
) -> None:
    before = np.where(days > 0, before, 0)
    found = against_own_usual(count, before, days, both_ways=both_ways)
    assert np.isfinite(found.rarity).all() and (found.rarity >= 0).all()
    assert np.isfinite(found.z[days > 0]).all() or not (count.sum() + before.sum())
    order = np.random.default_rng(0).permutation(30)
    again = against_own_usual(count[order], before[order], days[order], both_ways=both_ways)
    np.testing.assert_allclose(again.rarity, found.rarity[order], rtol=1e-9, atol=1e-9)


def test_counts_above_their_likes_are_rare_and_those_below_are_not() -> None:
    generator = np.random.default_rng(7)
    expected = generator.uniform(0.5, 30, ACTORS)
    count = generator.poisson(expected).astype(np.float64)
    count[0], expected[0] = 40, 5
    count[1], expected[1] = 0, 30
    found = against_others(count, expected)
    assert found.rarity[0] == found.rarity.max() > 8
    assert found.rarity[1] == 0
    assert (found.rarity >= 2).mean() <= 0.011
    np.testing.assert_array_equal(found.usual, expected)


def test_more_spread_makes_less_rare() -> None:
    generator = np.random.default_rng(8)
    expected = np.full(ACTORS, 10.0)
    calm, wild = (
        generator.poisson(10 * generator.gamma(shape, 1 / shape, ACTORS)).astype(np.float64)
        for shape in (100, 2)
    )
    calm[0] = wild[0] = 60
    assert against_others(calm, expected).rarity[0] > 2 * against_others(wild, expected).rarity[0]


def test_nothing_to_expect_is_nothing_to_judge() -> None:
    found = against_others(np.array([np.nan, 3.0, 5.0]), np.array([2.0, np.nan, 0.0]))
    assert not found.rarity.any()
    assert np.isnan(found.z).all()
    empty = np.zeros(0)
    assert against_others(empty, empty).rarity.size == 0
    assert against_own_usual(empty, empty, empty, both_ways=True).rarity.size == 0
