"""Frequent sequences of symbols: PrefixSpan, for the best of them.

The patterns of a set of sequences grow symbol by symbol, each with the places where it first ends
in each sequence (its projection): Pei et al., "Mining Sequential Patterns by Pattern-Growth: The
PrefixSpan Approach", IEEE TKDE 16 (2004). The least support rises to that of the k-th best found
so far: Fournier-Viger et al., "TKS: Efficient Mining of Top-K Sequential Patterns", ADMA 2013.
That is exact, for no pattern has more support than its prefix.

The loops are in `projections`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from stupid_dagster.compute.sequences.timelines import Timelines

Pattern = tuple[str, ...]
MOST_BITS = 2**33
"""Bits (one for each symbol and event, see `projections`) that a search may use: 1 GiB."""
SAMPLE = 16
"""Every so-manieth sequence, by length, tells what support to begin with ..."""
SAMPLE_FROM = 2_000 * SAMPLE
"""... where there are at least so many."""


@dataclass(frozen=True)
class Rule:
    """What makes a pattern one of a category: parts in this order, and none of some symbols.

    A part is the set of symbols that fill it.
    """

    contains: tuple[frozenset[str], ...] = ()
    without: frozenset[str] = frozenset()

    @property
    def own(self) -> frozenset[str]:
        """All symbols that fill a part."""
        return frozenset().union(*self.contains)

    def is_core(self, pattern: Pattern) -> bool:
        """Return whether the pattern is of `own` symbols, no more different ones than parts."""
        return self.own.issuperset(pattern) and len(set(pattern)) <= len(self.contains)

    def fits(self, pattern: Pattern) -> bool:
        """Return whether the pattern has the parts, others between them or not."""
        if not self.without.isdisjoint(pattern):
            return False
        symbols = iter(pattern)
        return all(any(symbol in part for symbol in symbols) for part in self.contains)


@dataclass(frozen=True)
class Best:
    """The patterns of most support, best first, and the support from which on all are there."""

    patterns: list[tuple[Pattern, int]]
    complete_from: int


@dataclass(frozen=True, eq=False)
class Measured:
    """What is known of each of k patterns.

    `actors` (int64 [k]) show it; `prefix_actors` show all of it but its last symbol;
    `median_seconds` (float64 [k], NaN where nobody shows it or unasked) lie between its first and
    its last symbol where it is soonest complete; `examples` (int64 [k, 3]) are the first actors
    who show it, -1 where there are fewer.
    """

    actors: np.ndarray
    prefix_actors: np.ndarray
    median_seconds: np.ndarray
    examples: np.ndarray


def actors_by_symbol(timelines: Timelines) -> np.ndarray:
    """Return how many actors have each symbol of the alphabet, int64."""
    from stupid_dagster.compute.sequences.projections import count_owners

    return count_owners(timelines.starts, timelines.symbols, len(timelines.alphabet))


def best_patterns(
    timelines: Timelines,
    *,
    rule: Rule,
    excluded: tuple[Rule, ...] = (),
    core: bool = False,
    minimum: int,
    most: int,
    max_length: int,
) -> Best:
    """Return the `most` patterns of 2 to `max_length` symbols that most actors show.

    They fit `rule`, fit none of `excluded`, are core patterns of `rule` just if `core`, name no
    symbol more than twice, and at least `minimum` actors show them: have their symbols in that
    order, others between them or not. Of equal support the shorter come first, then those first
    in the alphabet.
    """
    if most < 1:
        return Best([], timelines.size + 1)
    often = actors_by_symbol(timelines)
    floor = max(minimum, _floor(often, timelines))
    lines = timelines.restricted(usable_symbols(timelines, often, floor, rule, core))
    if not lines.alphabet or max_length < 2:
        return Best([], floor)
    lines = lines.ordered(busiest_first(lines))
    find = partial(
        find_patterns, rule=rule, excluded=excluded, core=core, most=most, max_length=max_length
    )
    found = find(lines, minimum=first_guess(find, lines, floor, most))
    if len(found) < most:
        found = find(lines, minimum=floor)
    return cut_best(found, most, floor)


def usable_symbols(
    timelines: Timelines, often: np.ndarray, least: int, rule: Rule, core: bool
) -> list[str]:
    """Return the symbols that `least` actors have and that `rule`, if `core`, allows."""
    own = rule.own
    return [
        symbol
        for symbol, actors in zip(timelines.alphabet, often.tolist(), strict=True)
        if actors >= least and symbol not in rule.without and (symbol in own or not core)
    ]


def cut_best(found: list[tuple[Pattern, int]], most: int, least: int) -> Best:
    """Return the first `most` of patterns in order; all that `least` actors show, if fewer."""
    if len(found) < most:
        return Best(found, least)
    last = found[most - 1][1]
    is_cut = len(found) > most and found[most][1] == last
    return Best(found[:most], last + 1 if is_cut else last)


def in_order(found: Iterable[tuple[Pattern, int]]) -> list[tuple[Pattern, int]]:
    """Return patterns with their supports: most actors first, then shortest, then by alphabet."""
    return sorted(found, key=lambda item: (-item[1], len(item[0]), item[0]))


def busiest_first(lines: Timelines) -> np.ndarray:
    """Return an order in which those lie together who are in most projections."""
    return np.argsort(-np.diff(lines.starts), kind="stable")


def _floor(often: np.ndarray, timelines: Timelines) -> int:
    """Return how many actors a symbol needs for the bits to fit in memory; 1 if all do."""
    # Each actor's last word is half empty, or more.
    bits = len(timelines.symbols) + 64 * timelines.size
    room = MOST_BITS // max(1, bits)
    # As frequent as the first that is left out is too rare.
    return int(np.sort(often)[-room - 1]) + 1 if len(often) > room else 1


def first_guess(
    find: Callable[..., list[tuple[Pattern, int]]], lines: Timelines, minimum: int, most: int
) -> int:
    """Return a support that most likely more than `most` patterns have, from a sample."""
    if lines.size < SAMPLE_FROM:
        return minimum
    sampled = find(
        lines.ordered(np.arange(0, lines.size, SAMPLE)), minimum=max(1, minimum // SAMPLE)
    )
    if len(sampled) < most:
        return minimum
    actors = sampled[most - 1][1]
    return max(minimum, int(SAMPLE * (actors - 2 * math.sqrt(actors))))


def find_patterns(
    lines: Timelines,
    *,
    rule: Rule,
    excluded: tuple[Rule, ...],
    core: bool,
    minimum: int,
    most: int,
    max_length: int,
) -> list[tuple[Pattern, int]]:
    """Return the `most` patterns and all of the last one's support, in order."""
    from stupid_dagster.compute.sequences.projections import search

    alphabet = lines.alphabet
    parts = _filled(rule.contains, len(rule.contains), alphabet)
    longest = max((len(other.contains) for other in excluded), default=0)
    patterns, supports = search(
        lines.starts,
        lines.symbols,
        parts,
        _stack([_filled(other.contains, longest, alphabet) for other in excluded], longest, parts),
        np.array([len(other.contains) for other in excluded], dtype=np.int64),
        _filled(tuple(other.without for other in excluded), len(excluded), alphabet),
        np.array([bool(other.without) for other in excluded], dtype=np.bool_),
        _filled((rule.own,), 1, alphabet)[0],
        core,
        max(1, minimum),
        most,
        max_length,
    )
    found = [
        (tuple(alphabet[symbol] for symbol in pattern if symbol >= 0), support)
        for pattern, support in zip(patterns.tolist(), supports.tolist(), strict=True)
    ]
    return in_order(found)


