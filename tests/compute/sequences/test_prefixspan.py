"""PrefixSpan against the plain definition."""

from __future__ import annotations

import random
from collections import Counter
from itertools import combinations
from statistics import median

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stupid_dagster.compute.sequences import prefixspan
from stupid_dagster.compute.sequences.prefixspan import (
    Pattern,
    Rule,
    actors_by_symbol,
    best_patterns,
    measure_patterns,
)
from tests.compute.sequences.made import leftmost, patterns_in, timelines

ALPHABET = "abcd"
Sequences = dict[str, str]

sequences = st.lists(st.text(ALPHABET, max_size=8), max_size=7).map(
    lambda drawn: {f"member:{n}": symbols for n, symbols in enumerate(drawn)}
)
symbol_sets = st.frozensets(st.sampled_from(ALPHABET), min_size=1, max_size=2)
rules = st.builds(
    Rule,
    contains=st.lists(symbol_sets, max_size=3).map(tuple),
    without=st.frozensets(st.sampled_from(ALPHABET), max_size=1),
)


def counted(drawn: Sequences, max_length: int) -> Counter[Pattern]:
    return Counter(p for symbols in drawn.values() for p in patterns_in(symbols, max_length))


def fits(rule: Rule, pattern: Pattern) -> bool:
    """Say whether the pattern has the rule's parts, by trying every choice of places."""
    has_parts = any(
        all(symbol in part for symbol, part in zip(choice, rule.contains, strict=True))
        for choice in combinations(pattern, len(rule.contains))
    )
    return has_parts and not rule.without & set(pattern)


def expected(
    drawn: Sequences, rule: Rule, excluded: list[Rule], core: bool, minimum: int, max_length: int
) -> list[tuple[Pattern, int]]:
    own = {symbol for part in rule.contains for symbol in part}
    chosen = [
        (pattern, actors)
        for pattern, actors in counted(drawn, max_length).items()
        if actors >= minimum
        and fits(rule, pattern)
        and not any(fits(other, pattern) for other in excluded)
        and (own >= set(pattern) and len(set(pattern)) <= len(rule.contains)) == core
    ]
    return sorted(chosen, key=lambda item: (-item[1], len(item[0]), item[0]))


@given(
    sequences,
    rules,
    st.lists(rules, max_size=2),
    st.booleans(),
    st.integers(1, 3),
    st.integers(1, 40),
    st.integers(1, 5),
)
def test_the_best_patterns_are_those_of_the_definition(
    drawn: Sequences,
    rule: Rule,
    excluded: list[Rule],
    core: bool,
    minimum: int,
    most: int,
    max_length: int,
) -> None:
    found = best_patterns(
        timelines(drawn),
        rule=rule,
        excluded=tuple(excluded),
        core=core,
        minimum=minimum,
        most=most,
        max_length=max_length,
    )
    all_of_them = expected(drawn, rule, excluded, core, minimum, max_length)
    assert found.patterns == all_of_them[:most]
    assert found.complete_from >= minimum
    complete = [item for item in all_of_them if item[1] >= found.complete_from]
    assert complete == found.patterns[: len(complete)]


def test_sequences_of_many_words_are_searched_to_their_end() -> None:
    rng = random.Random(5)
    # Long runs of one symbol are cut: "ab" keeps the sequence long, the others are rare.
    drawn = {
        f"member:{n}": "".join(rng.choices("abcdef", (40, 40, 1, 1, 1, 1), k=rng.randint(50, 400)))
        for n in range(12)
    }
    patterns = [
        (*first, second)
        for first in ("", "a", "c", "f", "cd", "ef", "ee", "fc")
        for second in "abcdef"
    ]
    patterns = [p for p in map(tuple, patterns) if len(p) > 1 and max(Counter(p).values()) <= 2]
    truth = {p: sum(leftmost(s, p) is not None for s in drawn.values()) for p in patterns}
    measured = measure_patterns(timelines(drawn), patterns)
    assert dict(zip(patterns, measured.actors.tolist(), strict=True)) == truth
    assert 0 < min(truth.values()) < max(truth.values()) == 12
    found = best_patterns(timelines(drawn), rule=Rule(), minimum=1, most=10**6, max_length=3)
    supports = dict(found.patterns)
    assert {p: supports[p] for p in patterns} == truth
    rule = Rule((frozenset("c"), frozenset("d")))
    of_rule = best_patterns(timelines(drawn), rule=rule, minimum=1, most=10**6, max_length=3)
    assert dict(of_rule.patterns) == {
        p: n for p, n in supports.items() if rule.fits(p) and not rule.is_core(p)
    }


