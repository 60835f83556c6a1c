"""DBSCAN of weighted directions by cosine distance, exact, mostly without all pairwise distances.

DBSCAN: Ester, Kriegel, Sander, Xu, A Density-Based Algorithm for Discovering Clusters in Large
Spatial Databases with Noise (KDD 1996). Each question is asked of the heaviest points first, and
of the rest only for points whose answer is still open: a point is core as soon as enough weight
is near it; and two cores are in one cluster as soon as both hang together with the same third,
so that pairs within the largest cluster are hardly ever looked at. What can't be known that way
is found from all pairs, as products of matrices. Of cores alone, connected components are the
clusters, which is why such short cuts don't change the result (Gunawan, A faster algorithm for
DBSCAN, TU Eindhoven 2013, separates the steps in the same way).

Import this within functions: what loads the stages needn't load Numba.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from stupid_dagster.compute.arrays import Bools, Floats, Ints
from stupid_dagster.errors import ComputeError

NOISE = -1
TOLERANCE = 1e-9
"""Two points are neighbours when their cosine distance is at most eps and this.

Distances are exact but for the last bits of float64 (see `Directions`), so that it only says on
which side those at eps itself are. It is far below what a byte a dimension can tell apart."""
BLOCK = 4_000_000
"""Products that are held at a time (16 MB)."""
COLUMNS = 512
"""Points that are asked at a time, at least."""


@dataclass(frozen=True)
class Density:
    """Each point's cluster (0, 1, ... by the first of its cores; -1 is noise); if it is core."""

    labels: Ints
    core: Bools


