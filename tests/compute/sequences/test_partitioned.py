"""Patterns that are searched block by block against a search of all actors at once."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stupid_dagster.compute.sequences import partitioned, prefixspan
from stupid_dagster.compute.sequences import timelines as timelines_module
from stupid_dagster.compute.sequences.partitioned import (
    best_patterns_in_blocks,
    in_blocks,
    measure_patterns_in_blocks,
)
from stupid_dagster.compute.sequences.patterns import Bounds, find_patterns
from stupid_dagster.compute.sequences.prefixspan import Rule, best_patterns, measure_patterns
from stupid_dagster.compute.sequences.timelines import (
    Timelines,
    join_in_blocks,
    join_timelines,
)
from tests.compute.sequences.made import START, model, sequence_table, timelines
from tests.compute.sequences.test_prefixspan import rules, sequences

UNTIL = START + dt.timedelta(days=9)


def cut(lines: Timelines, ends: list[int]) -> list[Timelines]:
    """Return blocks of actors that end at these places, and the rest; some may be empty."""
    bounds = [0, *sorted(min(end, lines.size) for end in ends), lines.size]
    return [lines.sliced(first, end) for first, end in pairwise(bounds)]


@settings(max_examples=150)
@given(
    sequences,
    st.lists(st.integers(0, 7), max_size=3),
    rules,
    st.lists(rules, max_size=1).map(tuple),
    st.booleans(),
    st.integers(1, 3),
    st.integers(0, 12),
    st.integers(1, 4),
)
def test_blocks_give_the_same_best_patterns(
    drawn: Mapping[str, str],
    ends: list[int],
    rule: Rule,
    excluded: tuple[Rule, ...],
    core: bool,
    minimum: int,
    most: int,
    max_length: int,
) -> None:
    lines = timelines(drawn)
    limits = {"rule": rule, "excluded": excluded, "core": core, "max_length": max_length}
    limits |= {"minimum": minimum, "most": most}
    assert best_patterns_in_blocks(cut(lines, ends), **limits) == best_patterns(lines, **limits)


@settings(max_examples=60)
@given(sequences, st.lists(st.integers(0, 7), max_size=3), st.integers(1, 9))
def test_blocks_measure_the_same(drawn: Mapping[str, str], ends: list[int], at_once: int) -> None:
    lines = timelines(drawn)
    everything = best_patterns(lines, rule=Rule(), minimum=1, most=10**6, max_length=3)
    patterns = [pattern for pattern, _ in everything.patterns] + [("a", "z"), ("d", "d")]
    whole = measure_patterns(lines, patterns)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(partitioned, "SPANS_AT_ONCE", at_once)
        parts = measure_patterns_in_blocks(cut(lines, ends), patterns)
    for name in ("actors", "prefix_actors", "median_seconds", "examples"):
        assert np.array_equal(
            getattr(parts, name), getattr(whole, name), equal_nan=name == "median_seconds"
        )


def shoppers(actors: int) -> pl.DataFrame:
    rng = random.Random(actors)
    return sequence_table(
        {
            f"member:{n:04}": [
                (rng.randrange(0, 200) + rng.random(), rng.choice(["V", "V", "B:x", "F:y", "A"]))
                for _ in range(rng.randrange(1, 30))
            ]
            for n in range(actors)
        }
    )


def test_the_table_is_the_same_whatever_fits_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    table = shoppers(300).lazy()
    bounds = Bounds(0.02, 2, 4, 60)
    before = join_timelines(model(), shoppers(200), UNTIL)
    first = find_patterns(model(), before, bounds)
    lines = join_in_blocks(model(), table, UNTIL)
    assert len(in_blocks(lines, 2)) == 1
    given_before = {"previous": first.patterns, "previous_timelines": before}
    whole = find_patterns(model(), lines, bounds, **given_before)
    monkeypatch.setattr(prefixspan, "MOST_BITS", 5 * 40 * (len(lines.symbols) // 300 + 64))
    assert len(in_blocks(lines, 2)) >= 7
    monkeypatch.setattr(timelines_module, "EVENTS_AT_ONCE", 500)
    parts = find_patterns(model(), join_in_blocks(model(), table, UNTIL), bounds, **given_before)
    assert parts.patterns.equals(whole.patterns)
    assert (parts.minimum, parts.complete_from) == (whole.minimum, whole.complete_from)
    assert whole.patterns.height == 60


def test_blocks_hold_all_actors_once_and_no_more_bits_than_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = timelines({f"member:{n:03}": "abc" * (n % 9) for n in range(200)})
    room = 3 * (len(lines.symbols) + 64 * 200) // 6
    monkeypatch.setattr(prefixspan, "MOST_BITS", room)
    blocks = in_blocks(lines, 1)
    assert [a for block in blocks for a in block.actors] == lines.actors.to_list()
    assert len(blocks) >= 6
    # An actor isn't divided: a block may end with one that is a little too many.
    assert max(3 * (len(b.symbols) + 64 * b.size) for b in blocks) <= room + 3 * (24 + 64)
    empty = timelines({})
    assert in_blocks(empty, 1) == [empty]


@settings(max_examples=40)
@given(sequences, st.integers(1, 12), st.booleans())
def test_timelines_read_in_blocks_are_the_same(
    drawn: Mapping[str, str], at_once: int, silent: bool
) -> None:
    table = sequence_table(
        {a: [(5.5 * n, f"{s}") for n, s in enumerate(symbols)] for a, symbols in drawn.items()}
    )
    of = model() if silent else model("{}")
    table = table.with_columns(pl.col("symbols").list.eval(pl.element().replace({"a": "B:a"})))
    whole = join_timelines(of, table, UNTIL)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timelines_module, "EVENTS_AT_ONCE", at_once)
        parts = join_in_blocks(of, table.lazy(), UNTIL)
    assert parts.actors.to_list() == whole.actors.to_list()
    assert parts.alphabet == whole.alphabet
    for name in ("starts", "symbols", "times"):
        assert np.array_equal(getattr(parts, name), getattr(whole, name))
        assert getattr(parts, name).dtype == getattr(whole, name).dtype
