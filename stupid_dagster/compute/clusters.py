"""Segments of actors by what they do: k-means on scaled features."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import structlog
from numpy.typing import NDArray

from stupid_dagster.compute.scaling import Scaling, scale_features
from stupid_dagster.compute.silhouette import distance_matrix, mean_silhouette
from stupid_dagster.errors import ComputeError
from stupid_dagster.tables import TABLES, conform

Floats = NDArray[np.float64]

FIT_SAMPLE = 10_000
"""Actors that the number of segments is chosen on, at most."""
SILHOUETTE_SAMPLE = 2_000
"""Actors whose silhouettes are taken, at most: the cost is quadratic."""
MINI_BATCH_FROM = 100_000
"""Actors from which the last fit is by mini-batches."""
STARTS = 5
"""k-means++ starts per number of segments; the best one counts."""
WEAK = 0.5
"""A silhouette below is weak structure (Kaufman and Rousseeuw 1990)."""
TELLING, TELLING_COST = 4, 0.05
"""In weak structure at least so many segments, where they cost no more silhouette than that."""
WARM_COST = 1.02
"""Factor on the inertia that a fit from the previous centres may have, to be preferred."""
LOYALTY = 0.02
"""The previous number of segments stays unless another's silhouette is better by more."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Centroids:
    """Centres [k, features] in scaled features, and those features' names."""

    features: tuple[str, ...]
    centers: Floats

    @classmethod
    def of(cls, clusters: pl.DataFrame) -> Centroids | None:
        """Return the centres that a table `clusters` holds; None when it has none."""
        if not len(clusters):
            return None
        names = [feature["feature"] for feature in clusters["features"][0]]
        rows = clusters["centroid"].to_list()
        used = [n for n, value in enumerate(rows[0]) if value is not None]
        centers = np.array([[row[n] for n in used] for row in rows], dtype=np.float64)
        return cls(tuple(names[n] for n in used), centers.reshape(len(rows), len(used)))


@dataclass(frozen=True)
class ClusterResult:
    """Tables `clusters`, `cluster_members` and `cluster_choice`, and how they came about."""

    clusters: pl.DataFrame
    members: pl.DataFrame
    choice: pl.DataFrame
    k: int
    silhouette: float | None
    scaling: Scaling
    warm_start: bool


def cluster_actors(
    features: pl.DataFrame,
    *,
    seed: int,
    max_clusters: int,
    previous_centroids: Centroids | None = None,
) -> ClusterResult:
    """Return k-means segments of the actors of a table `features`.

    Features are scaled as `scale_features` says; the number of `events` isn't one. k is the
    one of 2..max_clusters with the best mean silhouette on a fixed sample (2,000 actors), each
    fitted on a fixed sample (10,000 actors) by k-means++ with 5 starts. Weak structure (best
    silhouette below 0.5) has no one true k, and its best is mostly a 2 that says little: there
    the best k of at least 4 is taken if it costs at most 0.05. Centres of the previous run, of
    the same features, are one more start for their k, preferred unless its inertia is more
    than 2 % worse; and their k stays unless another's silhouette is better by more than 0.02.
    The last fit starts from the chosen centres and takes in all actors, by mini-batches from
    100,000 on. Every actor belongs to the nearest centre.

    `cluster:0` is the largest; equal sizes are ordered by centre. Fewer than 3 distinct points
    are one segment, with no silhouette. In `clusters`, z is null for features without spread;
    centroids are null at features that were dropped. Inertia is that of all actors, in the
    rows not chosen estimated from the sample. The same actors in another order give the same
    result. Raises ComputeError when max_clusters is below 1.
    """
    if max_clusters < 1:
        raise ComputeError(f"max_clusters is {max_clusters}; it must be at least 1")
    started = time.perf_counter()
    features = features.sort("actor")
    names = [name for name in features.columns if name not in ("actor", "events")]
    values = features.select(pl.col(names).cast(pl.Float64)).to_numpy().reshape(-1, len(names))
    points, scaling = scale_features(values, names)
    previous = previous_centroids
    if previous and (previous.features != scaling.used or not len(previous.centers)):
        previous = None
    fits = _fits(points, seed, max_clusters, previous)
    chosen = _choose(fits, previous)
    centers = _final_fit(points, chosen.centers, seed)
    labels, centers = _ordered(points, centers)
    sample = _sample(len(points), SILHOUETTE_SAMPLE, seed)
    silhouette = mean_silhouette(distance_matrix(points[sample]), labels[sample])
    distances = np.sqrt(((points - centers[labels]) ** 2).sum(axis=1))
    log.info(
        "clustered actors",
        actors=len(points),
        clusters=len(centers),
        silhouette=round(silhouette, 4),
        seconds=round(time.perf_counter() - started, 2),
    )
    ids = pl.Series([f"cluster:{n}" for n in range(len(centers))], dtype=pl.String)
    return ClusterResult(
        clusters=_clusters(values, names, scaling, labels, centers, ids),
        members=conform(
            "cluster_members",
            features.select("actor").with_columns(
                cluster_id=ids.gather(labels), distance=pl.Series(distances)
            ),
        ),
        choice=_choice(fits, chosen, silhouette, float((distances**2).sum())),
        k=len(centers),
        silhouette=None if np.isnan(silhouette) else silhouette,
        scaling=scaling,
        warm_start=chosen.warm,
    )


