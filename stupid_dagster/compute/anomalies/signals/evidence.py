"""What a signal is made of: numbers of each actor, what is usual, how rare it is to be so far off.

Rarity is counted in decades: 3 is what one actor in 1,000 shows. Numbers that have nothing in
common (a share, a count of devices) become comparable by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import polars as pl

from stupid_dagster.compute.arrays import Floats
from stupid_dagster.compute.segments.scaling import NORMAL_IQR, SKEWED, skewness

LEVELS = (0.1, 0.01)
"""Shares of the actors at which a tail is measured; what fewer than 1 % do doesn't bend it."""
LEAST_ACTORS = 10
"""Of fewer, nobody can say what is rare."""
LEAST_CROWD = 1_000
"""Among fewer actors than this, once in a crowd of this size is still as far as chance goes."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """Items of one signal: [actors, items] arrays of float64.

    `usual` and `z` are NaN where nothing is known; `rarity` is 0 there, and where a number is
    not off.
    """

    signal: str
    names: tuple[str, ...]
    value: Floats
    usual: Floats
    z: Floats
    rarity: Floats

    @classmethod
    def of(cls, signal: str, items: dict[str, tuple[Floats, ...]], actors: int) -> Self:
        """Return the evidence of items: name to (value, usual, z, rarity), each [actors]."""
        empty = np.zeros((actors, 0))
        parts = [np.column_stack(part) for part in zip(*items.values(), strict=True)]
        value, usual, z, rarity = parts or [empty] * 4
        return cls(signal, tuple(items), value, usual, z, np.nan_to_num(rarity))

    def strength(self) -> Floats:
        """Return the signal [actors], 0 to 1, from each actor's rarest item.

        Its rarity is lowered by the number of items compared (Bonferroni). 0.5 is the rarest
        that chance is to show among all actors, once; 1 is once in the square of their number.
        """
        actors, items = self.rarity.shape
        rarest = self.rarity.max(axis=1, initial=0.0) - np.log10(max(1, items))
        # `+ 0.0` turns -0.0 into 0.0.
        return np.clip(rarest / full_rarity(actors), 0.0, 1.0) + 0.0


def full_rarity(actors: int) -> float:
    """Return the rarity of a signal of 1: once in the square of the number of actors."""
    return 2 * float(np.log10(max(actors, LEAST_CROWD)))


def tail_rarity(off: Floats, least: float = 0.0) -> Floats:
    """Return how rare it is to be at least `off` away, in decades; 0 for NaN.

    `off` [actors] is 0 or more. The tail is taken as exponential, and as heavy as it has to
    be to lie above what the actors show at 10 % and at 1 %; `least` is the least distance of a
    decade. A tail that ends sooner (a normal one) is rarer than said, never more common. Where
    fewer than 1 % are off at all, their own median stands for them. The peaks-over-threshold
    method with the extreme value index 0 (Siffer et al. 2017, "Anomaly detection in streams
    with extreme value theory") does so, with one threshold.
    """
    known = off[np.isfinite(off)]
    if known.size < LEAST_ACTORS:
        return np.zeros_like(off)
    decade = max(
        least,
        *(
            float(np.quantile(known, 1 - share, method="lower")) / -np.log10(share)
            for share in LEVELS
            if share * known.size >= 1
        ),
    )
    if decade == 0:
        present = known[known > 0]
        if not present.size:
            return np.zeros_like(off)
        decade = float(np.median(present)) / -np.log10(present.size / known.size / 2)
    return np.nan_to_num(off / decade)


def compared(column: Floats) -> tuple[Floats, Floats, Floats]:
    """Return usual (the median), z and rarity of numbers among each other, NaN where unknown.

    Non-negative numbers of skewness above 1 are taken as their log1p. What lies above and what
    lies below the median has each its own tail. z is by the robust deviation of
    `scale_features`. Numbers that are all the same are not off.
    """
    known = column[np.isfinite(column)]
    if not known.size or known.min() == known.max():
        same = np.where(np.isfinite(column), column, np.nan)
        return same, same * 0.0, np.zeros_like(column)
    usual = np.where(np.isfinite(column), np.median(known), np.nan)
    if known.min() >= 0 and skewness(known) > SKEWED:
        column, known = np.log1p(column), np.log1p(known)
    off = column - np.median(known)
    first, low, high, last = np.quantile(known, [0.01, 0.25, 0.75, 0.99])
    inside = np.clip(known, first, last) if first < last else known
    deviation = max((high - low) / NORMAL_IQR, float(inside.std()))
    rarity = np.where(off > 0, tail_rarity(np.maximum(off, 0)), tail_rarity(np.maximum(-off, 0)))
    return usual, off / deviation, rarity


def columns_of(actors: pl.Series, frame: pl.DataFrame, names: list[str]) -> Floats:
    """Return columns of `frame` (with `actor`) for the actors, [actors, names]; NaN for null."""
    order = actors.alias("actor").to_frame()
    aligned = order.join(frame, on="actor", how="left", maintain_order="left")
    if not names:
        return np.zeros((len(actors), 0))
    return np.column_stack(
        [aligned[name].cast(pl.Float64).fill_null(np.nan).to_numpy() for name in names]
    )