class Directions:
    """Vectors of int8, of which only the direction counts.

    Their products are sums of integers below 2^24, which float32 holds exactly in any order of
    addition, so that cosines do not depend on the BLAS or its threads. Zero vectors are all
    alike, and at distance 1 from all others.
    """

    def __init__(self, vectors: NDArray[np.int8]) -> None:
        squares = np.einsum("ij,ij->i", vectors, vectors, dtype=np.int64)
        zero = squares == 0
        exact = np.float32 if squares.max(initial=0) < 2**24 else np.float64
        extra = int(zero.any())
        self._parts = np.zeros((len(vectors), vectors.shape[1] + extra), dtype=exact)
        self._parts[:, : vectors.shape[1]] = vectors
        self._parts[zero, vectors.shape[1] :] = 1
        self.inverse: Floats = 1 / np.sqrt(np.where(zero, 1, squares))
        """One by each vector's length: a product times both is a cosine."""

    def __len__(self) -> int:
        return len(self.inverse)

    def blocks(self, rows: Ints, columns: Ints) -> Iterator[tuple[slice, NDArray[np.floating]]]:
        """Yield (which of the rows, their products with the columns), as many as may be held."""
        step = max(1, BLOCK // max(1, len(columns)))
        of_columns = self._parts[columns].T
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            # Some BLAS raise the flag on finite numbers, once in a million: numpy/numpy#24067.
            with np.errstate(invalid="ignore"):
                products = self._parts[rows[part]] @ of_columns
            yield part, products


def dbscan(
    vectors: NDArray[np.int8],
    weights: NDArray[np.integer],
    eps: float,
    min_weight: float,
    *,
    hubs: int | None = None,
) -> Density:
    """Return the clusters of `vectors` [points, dimensions] by cosine distance.

    Equal to `sklearn.cluster.DBSCAN(eps, min_samples=min_weight, metric="cosine")` fitted with
    `sample_weight=weights` in cores, noise, and which cores are together; a point that is
    within eps of a core and none itself goes to its nearest one (of several, to the first).
    The points' order matters for the numbers of the clusters and for such ties alone.

    Of points that are far from each other (all of them noise), or in many clusters of equal
    size, all pairwise distances are computed; memory is bounded by the blocks.

    With `hubs`, cores and noise are as exact, but clusters that each have one of so many cores,
    the heaviest, are made one only if one of these is near the other cluster: a cluster may fall
    into several, and none are wrongly made one. (DBSCAN++, Jang, Jiang, ICML 2019, looks for the
    cores themselves in a sample, which calls too much noise.) On the 69,713 texts of a gaming
    day's largest event type 50,000 hubs give the same 2 clusters at eps 0.3, and 49 instead of
    48 at eps 0.2 (adjusted Rand index 0.9997); 25,000 hubs give 3 instead of 2 at eps 0.3.

    Raises ComputeError for vectors and weights of different lengths, and for weights below 1.
    """
    if len(vectors) != len(weights) or (len(weights) and weights.min() < 1):
        raise ComputeError("DBSCAN needs a weight of at least 1 for each of its points")
    points = Directions(vectors)
    least = least_cosine(eps)
    order = heaviest_first(weights)
    core = np.zeros(len(points), dtype=bool)
    core[order] = are_core(points, order, order, weights, least, min_weight)
    cores = order[core[order]]
    labels = np.full(len(points), NOISE, dtype=np.int64)
    labels[cores] = components(points, cores, least, len(cores) if hubs is None else hubs)
    others = np.flatnonzero(~core)
    joined = nearest(points, others, cores, least)
    near = joined >= 0
    labels[others[near]] = labels[joined[near]]
    return Density(numbered(labels, core), core)


def least_cosine(eps: float) -> float:
    """Return the cosine from which on two points are neighbours."""
    return max(-1.0, 1 - eps - TOLERANCE)


def heaviest_first(weights: NDArray[np.integer]) -> Ints:
    """Return the points by weight, of equal ones the first first."""
    return np.argsort(-weights.astype(np.int64), kind="stable")


def are_core(
    points: Directions,
    rows: Ints,
    columns: Ints,
    weights: NDArray[np.integer],
    least: float,
    min_weight: float,
) -> Bools:
    """Return for each of the rows whether columns of enough weight are near it."""
    # More than enough is enough: small sums are exact in any type.
    worth = np.minimum(weights, min_weight).astype(float)
    total = np.zeros(len(rows))
    left, start = np.arange(len(rows)), 0
    while len(left) and start < len(columns):
        asked = columns[start : start + _at_once(left)]
        for part, products in points.blocks(rows[left], asked):
            some = left[part]
            near_and = (points.inverse[rows[some]], points.inverse[asked], least)
            total[some] = _weighed(products, *near_and, worth[asked], total[some], min_weight)
        left = left[total[left] < min_weight]
        start += len(asked)
    return total >= min_weight


def components(points: Directions, cores: Ints, least: float, hubs: int) -> Ints:
    """Return for each of the cores its cluster: the place of one of that cluster's cores.

    All pairs of cores are compared but those within one cluster, the anchor's, which is the
    largest as far as the first columns tell; and of two clusters that have some of the first
    `hubs` cores each, those beyond these.
    """
    parent = np.arange(len(cores))

    def join(left: Ints, right: Ints) -> None:
        rows, columns = points.inverse[cores[left]], points.inverse[cores[right]]
        for part, products in points.blocks(cores[left], cores[right]):
            _join(products, rows[part], columns, least, left[part], right, parent)

    found, anchor = parent, NOISE
    left, start = np.arange(len(cores)), 0
    while len(left) and start < len(cores):
        stop = hubs if start < hubs < len(cores) else len(cores)
        asked = np.arange(start, min(stop, start + _at_once(left)))
        join(left[left >= start], asked)
        # Earlier rows were columns for the asked that are left: only the others are new to them.
        join(left[left < start], np.setdiff1d(asked, left, assume_unique=True))
        start += len(asked)
        found = _roots(parent)
        anchor = int(np.bincount(found).argmax()) if anchor == NOISE else anchor
        left = left[found[left] != found[anchor]]
        if start >= hubs:
            # A cluster's number is its first core: of those without a hub all stay.
            left = left[(left < hubs) | (found[left] >= hubs)]
    return found


def nearest(points: Directions, rows: Ints, cores: Ints, least: float) -> Ints:
    """Return for each of the rows the nearest core that is near it, the first of several.

    -1 stands for none.
    """
    found = np.full(len(rows), NOISE)
    best = np.full(len(rows), least)
    for start in range(0, len(cores), step := _at_once(rows)):
        asked = cores[start : start + step]
        for part, products in points.blocks(rows, asked):
            near_and = (points.inverse[rows[part]], points.inverse[asked])
            _nearer(products, *near_and, asked, best[part], found[part])
    return found


def numbered(labels: Ints, core: Bools) -> Ints:
    """Return the labels, of which those of clusters are any, as 0, 1, ... by the first core."""
    if not core.any():
        return labels
    _, first, at = np.unique(labels[core], return_index=True, return_inverse=True)
    renamed = np.full(labels.max() + 1, NOISE)
    renamed[labels[core]] = np.argsort(np.argsort(first))[at]
    return np.where(labels >= 0, renamed[labels], NOISE)


def _at_once(rows: Ints) -> int:
    return max(COLUMNS, BLOCK // max(1, len(rows)))


# In the loops below `rows` and `columns` are one by the lengths; a cosine is made of the
# product of both so that it is the same from either side.


@njit(cache=True)
def _weighed(products, rows, columns, least, weights, total, enough):
    """Return the totals and, until they are enough, the weights of what is near."""
    for i in range(len(rows)):
        for j in range(len(columns)):
            if products[i, j] * (rows[i] * columns[j]) >= least:
                total[i] += weights[j]
                if total[i] >= enough:
                    break
    return total


@njit(cache=True)
def _root(parent, place):
    while parent[place] != place:
        parent[place] = parent[parent[place]]
        place = parent[place]
    return place


@njit(cache=True)
def _roots(parent):
    found = np.empty_like(parent)
    for place in range(len(parent)):
        found[place] = _root(parent, place)
    return found


@njit(cache=True)
def _join(products, rows, columns, least, left, right, parent):
    """Make one of the sets of what is near each other: union-find, the smaller number is root."""
    for i in range(len(rows)):
        one = _root(parent, left[i])
        for j in range(len(columns)):
            if products[i, j] * (rows[i] * columns[j]) >= least:
                other = _root(parent, right[j])
                if one != other:
                    one, other = min(one, other), max(one, other)
                    parent[other] = one


@njit(cache=True)
def _nearer(products, rows, columns, places, best, found):
    """Put into `found` the places of what is at least as near as `best`, and into that how near."""
    for i in range(len(rows)):
        for j in range(len(columns)):
            cosine = products[i, j] * (rows[i] * columns[j])
            if cosine > best[i] or (cosine == best[i] and (found[i] < 0 or places[j] < found[i])):
                best[i], found[i] = cosine, places[j]
