"""Unit vectors in a byte a dimension, for the day tables."""

from __future__ import annotations

from typing import cast

import numpy as np
import polars as pl


def pack_vectors(vectors: np.ndarray) -> pl.Series:
    """Return vectors [n, dimensions] as a column of int8 arrays with the same directions.

    Each is scaled so that its largest part is 127: of 256 dimensions the cosine to the true
    vector stays above 0.9999. Zero vectors stay zero.
    """
    largest = np.abs(vectors).max(axis=1, keepdims=True, initial=0)
    scaled = vectors / np.where(largest > 0, largest, 1)
    scaled *= 127
    packed = np.rint(scaled, out=scaled).astype(np.int8)
    return pl.Series("vector", packed, dtype=pl.Array(pl.Int8, vectors.shape[1]))


def unpack_vectors(packed: pl.Series) -> np.ndarray:
    """Return packed vectors as float32 unit vectors [n, dimensions]; zero ones as zeros."""
    dimensions = cast(pl.Array, packed.dtype).size
    vectors = packed.to_numpy().astype(np.float32).reshape(len(packed), dimensions)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors /= np.where(length > 0, length, 1)
    return vectors
