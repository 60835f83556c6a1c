"""k-means: how many groups there are, and where their centres lie."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stupid_dagster.compute.arrays import Floats
from stupid_dagster.compute.segments.silhouette import distance_matrix, mean_silhouette

FIT_SAMPLE = 10_000
"""Points that the number of groups is chosen on, at most."""
SILHOUETTE_SAMPLE = 2_000
"""Points whose silhouettes are taken, at most: the cost is quadratic."""
MINI_BATCH_FROM = 100_000
"""Points from which the last fit is by mini-batches."""
STARTS = 5
"""k-means++ starts per number of groups; the best one counts."""
WEAK = 0.5
"""A silhouette below is weak structure (Kaufman and Rousseeuw 1990)."""
TELLING, TELLING_COST = 4, 0.05
"""In weak structure at least so many groups, where they cost no more silhouette than that."""
WARM_COST = 1.02
"""Factor on the inertia that a fit from the previous centres may have, to be preferred."""
LOYALTY = 0.02
"""The previous number of groups stays unless another's silhouette is better by more."""


@dataclass(frozen=True)
class Fit:
    """Centres [k, features] for one number of groups, how good they are, and their start."""

    k: int
    centers: Floats
    silhouette: float
    inertia: float
    warm: bool = False


@dataclass(frozen=True)
class KMeans:
    """The fits for each number of groups, the chosen one, and its centres after the last fit."""

    fits: list[Fit]
    chosen: Fit
    centers: Floats


def k_means(
    points: Floats, *, seed: int, max_clusters: int, previous: Floats | None = None
) -> KMeans:
    """Return k-means groups of `points` [points, features]; k is chosen by silhouette.

    Of k = 2..max_clusters the best mean silhouette on a fixed sample (2,000 points) counts, each
    fitted on a fixed sample (10,000 points) by k-means++ with 5 starts. Weak structure (best
    silhouette below 0.5) has no one true k, and its best is mostly a 2 that says little: there
    the best k of at least 4 is taken if it costs at most 0.05. The `previous` centres are one
    more start for their k, preferred unless its inertia is more than 2 % worse; and their k, if
    it may be taken, stays unless another's silhouette is better by more than 0.02. The last fit
    starts from the chosen centres and takes in all points, by mini-batches from 100,000 on. Fewer
    than 3 distinct points are one group, with no silhouette. Sources: Arthur and Vassilvitskii:
    k-means++, SODA 2007; Sculley: Web-Scale K-Means Clustering, WWW 2010; Rousseeuw:
    Silhouettes, 1987; as in scikit-learn.
    """
    fits = _fits(points, seed, max_clusters, previous)
    chosen = _choose(fits, previous)
    return KMeans(fits, chosen, _final_fit(points, chosen.centers, seed))


def silhouette_of(points: Floats, labels: NDArray[np.int_], seed: int) -> float:
    """Return the mean silhouette of a grouping on a fixed sample; NaN with one group."""
    sample = _sample(len(points), SILHOUETTE_SAMPLE, seed)
    with _one_thread():
        return mean_silhouette(distance_matrix(points[sample]), labels[sample])


def nearest(points: Floats, centers: Floats) -> NDArray[np.int_]:
    """Return the number of each point's nearest centre."""
    # |p - c|^2 less |p|^2, which is the same for all centres.
    return ((centers**2).sum(axis=1) - 2 * points @ centers.T).argmin(axis=1)


def _sample(size: int, at_most: int, seed: int) -> NDArray[np.int_]:
    """Return sorted row numbers: all, or a sample that only depends on size and seed."""
    if size <= at_most:
        return np.arange(size)
    return np.sort(np.random.default_rng(seed).choice(size, at_most, replace=False))


def _fits(points: Floats, seed: int, max_clusters: int, previous: Floats | None) -> list[Fit]:
    """Return a fit for each number of groups: 1 alone when the points are too few."""
    if not len(points):
        return [Fit(0, points, np.nan, 0.0)]
    sample = points[_sample(len(points), FIT_SAMPLE, seed)]
    distinct = len(np.unique(sample, axis=0))
    if distinct < 3 or max_clusters < 2:
        center = points.mean(axis=0, keepdims=True)
        return [Fit(1, center, np.nan, float(((points - center) ** 2).sum()))]
    small = points[_sample(len(points), SILHOUETTE_SAMPLE, seed)]
    fits = []
    with _one_thread():
        distances = distance_matrix(small)
        for k in range(2, min(max_clusters, distinct - 1) + 1):
            centers, inertia, warm = _best_start(sample, k, seed, previous)
            silhouette = mean_silhouette(distances, nearest(small, centers))
            fits.append(Fit(k, centers, silhouette, inertia * len(points) / len(sample), warm))
    return fits


def _one_thread() -> AbstractContextManager[object]:
    """Limit BLAS and OpenMP to a thread: several add up in any order.

    With one, the same input gives the same bits, on a worker with one CPU too.
    """
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1)


def _best_start(
    sample: Floats, k: int, seed: int, previous: Floats | None
) -> tuple[Floats, float, bool]:
    centers, inertia = _fit(sample, seed, n_clusters=k, n_init=STARTS)
    if previous is not None and len(previous) == k:
        warm, warm_inertia = _fit(sample, seed, n_clusters=k, init=previous, n_init=1)
        if warm_inertia <= WARM_COST * inertia:
            return warm, warm_inertia, True
    return centers, inertia, False


def _fit(
    points: Floats, seed: int, *, mini_batches: bool = False, **parameters: Any
) -> tuple[Floats, float]:
    """Return the centres and the inertia that scikit-learn finds."""
    from sklearn.cluster import KMeans, MiniBatchKMeans

    method: Any = MiniBatchKMeans if mini_batches else KMeans
    with _one_thread():
        fit = method(random_state=seed, **parameters).fit(points)
    return np.asarray(fit.cluster_centers_, dtype=np.float64), float(fit.inertia_)


def _choose(fits: list[Fit], previous: Floats | None) -> Fit:
    best = max(fits, key=_fitness)
    telling = [fit for fit in fits if fit.k >= TELLING]
    most_telling = max(telling, key=_fitness, default=best)
    if best.silhouette < WEAK and most_telling.silhouette >= best.silhouette - TELLING_COST:
        # Nor may loyalty bring back a number that says little.
        best, fits = most_telling, telling
    for fit in fits:
        loyal = previous is not None and fit.k == len(previous)
        if loyal and fit.silhouette >= best.silhouette - LOYALTY:
            return fit
    return best


def _fitness(fit: Fit) -> tuple[float, int]:
    return float(np.nan_to_num(fit.silhouette, nan=-1.0)), -fit.k


def _final_fit(points: Floats, centers: Floats, seed: int) -> Floats:
    if len(centers) < 2 or len(points) <= FIT_SAMPLE:
        return centers
    found, _ = _fit(
        points,
        seed,
        mini_batches=len(points) >= MINI_BATCH_FROM,
        n_clusters=len(centers),
        init=centers,
        n_init=1,
    )
    return found