@dataclass(frozen=True)
class _Fit:
    k: int
    centers: Floats
    silhouette: float
    inertia: float
    warm: bool = False


def _sample(size: int, at_most: int, seed: int) -> NDArray[np.int_]:
    """Return sorted row numbers: all, or a sample that only depends on size and seed."""
    if size <= at_most:
        return np.arange(size)
    return np.sort(np.random.default_rng(seed).choice(size, at_most, replace=False))


def _fits(points: Floats, seed: int, max_clusters: int, previous: Centroids | None) -> list[_Fit]:
    """Return a fit for each number of segments: 1 alone when the points are too few."""
    if not len(points):
        return [_Fit(0, points, np.nan, 0.0)]
    sample = points[_sample(len(points), FIT_SAMPLE, seed)]
    distinct = len(np.unique(sample, axis=0))
    if distinct < 3 or max_clusters < 2:
        center = points.mean(axis=0, keepdims=True)
        return [_Fit(1, center, np.nan, float(((points - center) ** 2).sum()))]
    small = points[_sample(len(points), SILHOUETTE_SAMPLE, seed)]
    distances = distance_matrix(small)
    fits = []
    for k in range(2, min(max_clusters, distinct - 1) + 1):
        centers, inertia, warm = _best_start(sample, k, seed, previous)
        silhouette = mean_silhouette(distances, _nearest(small, centers))
        fits.append(_Fit(k, centers, silhouette, inertia * len(points) / len(sample), warm))
    return fits


def _best_start(
    sample: Floats, k: int, seed: int, previous: Centroids | None
) -> tuple[Floats, float, bool]:
    centers, inertia = _k_means(sample, seed, n_clusters=k, n_init=STARTS)
    if previous is not None and len(previous.centers) == k:
        warm, warm_inertia = _k_means(sample, seed, n_clusters=k, init=previous.centers, n_init=1)
        if warm_inertia <= WARM_COST * inertia:
            return warm, warm_inertia, True
    return centers, inertia, False


def _k_means(
    points: Floats, seed: int, *, mini_batches: bool = False, **parameters: Any
) -> tuple[Floats, float]:
    """Return the centres and the inertia that scikit-learn finds."""
    from sklearn.cluster import KMeans, MiniBatchKMeans
    from threadpoolctl import threadpool_limits

    method: Any = MiniBatchKMeans if mini_batches else KMeans
    # Threads add up in any order; with one, the same input gives the same bits.
    with threadpool_limits(1):
        fit = method(random_state=seed, **parameters).fit(points)
    return np.asarray(fit.cluster_centers_, dtype=np.float64), float(fit.inertia_)