def measure_patterns(
    timelines: Timelines, patterns: list[Pattern], *, timed: bool = True
) -> Measured:
    """Return who shows each pattern and, if `timed`, how long it takes.

    No pattern may name a symbol more than twice.
    """
    result = Measured(
        np.zeros(len(patterns), dtype=np.int64),
        np.zeros(len(patterns), dtype=np.int64),
        np.full(len(patterns), np.nan),
        np.full((len(patterns), 3), -1, dtype=np.int64),
    )
    known, measured = _measured(timelines, patterns, timed, np.zeros(0, dtype=np.int64))
    if known:
        result.actors[known], result.prefix_actors[known] = measured[0], measured[1]
        result.median_seconds[known], result.examples[known] = measured[2] / 1000, measured[3]
    return result


def pattern_spans(
    timelines: Timelines, patterns: list[Pattern], most: int
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield, of patterns that actors show, the place and how long it takes each of these actors.

    Those are milliseconds, int64, in no set order; no more than `most` of all patterns together.
    """
    spans = np.empty(most, dtype=np.int64)
    known, measured = _measured(timelines, patterns, True, spans)
    if known:
        ends = np.cumsum(measured[0])
        for place, first, end in zip(known, (ends - measured[0]).tolist(), ends, strict=True):
            yield place, spans[first:end]


def _measured(
    timelines: Timelines, patterns: list[Pattern], timed: bool, spans: np.ndarray
) -> tuple[list[int], tuple[np.ndarray, ...]]:
    """Return the places of patterns whose symbols there are, and what is measured of these."""
    from stupid_dagster.compute.sequences.projections import measure

    named = {symbol for pattern in patterns for symbol in pattern}
    lines = timelines.restricted(named)
    order = busiest_first(lines)
    lines = lines.ordered(order)
    code = {symbol: number for number, symbol in enumerate(lines.alphabet)}
    known = [place for place, pattern in enumerate(patterns) if code.keys() >= set(pattern)]
    # Neighbours share prefixes, which are looked up once.
    known.sort(key=lambda place: patterns[place])
    if not known:
        return [], ()
    longest = max(len(patterns[place]) for place in known)
    coded = np.full((len(known), longest), -1, dtype=np.int32)
    for row, place in enumerate(known):
        coded[row, : len(patterns[place])] = [code[symbol] for symbol in patterns[place]]
    lines_of = (lines.starts, lines.symbols, lines.times)
    return known, measure(*lines_of, order, len(code), coded, timed, spans)


def _filled(parts: tuple[frozenset[str], ...], rows: int, alphabet: list[str]) -> np.ndarray:
    """Return which symbols fill each part, bool [rows, symbols]."""
    table = np.zeros((rows, len(alphabet)), dtype=np.bool_)
    for row, part in enumerate(parts):
        table[row] = [symbol in part for symbol in alphabet]
    return table


def _stack(tables: list[np.ndarray], rows: int, like: np.ndarray) -> np.ndarray:
    return np.stack(tables) if tables else np.zeros((0, rows, like.shape[1]), dtype=np.bool_)
