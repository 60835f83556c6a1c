"""Rarity: what is common, what is not, and how a signal comes of it."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from stupid_dagster.compute.anomalies.signals.evidence import (
    LEAST_ACTORS,
    Evidence,
    columns_of,
    compared,
    full_rarity,
    tail_rarity,
)

DISTANCES = arrays(np.float64, st.integers(0, 60), elements=st.just(0.0) | st.floats(1e-3, 1e6))


def decade(off: np.ndarray) -> float:
    """The distance of a decade, from the sorted distances: 10 % and 1 % lie beyond its marks."""
    ordered = np.sort(off)
    marks = [(ordered[int((len(off) - 1) * 0.9)], 1.0)]
    if len(off) >= 100:
        marks.append((ordered[int((len(off) - 1) * 0.99)], 2.0))
    found = max(distance / decades for distance, decades in marks)
    if found == 0 and (off > 0).any():
        return float(np.median(off[off > 0]) / -np.log10((off > 0).mean() / 2))
    return found


@given(DISTANCES)
def test_rarity_is_the_distance_in_decades(off: np.ndarray) -> None:
    found = tail_rarity(off)
    if len(off) < LEAST_ACTORS or not off.any():
        assert not found.any()
    else:
        np.testing.assert_allclose(found, off / decade(off), rtol=1e-12)


@pytest.mark.parametrize("draw", ["exponential", "normal", "uniform"])
def test_no_tail_that_ends_is_rarer_than_it_shows(draw: str) -> None:
    generator = np.random.default_rng(1)
    off = np.abs(getattr(generator, draw)(size=20_000))
    found = tail_rarity(off)
    for decades in (1.0, 2.0, 3.0):
        assert (found >= decades).mean() <= 10**-decades * 1.5


def test_what_fewer_than_one_in_a_hundred_do_does_not_hide_it() -> None:
    off = np.abs(np.random.default_rng(2).normal(size=10_000))
    alone = tail_rarity(np.append(off, 30.0))[-1]
    among_others = tail_rarity(np.concatenate([off, np.full(90, 30.0)]))[-1]
    assert alone > 15
    assert among_others > 0.8 * alone


def test_unknown_distances_are_no_evidence() -> None:
    off = np.append(np.arange(50.0), np.nan)
    assert tail_rarity(off)[-1] == 0
    np.testing.assert_array_equal(tail_rarity(off)[:-1], tail_rarity(off[:-1]))


@given(
    arrays(np.float64, st.integers(0, 60), elements=st.integers(-1_000, 1_000).map(float)),
    st.sampled_from([0.125, 0.5, 4.0]),
)
def test_comparison_does_not_depend_on_the_unit_when_taken_as_it_is(
    column: np.ndarray, factor: float
) -> None:
    column = np.append(column, [-1.0, -2.0])  # below 0: never taken as its logarithm
    usual, z, rarity = compared(column)
    scaled = compared(column * factor)
    np.testing.assert_allclose(scaled[0], usual * factor, atol=1e-6)
    np.testing.assert_allclose(scaled[1], z, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(scaled[2], rarity, rtol=1e-6, atol=1e-6)
    assert usual[0] == np.median(column)


def test_heavy_tails_are_compared_by_their_logarithm() -> None:
    column = np.random.default_rng(3).pareto(1.2, 50_000)
    _, _, rarity = compared(column)
    assert rarity.max() < 1.5 * np.log10(column.size)
    assert rarity[column.argmax()] == rarity.max()


def test_what_lies_far_below_is_rare_as_well() -> None:
    column = np.append(np.random.default_rng(4).normal(100, 1, 2_000), 50.0)
    usual, z, rarity = compared(column)
    assert rarity[-1] > 10
    assert z[-1] < -30
    assert usual[-1] == pytest.approx(100, abs=0.2)


@pytest.mark.parametrize("column", [[], [np.nan], [7.0, 7.0, np.nan]])
def test_numbers_that_are_all_the_same_are_not_off(column: list[float]) -> None:
    usual, z, rarity = compared(np.array(column))
    np.testing.assert_array_equal(usual, column)
    assert not np.nan_to_num(z).any()
    assert not rarity.any()


def evidence(rarity: list[list[float]]) -> Evidence:
    array = np.array(rarity, dtype=np.float64)
    names = tuple(f"item{n}" for n in range(array.shape[1]))
    return Evidence("graph", names, array, array, array, array)


def test_strength_grows_with_the_rarest_item_and_pays_for_their_number() -> None:
    one = evidence([[0.0], [3.0], [6.0], [9.0]]).strength()
    np.testing.assert_allclose(one, [0, 0.5, 1, 1])
    ten = evidence([[0.0] * 9 + [rarity] for rarity in (0.5, 4.0, 7.0)]).strength()
    np.testing.assert_allclose(ten, [0, 0.5, 1])


def test_strength_pays_for_the_number_of_actors() -> None:
    assert full_rarity(10) == full_rarity(1_000) == 6
    many = np.zeros((100_000, 1))
    many[0] = 5.0
    assert evidence(many.tolist()).strength()[0] == pytest.approx(0.5)


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (4, 0)])
def test_no_actors_or_no_items_have_no_strength(shape: tuple[int, int]) -> None:
    empty = np.zeros(shape)
    names = tuple(map(str, range(shape[1])))
    strength = Evidence("graph", names, empty, empty, empty, empty).strength()
    np.testing.assert_array_equal(strength, np.zeros(shape[0]))
    assert Evidence.of("graph", {}, shape[0]).rarity.shape == (shape[0], 0)


def test_columns_follow_the_actors() -> None:
    frame = pl.DataFrame({"actor": ["c", "a"], "n": [3, None], "m": [True, False]})
    found = columns_of(pl.Series(["a", "b", "c"]), frame, ["n", "m"])
    np.testing.assert_array_equal(found, [[np.nan, 0], [np.nan, np.nan], [3, 1]])
    assert columns_of(pl.Series(["a", "b"]), frame, []).shape == (2, 0)
