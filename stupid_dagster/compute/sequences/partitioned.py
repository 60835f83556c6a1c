"""Frequent sequences where actors are too many for one search: block by block, and exact.

A pattern that `minimum` actors show is shown in some block by that block's share of them or more:
Savasere, Omiecinski and Navathe, "An Efficient Algorithm for Mining Association Rules in Large
Databases" (Partition, later called SON), VLDB 1995. So patterns that have their share in any block
are candidates, and those are counted in all blocks. Of the best k only, the least support is first
raised to that of the k-th best among what blocks find by themselves, as in Cao and Wang, "Efficient
Top-K Query Calculation in Distributed Networks" (TPUT), PODC 2004.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import pairwise

import numpy as np

from stupid_dagster.compute.sequences import prefixspan
from stupid_dagster.compute.sequences.prefixspan import (
    Best,
    Measured,
    Pattern,
    Rule,
    actors_by_symbol,
    best_patterns,
    busiest_first,
    cut_best,
    find_patterns,
    first_guess,
    in_order,
    measure_patterns,
    pattern_spans,
    usable_symbols,
)
from stupid_dagster.compute.sequences.timelines import Timelines

SPANS_AT_ONCE = 2**25
"""Times from a pattern's first symbol to its last that are held for its median: 256 MiB."""
_ALL = 2**62
Found = list[tuple[Pattern, int]]


def in_blocks(timelines: Timelines, minimum: int) -> list[Timelines]:
    """Return blocks of actors, one after the other, whose bits fit in memory: one if all do.

    Bits are those of the symbols that `minimum` actors have, see `prefixspan.MOST_BITS`.
    """
    symbols = int((actors_by_symbol(timelines) >= minimum).sum())
    bits = timelines.starts[1:] + 64 * np.arange(1, timelines.size + 1)
    total = int(bits[-1]) if timelines.size else 0
    number = min(max(1, timelines.size), -(-max(1, symbols * total) // prefixspan.MOST_BITS))
    ends = np.searchsorted(bits, np.arange(1, number) * (total / number), side="right")
    bounds = np.unique(np.concatenate(([0], ends, [timelines.size])))
    if len(bounds) <= 2:
        return [timelines]
    return [timelines.sliced(first, end) for first, end in pairwise(bounds.tolist())]


def best_patterns_in_blocks(
    blocks: Sequence[Timelines],
    *,
    rule: Rule,
    excluded: tuple[Rule, ...] = (),
    core: bool = False,
    minimum: int,
    most: int,
    max_length: int,
) -> Best:
    """Return what `best_patterns` does, of the actors of all blocks."""
    if len(blocks) == 1:
        return best_patterns(
            blocks[0],
            rule=rule,
            excluded=excluded,
            core=core,
            minimum=minimum,
            most=most,
            max_length=max_length,
        )
    size = sum(block.size for block in blocks)
    if most < 1:
        return Best([], size + 1)
    often = np.sum([actors_by_symbol(block) for block in blocks], axis=0)
    usable = usable_symbols(blocks[0], often, minimum, rule, core)
    if not usable or max_length < 2:
        return Best([], minimum)
    find = partial(find_patterns, rule=rule, excluded=excluded, core=core, max_length=max_length)
    best = partial(find, most=most)

    def candidates(search: Callable[[Timelines, int], Found], least: int) -> set[Pattern]:
        """Return what `search` finds in any block, from the block's share of `least` actors on."""
        found: set[Pattern] = set()
        for block in blocks:
            lines = block.restricted(usable)
            share = max(1, -(-least * block.size // size))
            found.update(
                pattern for pattern, _ in search(lines.ordered(busiest_first(lines)), share)
            )
        return found

    def counted(patterns: set[Pattern]) -> Found:
        listed = sorted(patterns)
        return list(zip(listed, _actors(blocks, listed).tolist(), strict=True))

    def first(lines: Timelines, share: int) -> Found:
        return best(lines, minimum=first_guess(best, lines, share, most))

    leading = candidates(first, minimum)
    found = in_order(item for item in counted(leading) if item[1] >= minimum)
    least = found[most - 1][1] if len(found) >= most else minimum
    others = candidates(lambda lines, share: find(lines, most=_ALL, minimum=share), least)
    found += [item for item in counted(others - leading) if item[1] >= minimum]
    return cut_best(in_order(found), most, minimum)


def measure_patterns_in_blocks(
    blocks: Sequence[Timelines], patterns: list[Pattern], *, timed: bool = True
) -> Measured:
    """Return what `measure_patterns` does, of the actors of all blocks."""
    if len(blocks) == 1:
        return measure_patterns(blocks[0], patterns, timed=timed)
    found = [measure_patterns(block, patterns, timed=False) for block in blocks]
    firsts = np.cumsum([0, *(block.size for block in blocks)])
    examples = [
        np.where(each.examples < 0, _ALL, each.examples + first)
        for each, first in zip(found, firsts[:-1], strict=True)
    ]
    least = np.sort(np.concatenate(examples, axis=1), axis=1)[:, :3]
    actors = np.sum([each.actors for each in found], axis=0)
    return Measured(
        actors,
        np.sum([each.prefix_actors for each in found], axis=0),
        _medians(blocks, patterns, actors) if timed else np.full(len(patterns), np.nan),
        np.where(least == _ALL, -1, least),
    )


def _actors(blocks: Sequence[Timelines], patterns: list[Pattern]) -> np.ndarray:
    """Return how many actors of all blocks show each pattern, int64."""
    return measure_patterns_in_blocks(blocks, patterns, timed=False).actors


def _medians(
    blocks: Sequence[Timelines], patterns: list[Pattern], actors: np.ndarray
) -> np.ndarray:
    """Return the median seconds of each pattern, float64, NaN where no actor shows it."""
    medians = np.full(len(patterns), np.nan)
    # Patterns with a prefix in common side by side: they are looked up together.
    order = sorted(range(len(patterns)), key=lambda place: patterns[place])
    for places in _batches(order, actors):
        batch = [patterns[place] for place in places]
        spans: list[list[np.ndarray]] = [[] for _ in places]
        for block in blocks:
            for number, own in pattern_spans(block, batch, int(actors[places].sum())):
                spans[number].append(own)
        for place, own in zip(places, spans, strict=True):
            if actors[place]:
                medians[place] = np.median(np.concatenate(own)) / 1000
    return medians


def _batches(order: Iterable[int], actors: np.ndarray) -> Iterator[list[int]]:
    """Yield places in this order, so many at once as `SPANS_AT_ONCE` allows; at least one."""
    batch: list[int] = []
    held = 0
    for place in order:
        if batch and held + actors[place] > SPANS_AT_ONCE:
            yield batch
            batch, held = [], 0
        batch.append(place)
        held += int(actors[place])
    if batch:
        yield batch
