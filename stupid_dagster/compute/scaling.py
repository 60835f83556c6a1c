"""Features on one scale, so that no unit and no outlier decides what is near."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CLIP = 4.0
"""Scaled values are cut here: together with the percentiles, so that no outlier takes a cluster."""
SKEWED = 1.0
"""Skewness from which a non-negative feature is taken as its log1p."""
NORMAL_IQR = 1.349
"""Interquartile range of a normal distribution of standard deviation 1."""


@dataclass(frozen=True)
class Scaling:
    """How features became coordinates: which were used, and what was done to them."""

    used: tuple[str, ...]
    dropped: tuple[str, ...]
    logged: tuple[str, ...]
    imputed: tuple[str, ...]


def scale_features(values: Floats, names: list[str]) -> tuple[Floats, Scaling]:
    """Return the features' coordinates [actors, used features], and what was done.

    `values` [actors, features], NaN where undefined. A feature that is constant or undefined
    for all is dropped. Undefined values become the feature's median. A non-negative feature
    of skewness above 1 becomes its log1p. Values beyond the 1st and the 99th percentile count
    as these (unless they are the same). Then the median is taken off, and the result divided
    by the interquartile range / 1.349 or, if that is larger, by the standard deviation: where a
    minority does something else altogether, the range inside the majority is too small a
    scale, and would blow up its noise. The result is cut at -4 and 4.
    """
    columns: list[Floats] = []
    used, dropped, logged, imputed = [], [], [], []
    for name, column in zip(names, values.T, strict=True):
        known = column[np.isfinite(column)]
        if not known.size or known.min() == known.max():
            dropped.append(name)
            continue
        used.append(name)
        if known.size < column.size:
            imputed.append(name)
            column = np.where(np.isfinite(column), column, np.median(known))
        if column.min() >= 0 and _skewness(column) > SKEWED:
            logged.append(name)
            column = np.log1p(column)
        columns.append(_robust(column))
    scaled = np.column_stack(columns) if columns else np.zeros((len(values), 0))
    return scaled, Scaling(tuple(used), tuple(dropped), tuple(logged), tuple(imputed))


def _skewness(column: Floats) -> float:
    off = column - column.mean()
    deviation = float(np.sqrt(np.mean(off**2)))
    return float(np.mean((off / deviation) ** 3)) if deviation > 0 else 0.0


def _robust(column: Floats) -> Floats:
    first, low, middle, high, last = np.quantile(column, [0.01, 0.25, 0.5, 0.75, 0.99])
    inside = np.clip(column, first, last) if first < last else column
    scale = max((high - low) / NORMAL_IQR, float(inside.std()))
    return np.clip((inside - middle) / scale, -CLIP, CLIP) if scale > 0 else column * 0.0
