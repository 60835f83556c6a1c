"""Sketches of distinct values: merged as sets are, exact while small, and as near as they say."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stupid_dagster.connect.sketches import SKETCH_SIZE, bottom_k, distinct_values
from stupid_dagster.event_model.expressions import distinct_hashes

STANDARD_ERROR = 1 / math.sqrt(SKETCH_SIZE - 2)

# Ranges of numbers, so that an example of thousands of values is drawn at once.
ranges = st.tuples(st.integers(0, 6000), st.integers(0, 3000)).map(lambda r: range(r[0], sum(r)))


def sketch(values: range | list[str]) -> list[int]:
    texts = pl.Series([str(value) for value in values], dtype=pl.String)
    return distinct_hashes(texts).select(bottom_k(pl.col("hash"))).to_series().to_list()


def merged(sketches: list[list[int]]) -> list[int]:
    frame = pl.DataFrame({"sketch": sketches}, schema={"sketch": pl.List(pl.UInt64)})
    return frame.select(bottom_k(pl.col("sketch").explode())).to_series().to_list()


@given(st.lists(ranges, min_size=1, max_size=4))
def test_merging_sketches_is_the_sketch_of_the_union(days: list[range]) -> None:
    union = sorted({value for day in days for value in day})
    assert merged([sketch(day) for day in days]) == sketch([str(value) for value in union])


@given(st.lists(ranges, min_size=1, max_size=4))
def test_the_number_is_exact_below_k_and_near_from_there_on(days: list[range]) -> None:
    union = {value for day in days for value in day}
    found, exact = distinct_values(merged([sketch(day) for day in days]))
    assert exact == (len(union) < SKETCH_SIZE)
    if exact:
        assert found == len(union)
    else:
        assert abs(found / len(union) - 1) < 5 * STANDARD_ERROR


@given(st.sets(st.text(max_size=5), max_size=40))
def test_any_few_texts_are_counted_exactly(texts: set[str]) -> None:
    assert distinct_values(sketch([*texts, *texts])) == (len(texts), True)


@pytest.mark.parametrize("values", [SKETCH_SIZE - 1, SKETCH_SIZE, SKETCH_SIZE + 1])
def test_the_edge(values: int) -> None:
    found, exact = distinct_values(sketch(range(values)))
    assert exact == (values < SKETCH_SIZE)
    assert found == values if exact else abs(found / values - 1) < 5 * STANDARD_ERROR


def test_the_error_is_what_the_size_promises() -> None:
    """Over 300 sets of 100,000 values: unbiased, with the standard error of the literature."""
    generator = np.random.default_rng(7)
    errors = []
    for _ in range(300):
        hashes = pl.Series("hash", generator.integers(0, 2**64, 100_000, np.uint64, endpoint=False))
        smallest = hashes.to_frame().select(bottom_k(pl.col("hash"))).to_series().to_list()
        errors.append(distinct_values(smallest)[0] / 100_000 - 1)
    deviation = float(np.std(errors))
    assert abs(np.mean(errors)) < 4 * STANDARD_ERROR / math.sqrt(len(errors))
    assert 0.8 * STANDARD_ERROR < deviation < 1.2 * STANDARD_ERROR


def test_nothing_is_nothing() -> None:
    assert sketch([]) == []
    assert distinct_values([]) == (0, True)
    assert merged([[], []]) == []
