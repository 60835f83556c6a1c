"""Rows that come late or early, twice, or without a usable time, and the order in a file."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from stupid_dagster.samples.gaming import profile
from stupid_dagster.samples.gaming.activity import Rows
from stupid_dagster.samples.gaming.profile import DAY_MS, HOUR_MS
from stupid_dagster.samples.gaming.randomness import Ints, pick


@dataclass(frozen=True)
class Dirt:
    """What became of the rows: `order` lists the rows of the file, duplicates twice."""

    at: Ints  # of each row, no two the same; outside of the day where late or early
    stamp: Ints  # 0 where the timestamp is fine, -1... for a null spelling, 1... if garbled
    order: Ints


def soil(rng: np.random.Generator, rows: Rows, first_day: bool) -> Dirt:
    """Decide which rows get which dirt; planted rows get none.

    The first day's files hold nothing from the day before, which has no files.
    """
    n = len(rows)
    candidates = rng.permutation(np.flatnonzero(~rows.planted))
    shares = (
        profile.DUPLICATES,
        0.0 if first_day else profile.PREVIOUS_DAY,
        *(profile.NEXT_DAY, profile.MISSING_TIMESTAMP, profile.GARBLED_TIMESTAMP),
    )
    counts = [int(rng.binomial(n, share)) for share in shares]
    bounds = np.concatenate(([0], np.cumsum(counts)))
    twice, late, early, missing, garbled = (candidates[a:b] for a, b in itertools.pairwise(bounds))
    at = rows.at.copy()
    at[late] = -rng.integers(1_000, 4 * HOUR_MS, len(late))
    at[early] = DAY_MS + rng.integers(1_000, HOUR_MS // 3, len(early))
    at = _apart(at)
    arrival = at + rng.exponential(1_500.0, n)
    arrival[late] = rng.exponential(HOUR_MS, len(late))
    arrival[early] = DAY_MS - rng.uniform(0.0, 2 * HOUR_MS, len(early))
    again = arrival[twice] + rng.exponential(20_000.0, len(twice))
    order = np.argsort(np.concatenate((arrival, again)), kind="stable")
    stamp = np.zeros(n, dtype=np.int64)
    stamp[missing] = -1 - pick(rng, profile.NULL_SHARES, len(missing))
    stamp[garbled] = 1 + rng.integers(len(profile.GARBLED), size=len(garbled))
    return Dirt(at, stamp, np.concatenate((np.arange(n), twice))[order])


def _apart(at: Ints) -> Ints:
    """Move equal times a millisecond or few apart, so that equal rows are planted ones only."""
    order = np.argsort(at, kind="stable")
    steps = np.arange(len(at))
    moved = np.empty_like(at)
    moved[order] = np.maximum.accumulate(at[order] - steps) + steps
    return moved
