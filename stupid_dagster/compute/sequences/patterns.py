"""Frequent sequences of what actors do, by the event model's categories."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import xxhash

from stupid_dagster.compute.sequences.partitioned import (
    best_patterns_in_blocks,
    in_blocks,
    measure_patterns_in_blocks,
)
from stupid_dagster.compute.sequences.prefixspan import (
    Measured,
    Pattern,
    Rule,
    actors_by_symbol,
)
from stupid_dagster.compute.sequences.timelines import Timelines, code_of
from stupid_dagster.event_model import EventModel
from stupid_dagster.tables import conform

OTHER = "Other"
VANISHED = "vanished"


@dataclass(frozen=True)
class Bounds:
    """Which patterns are kept: see the settings `pattern_*` and `patterns_most`."""

    min_support: float
    min_actors: int
    max_length: int
    most: int

    def minimum(self, actors: int) -> int:
        """Return how many of so many actors with a sequence a pattern needs."""
        # A share such as 0.07 of 100 is a hair more than 7.
        share = math.ceil(self.min_support * actors * (1 - 1e-12))
        return max(1, self.min_actors, share)


@dataclass(frozen=True, eq=False)
class PatternResult:
    """The table `patterns`; how many actors a pattern needed to be in it.

    `complete_from` says for each category from how many actors on none of its patterns is missing.
    """

    patterns: pl.DataFrame
    minimum: int
    complete_from: Mapping[str, int]


def find_patterns(
    model: EventModel,
    timelines: Timelines,
    bounds: Bounds,
    *,
    previous: pl.DataFrame | None = None,
    previous_timelines: Timelines | None = None,
) -> PatternResult:
    """Return the frequent patterns of what actors do, those most actors show first.

    A pattern has at least two symbols and names none more than twice: twice means twice or more.
    Without that, repeats of the commonest symbols would be most of the patterns.

    Each category of the event model gets an equal share of `bounds.most`; what one leaves over
    goes to those after it. Up to half of a share is for core patterns: of nothing but symbols
    that fill the category's parts, no more different ones than it has parts. Without that,
    common events in between would crowd out what the category is about. Core or not, the
    patterns of most actors are taken.

    `previous` is this table of the previous window, of which `previous_timelines` are. A pattern
    is new if too few actors showed it then, whether or not the table has it, and vanished if the
    table has it and too few show it now.
    """
    minimum = bounds.minimum(timelines.size)
    before = _supports(previous)
    seen = {symbol for pattern in before for symbol in pattern}
    rules = _rules(model, {*timelines.alphabet, *seen})
    blocks = in_blocks(timelines, minimum)
    chosen, complete_from = _choose(blocks, rules, minimum, bounds)
    gone = [pattern for pattern in before if pattern not in chosen]
    candidates = [*chosen, *gone]
    measured = measure_patterns_in_blocks(blocks, candidates)
    kept = [
        place
        for place, actors in enumerate(measured.actors)
        if place < len(chosen) or actors < minimum
    ]
    if previous_timelines is not None:
        unknown = [pattern for pattern in chosen if pattern not in before]
        needed = bounds.minimum(previous_timelines.size)
        former = in_blocks(previous_timelines, needed)
        then = measure_patterns_in_blocks(former, unknown, timed=False).actors
        before |= {
            pattern: actors / previous_timelines.size
            for pattern, actors in zip(unknown, then.tolist(), strict=True)
            if actors >= needed
        }
    patterns = [candidates[place] for place in kept]
    table = _describe(timelines, patterns, measured, kept).with_columns(
        category=pl.Series([category_of(rules, p) for p in patterns], dtype=pl.String),
        previous_support=pl.Series([before.get(p) for p in patterns], dtype=pl.Float64),
        status=pl.Series(
            [
                VANISHED if place >= len(chosen) else "continued" if p in before else "new"
                for place, p in zip(kept, patterns, strict=True)
            ]
            if previous is not None
            else [None] * len(kept),
            dtype=pl.String,
        ),
    )
    table = table.sort("actors", "length", "symbols", descending=[True, False, False])
    return PatternResult(conform("patterns", table), minimum, complete_from)


def category_of(rules: Mapping[str, Rule], pattern: Pattern) -> str:
    """Return the first category whose rule the pattern fits; `Other` if none does."""
    return next((name for name, rule in rules.items() if rule.fits(pattern)), OTHER)


def _rules(model: EventModel, symbols: Iterable[str]) -> dict[str, Rule]:
    """Return the event model's categories, in its order; a name's first rule counts."""

    def filling(part: str) -> frozenset[str]:
        return frozenset(s for s in symbols if part in (s, code_of(s)))

    rules: dict[str, Rule] = {}
    for category in model.patterns.categories:
        without = frozenset().union(*map(filling, category.without))
        rules.setdefault(category.name, Rule(tuple(map(filling, category.contains)), without))
    return rules


def _choose(
    blocks: Sequence[Timelines], rules: Mapping[str, Rule], minimum: int, bounds: Bounds
) -> tuple[list[Pattern], dict[str, int]]:
    chosen: list[Pattern] = []
    complete_from: dict[str, int] = {}
    categories = [*rules.items(), (OTHER, Rule())]
    for number, (name, rule) in enumerate(categories):
        share = (bounds.most - len(chosen)) // (len(categories) - number)
        limits = {
            "rule": rule,
            "excluded": tuple(rules.values())[:number],
            "minimum": minimum,
            "max_length": bounds.max_length,
        }
        core = best_patterns_in_blocks(blocks, **limits, core=True, most=share // 2)
        rest = best_patterns_in_blocks(blocks, **limits, most=share - len(core.patterns))
        chosen += [pattern for pattern, _ in core.patterns + rest.patterns]
        # Without parts there are no core patterns that could be missing.
        complete_from[name] = max(rest.complete_from, core.complete_from if rule.contains else 0)
    return chosen, complete_from


def _supports(previous: pl.DataFrame | None) -> dict[Pattern, float]:
    """Return the patterns that were frequent in the previous window, and their support."""
    if previous is None:
        return {}
    known = previous.filter(pl.col("status").fill_null("") != VANISHED)
    supports = known["support"].to_list()
    return {tuple(p): s for p, s in zip(known["symbols"].to_list(), supports, strict=True)}


def _describe(
    timelines: Timelines, patterns: list[Pattern], measured: Measured, kept: list[int]
) -> pl.DataFrame:
    actors = measured.actors[kept].astype(np.float64)
    often = dict(zip(timelines.alphabet, actors_by_symbol(timelines).tolist(), strict=True))
    last = np.array([often.get(pattern[-1], 0) for pattern in patterns], dtype=np.float64)
    expected = measured.prefix_actors[kept] * last / max(1, timelines.size)
    examples = measured.examples[kept]
    named = timelines.actors.gather(np.maximum(examples, 0).ravel()) if timelines.size else None
    lift = np.divide(actors, expected, out=np.full(len(kept), np.nan), where=expected > 0)
    return pl.DataFrame(
        {
            "pattern_id": [_pattern_id(pattern) for pattern in patterns],
            "symbols": pl.Series([list(p) for p in patterns], dtype=pl.List(pl.String)),
            "length": [len(pattern) for pattern in patterns],
            "actors": measured.actors[kept],
            "support": actors / max(1, timelines.size),
            "lift": pl.Series(lift).fill_nan(None),
            "median_seconds": pl.Series(measured.median_seconds[kept]).fill_nan(None),
            "examples": _examples(named, examples),
        },
        schema_overrides={"pattern_id": pl.String, "length": pl.UInt16},
    )


def _examples(named: pl.Series | None, examples: np.ndarray) -> pl.Series:
    if named is None:
        return pl.Series([[]] * len(examples), dtype=pl.List(pl.String))
    known = pl.Series(examples.ravel() >= 0)
    ids = pl.DataFrame({"row": np.repeat(np.arange(len(examples)), 3), "actor": named}).filter(
        known
    )
    listed = ids.group_by("row", maintain_order=True).agg("actor")
    rows = pl.DataFrame({"row": np.arange(len(examples))})
    joined = rows.join(listed, on="row", how="left", maintain_order="left")
    return joined["actor"].fill_null([])


def _pattern_id(pattern: Pattern) -> str:
    return "pattern:" + xxhash.xxh64_hexdigest("\n".join(pattern).encode())