def _choose(fits: list[_Fit], previous: Centroids | None) -> _Fit:
    best = max(fits, key=_fitness)
    telling = max((fit for fit in fits if fit.k >= TELLING), key=_fitness, default=best)
    if best.silhouette < WEAK and telling.silhouette >= best.silhouette - TELLING_COST:
        best = telling
    for fit in fits:
        loyal = previous is not None and fit.k == len(previous.centers)
        if loyal and fit.silhouette >= best.silhouette - LOYALTY:
            return fit
    return best


def _fitness(fit: _Fit) -> tuple[float, int]:
    return float(np.nan_to_num(fit.silhouette, nan=-1.0)), -fit.k


def _final_fit(points: Floats, centers: Floats, seed: int) -> Floats:
    if len(centers) < 2 or len(points) <= FIT_SAMPLE:
        return centers
    found, _ = _k_means(
        points,
        seed,
        mini_batches=len(points) >= MINI_BATCH_FROM,
        n_clusters=len(centers),
        init=centers,
        n_init=1,
    )
    return found


def _nearest(points: Floats, centers: Floats) -> NDArray[np.int_]:
    # |p - c|^2 less |p|^2, which is the same for all centres.
    return ((centers**2).sum(axis=1) - 2 * points @ centers.T).argmin(axis=1)


def _ordered(points: Floats, centers: Floats) -> tuple[NDArray[np.int_], Floats]:
    """Return each point's centre and the centres: largest first, those without points left out."""
    if not len(points):
        return np.zeros(0, dtype=int), centers
    sizes = np.bincount(_nearest(points, centers), minlength=len(centers))
    order = sorted(
        np.flatnonzero(sizes).tolist(), key=lambda n: (-sizes[n], tuple(centers[n].tolist()))
    )
    return _nearest(points, centers[order]), centers[order]


def _choice(fits: list[_Fit], chosen: _Fit, silhouette: float, inertia: float) -> pl.DataFrame:
    rows = [
        (f.k, silhouette, inertia, True) if f is chosen else (f.k, f.silhouette, f.inertia, False)
        for f in fits
        if f.k
    ]
    frame = pl.DataFrame(rows, schema=TABLES["cluster_choice"].schema, orient="row")
    return frame.with_columns(pl.col("silhouette").fill_nan(None))


def _clusters(
    values: Floats,
    names: list[str],
    scaling: Scaling,
    labels: NDArray[np.int_],
    centers: Floats,
    ids: pl.Series,
) -> pl.DataFrame:
    overall_mean, overall_deviation = _moments(values)
    rows = []
    for n, (cluster_id, center) in enumerate(zip(ids, centers, strict=True)):
        members = values[labels == n]
        mean, deviation = _moments(members)
        z = np.full_like(mean, np.nan)
        np.divide(mean - overall_mean, overall_deviation, out=z, where=overall_deviation > 0)
        columns = zip(names, _nulls(mean), _nulls(deviation), _nulls(z), strict=True)
        coordinates = dict(zip(scaling.used, center.tolist(), strict=True))
        rows.append(
            {
                "cluster_id": cluster_id,
                "size": len(members),
                "share": len(members) / len(values),
                "features": [
                    {"feature": name, "mean": m, "deviation": d, "z": score}
                    for name, m, d, score in columns
                ],
                "centroid": [coordinates.get(name) for name in names],
            }
        )
    return pl.DataFrame(rows, schema=TABLES["clusters"].schema)


def _moments(values: Floats) -> tuple[Floats, Floats]:
    """Return the mean and standard deviation of each column's known values; NaN for none."""
    known = np.isfinite(values)
    number = np.where(known.any(axis=0), known.sum(axis=0), np.nan)
    filled = np.where(known, values, 0.0)
    mean = filled.sum(axis=0) / number
    deviation = np.sqrt((np.where(known, values - mean, 0.0) ** 2).sum(axis=0) / number)
    return mean, deviation


def _nulls(values: Floats) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]
