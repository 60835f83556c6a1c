"""The mean silhouette of many groupings of the same sample."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stupid_dagster.compute.arrays import Floats


def distance_matrix(points: Floats) -> Floats:
    """Return the Euclidean distances [n, n] between `points` [n, d]."""
    squares = (points**2).sum(axis=1)
    matrix = np.maximum(squares[:, None] + squares[None, :] - 2 * points @ points.T, 0)
    np.fill_diagonal(matrix, 0)
    return np.sqrt(matrix, out=matrix)


def mean_silhouette(distances: Floats, labels: NDArray[np.integer]) -> float:
    """Return the mean of (b - a) / max(a, b) over all points: -1 to 1, more is better.

    a is a point's mean distance to its own group, b to the nearest other one; a point that is
    alone in its group counts 0 (Rousseeuw 1987). `distances` [n, n] are computed once for all
    groupings. NaN with fewer than two groups.
    """
    _, own = np.unique(labels, return_inverse=True)
    groups = int(own.max(initial=-1)) + 1
    if groups < 2:
        return float("nan")
    member = np.zeros((len(own), groups))
    member[np.arange(len(own)), own] = 1
    sizes = member.sum(axis=0)
    total = distances @ member
    rows = np.arange(len(own))
    a = total[rows, own] / np.maximum(sizes[own] - 1, 1)
    mean = total / sizes
    mean[rows, own] = np.inf
    b = mean.min(axis=1)
    largest = np.maximum(a, b)
    score = np.divide(b - a, largest, out=np.zeros_like(a), where=largest > 0)
    return float(np.where(sizes[own] > 1, score, 0).mean())
