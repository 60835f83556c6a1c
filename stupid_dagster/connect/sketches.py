"""Bottom-k sketches: how many distinct values sets have together, from a few hashes of each.

A sketch is the k smallest of the values' 64-bit hashes. That of a union is the k smallest of
the sets' own, so that days add up to a window. Below k values the number is exact; from there on,
with u the k-th smallest hash as a share of all, (k - 1) / u is unbiased, with a relative standard
error of about 1 / sqrt(k - 2). Bar-Yossef, Jayram, Kumar, Sivakumar and Trevisan, "Counting
distinct elements in a data stream" (2002); the unbiased form and its error are of Beyer, Haas,
Reinwald, Sismanis and Gemulla, "On synopses for distinct-value estimation" (2007).
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

SKETCH_SIZE = 1024
"""k: a standard error of 3.1 percent, in 8 KB."""


def bottom_k(hashes: pl.Expr) -> pl.Expr:
    """Return the sketch of values from their hashes (UInt64), or of a union from its sketches'."""
    return hashes.drop_nulls().unique().sort().head(SKETCH_SIZE)


def distinct_values(sketch: Sequence[int]) -> tuple[int, bool]:
    """Return how many values a sketch stands for, and whether that is exact."""
    if len(sketch) < SKETCH_SIZE:
        return len(sketch), True
    share = (sketch[-1] + 1) / 2**64
    return round((len(sketch) - 1) / share), False
