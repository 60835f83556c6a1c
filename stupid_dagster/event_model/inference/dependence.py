"""Evidence from pairs: values shared by event types, and columns that determine others."""

from __future__ import annotations

from functools import cache

import numpy as np
import polars as pl

from stupid_dagster.event_model.inference.columns import Column
from stupid_dagster.event_model.inference.sample import Sample

DETERMINES = 0.95
"""Agreement above which a column is taken to determine another."""
_FEWEST_ROWS = 20


def overlap(column: Column, event_type: str, other: str) -> float:
    """Return the share of an event type's values of a column that another event type has too."""
    here, there = column.counts.get(event_type), column.counts.get(other)
    if here is None or there is None or here.is_empty() or there.is_empty():
        return 0.0
    shared = here["value"].is_in(there["value"].implode())
    return int(here.filter(shared)["count"].sum()) / int(here["count"].sum())


def shared_by(column: Column) -> list[tuple[str, float]]:
    """Return (event type, share of its cells) whose values the column's main event type has too.

    The main event type is the one with most distinct values; it isn't among them.
    """
    found = column.event_types
    if len(found) < 2:
        return []
    main = max(found, key=column.distinct_in)
    return [
        (event_type, share)
        for event_type in found
        if event_type != main and (share := overlap(column, event_type, main)) > 0
    ]


def shared_words(column: Column) -> str:
    """Return the evidence of `shared_by` in words; empty if there is none."""
    parts = [f"{event_type} ({share:.0%} of its values)" for event_type, share in shared_by(column)]
    return f"also in {', '.join(parts[:3])}" if parts else ""


class Dependencies:
    """Which columns determine which others, measured on demand."""

    def __init__(self, sample: Sample) -> None:
        self._sample = sample
        self.strength = cache(self._strength)

    def determines(self, source: str, target: str) -> bool:
        """Return whether (nearly) every value of one column goes with one value of another."""
        return self.strength(source, target) >= DETERMINES

    def _strength(self, source: str, target: str) -> float:
        """Return how much better two events that share `source` agree on `target` than any two.

        From 0 (no better than chance) to 1 (always): Goodman and Kruskal's tau without the terms
        of a row with itself, so that values that occur once prove nothing. It is taken in the
        first event type, by rows, with enough evidence; 0 where none has.
        """
        one, other = self._sample.columns[source], self._sample.columns[target]
        both = [e for e in one.event_types if e in other.event_types]
        rows = self._sample.rows
        both.sort(key=lambda e: -rows[e] * min(one.filled_share(e), other.filled_share(e)))
        for event_type in both:
            x = self._sample.codes(event_type, source)
            y = self._sample.codes(event_type, target)
            if (measured := _tau(x, y)) is not None:
                return measured
        return 0.0


def _tau(x: np.ndarray, y: np.ndarray) -> float | None:
    both = (x >= 0) & (y >= 0)
    if both.sum() < 2:
        return None
    x, y = x[both], y[both]
    width = int(y.max()) + 1
    pairs, counts = np.unique(x * width + y, return_counts=True)
    owners = pairs // width  # Sorted, as the pairs are.
    starts = np.flatnonzero(np.concatenate(([True], owners[1:] != owners[:-1])))
    sizes = np.add.reduceat(counts, starts)
    agreeing = np.add.reduceat(counts * (counts - 1), starts)
    repeated = sizes > 1
    evidence = int(sizes[repeated].sum())
    if evidence < min(_FEWEST_ROWS, len(x)) or not evidence:
        return None
    agreement = (agreeing[repeated] / (sizes[repeated] - 1)).sum() / evidence
    totals = np.bincount(y)
    chance = float((totals * (totals - 1)).sum() / (len(y) * (len(y) - 1)))
    if chance >= 1:
        return None
    return float((agreement - chance) / (1 - chance))


def same_rows(sample: Sample, one: str, other: str) -> pl.DataFrame:
    """Return per event type how many rows have a value in the first, the second, and both."""
    rows = []
    for event_type in sample.frames:
        first = sample.codes(event_type, one) >= 0
        second = sample.codes(event_type, other) >= 0
        rows.append((event_type, int(first.sum()), int(second.sum()), int((first & second).sum())))
    return pl.DataFrame(rows, schema=["event_type", "first", "second", "both"], orient="row")