@given(sequences)
@example({"member:0": "aabab", "member:1": "", "member:2": "bab"})
def test_measures_are_of_the_leftmost_match(drawn: Sequences) -> None:
    lines = timelines(drawn)
    patterns = [*sorted(counted(drawn, 3)), ("a", "z"), ("d", "d")]
    measured = measure_patterns(lines, patterns[::-1])
    actors = lines.actors.to_list()
    for place, pattern in enumerate(patterns[::-1]):
        matches = {a: leftmost(drawn[a], pattern) for a in actors}
        shown = {a: match for a, match in matches.items() if match}
        assert measured.actors[place] == len(shown)
        if "z" not in pattern:
            prefix = [a for a in actors if leftmost(drawn[a], pattern[:-1])]
            assert measured.prefix_actors[place] == len(prefix)
        examples = [actors[n] for n in measured.examples[place] if n >= 0]
        assert examples == sorted(shown)[:3]
        seconds = measured.median_seconds[place]
        if shown:
            assert seconds == median(60 * (end - begin) for begin, end in shown.values())
        else:
            assert np.isnan(seconds)


def test_unasked_nothing_is_timed() -> None:
    measured = measure_patterns(timelines({"member:a": "ab"}), [("a", "b")], timed=False)
    assert measured.actors.tolist() == [1] and np.isnan(measured.median_seconds).all()


def test_a_first_guess_from_a_sample_changes_nothing() -> None:
    rng = random.Random(3)
    drawn = {
        f"member:{n:05}": "".join(rng.choices("abcde", (5, 4, 3, 2, 1), k=rng.randint(1, 4)))
        for n in range(prefixspan.SAMPLE_FROM)
    }
    distinct = Counter(drawn.values())
    truth: Counter[Pattern] = Counter()
    for symbols, often in distinct.items():
        for pattern in patterns_in(symbols, 4):
            truth[pattern] += often
    lines = timelines(drawn)
    for most in (3, 40, 10_000):
        found = best_patterns(lines, rule=Rule(), minimum=50, most=most, max_length=4)
        ordered = sorted(truth.items(), key=lambda item: (-item[1], len(item[0]), item[0]))
        assert found.patterns == [item for item in ordered if item[1] >= 50][:most]


def test_more_symbols_than_memory_allows_are_left_out_and_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn = {"member:a": "abcd", "member:b": "abc", "member:c": "abc", "member:d": "ab"}
    lines = timelines(drawn)
    search = {"rule": Rule(), "minimum": 1, "most": 99, "max_length": 2}
    assert best_patterns(lines, **search).complete_from == 1
    # Room for three symbols of the four, then for two.
    for room, symbols, complete_from in ((3, "abc", 2), (2, "ab", 4)):
        monkeypatch.setattr(prefixspan, "MOST_BITS", room * (len(lines.symbols) + 64 * 4))
        found = best_patterns(lines, **search)
        assert {s for pattern, _ in found.patterns for s in pattern} == set(symbols)
        assert found.complete_from == complete_from


def test_alphabets_of_more_than_64_symbols() -> None:
    names = [f"s{n:03}" for n in range(150)]
    drawn = {f"member:{n}": names[n : n + 130] for n in range(20)}
    found = best_patterns(timelines(drawn), rule=Rule(), minimum=20, most=10**6, max_length=2)
    shared = names[19:130]
    assert len(found.patterns) == len(shared) * (len(shared) - 1) // 2
    assert {s for pattern, _ in found.patterns for s in pattern} == set(shared)


def test_symbols_are_counted_by_actor() -> None:
    lines = timelines({"member:a": "aab", "member:b": "a", "member:c": ""})
    assert dict(zip(lines.alphabet, actors_by_symbol(lines).tolist(), strict=True)) == {
        "a": 2,
        "b": 1,
    }
