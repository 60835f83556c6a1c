"""Features on one scale, so that no unit and no outlier decides what is near."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stupid_dagster.compute.arrays import Floats

CLIP = 4.0
"""Scaled values are cut here: together with the percentiles, so that no outlier takes a cluster."""
SKEWED = 1.0
"""Skewness from which a non-negative feature is taken as its log1p."""
NORMAL_IQR = 1.349
"""Interquartile range of a normal distribution of standard deviation 1."""


@dataclass(frozen=True)
class Axis:
    """How one feature becomes a coordinate; all but `logged` is after the logarithm, if any."""

    name: str
    logged: bool
    low: float
    high: float
    middle: float
    scale: float

    def coordinates(self, values: Floats) -> Floats:
        """Return the coordinates of a feature's values; NaN is in the middle."""
        values = np.log1p(values) if self.logged else values
        inside = np.clip(np.nan_to_num(values, nan=self.middle), self.low, self.high)
        return np.clip((inside - self.middle) / self.scale, -CLIP, CLIP)


@dataclass(frozen=True)
class Scaling:
    """How features became coordinates: which were used, and what was done to them."""

    axes: tuple[Axis, ...]
    dropped: tuple[str, ...]
    imputed: tuple[str, ...]

    @property
    def used(self) -> tuple[str, ...]:
        """The features that have a coordinate, in order."""
        return tuple(axis.name for axis in self.axes)

    @property
    def logged(self) -> tuple[str, ...]:
        """The features that were taken as their log1p."""
        return tuple(axis.name for axis in self.axes if axis.logged)

    def coordinates(self, values: Floats) -> Floats:
        """Return the coordinates [n, used] of `values` [n, used], by the same rule."""
        columns = [
            axis.coordinates(column) for axis, column in zip(self.axes, values.T, strict=True)
        ]
        return np.column_stack(columns) if columns else np.zeros((len(values), 0))


def scale_features(
    values: Floats, names: list[str], typical: NDArray[np.bool_] | None = None
) -> tuple[Floats, Scaling]:
    """Return the features' coordinates [actors, used features], and what was done.

    `values` [actors, features], NaN where undefined. `typical` [actors] are those that all that
    follows is taken from; unset: all. A feature that is constant or undefined for them is
    dropped. Undefined values become the feature's median. A non-negative feature of skewness
    above 1 becomes its log1p. Values beyond the 1st and the 99th percentile count as these
    (unless they are the same). Then the median is taken off, and the result divided by the
    interquartile range / 1.349 or, if that is larger, by the standard deviation: where a
    minority does something else altogether, the range inside the majority is too small a
    scale, and would blow up its noise. The result is cut at -4 and 4.
    """
    rows = np.ones(len(values), dtype=bool) if typical is None else typical
    axes: list[Axis] = []
    places: list[int] = []
    dropped, imputed = [], []
    for place, (name, column) in enumerate(zip(names, values.T, strict=True)):
        known = np.isfinite(column)
        if not (rows & known).any() or np.ptp(column[rows & known]) == 0:
            dropped.append(name)
            continue
        if not known.all():
            imputed.append(name)
        filled = np.where(known, column, np.median(column[rows & known]))
        axes.append(_axis(name, filled[rows], logged=column[known].min() >= 0))
        places.append(place)
    scaling = Scaling(tuple(axes), tuple(dropped), tuple(imputed))
    return scaling.coordinates(values[:, places]), scaling


def _axis(name: str, column: Floats, *, logged: bool) -> Axis:
    """Return a feature's axis; `logged`: it is if it is skewed."""
    logged = logged and skewness(column) > SKEWED
    if logged:
        column = np.log1p(column)
    first, low, middle, high, last = np.quantile(column, [0.01, 0.25, 0.5, 0.75, 0.99])
    if first == last:
        first, last = column.min(), column.max()
    scale = max((high - low) / NORMAL_IQR, float(np.clip(column, first, last).std()))
    # The deviation of numbers next to each other can vanish: all are in the middle then.
    scale = scale if scale > 0 else np.inf
    return Axis(name, bool(logged), float(first), float(last), float(middle), float(scale))


def skewness(column: Floats) -> float:
    """Return the third standardised moment; 0 where all are the same."""
    off = column - column.mean()
    deviation = float(np.sqrt(np.mean(off**2)))
    return float(np.mean((off / deviation) ** 3)) if deviation > 0 else 0.0
