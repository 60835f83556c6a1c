"""Segments of actors by what they do: k-means on features, followed from window to window."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import polars as pl
import structlog
from numpy.typing import NDArray

from stupid_dagster.compute.arrays import Floats
from stupid_dagster.compute.identity import Identity, centre_distances, match_groups
from stupid_dagster.compute.segments.kmeans import Fit, k_means, nearest, silhouette_of
from stupid_dagster.compute.segments.scaling import Scaling, scale_features
from stupid_dagster.errors import ComputeError
from stupid_dagster.event_model.measures import Features
from stupid_dagster.tables import TABLES, conform

DOUBT = 3.0
"""Events' worth of the average in what is believed of an actor's means and ratios."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, eq=False)
class Earlier:
    """The previous window's `clusters` and `cluster_members`.

    `next_number` is above the number of every segment that there ever was.
    """

    clusters: pl.DataFrame
    members: pl.DataFrame
    next_number: int = 0

    def centers(self, features: tuple[str, ...]) -> Floats | None:
        """Return the centres [k, features]; None if they are of other features."""
        if not len(self.clusters):
            return None
        names = [feature["feature"] for feature in self.clusters["features"][0]]
        rows = self.clusters["centroid"].to_list()
        used = [n for n, value in enumerate(rows[0]) if value is not None]
        if tuple(names[n] for n in used) != features:
            return None
        return np.array([[row[n] for n in used] for row in rows]).reshape(len(rows), len(used))


@dataclass(frozen=True, eq=False)
class ClusterResult:
    """Tables of those names, `identity` with the changes and moves, and how they came about.

    `shaping` is the number of actors that the segments were made of.
    """

    clusters: pl.DataFrame
    members: pl.DataFrame
    choice: pl.DataFrame
    identity: Identity
    k: int
    silhouette: float | None
    scaling: Scaling
    warm_start: bool
    shaping: int


def cluster_actors(
    features: pl.DataFrame,
    rules: Features,
    *,
    seed: int,
    max_clusters: int,
    earlier: Earlier | None = None,
) -> ClusterResult:
    """Return k-means segments of the actors of a table `features`.

    The event model's `rules` say which features part segments; the number of `events` isn't one.
    Actors of at least `segment_min_events` events (all, where none has) shape the segments; the
    others are put to the nearest one, for a share of one event is 0 or 1 whatever the actor is
    like: of means and ratios only events / (events + 3) is believed, the rest is the average of
    all (shrinkage towards the mean, James and Stein 1961). Features are scaled as
    `scale_features` says, and groups and their number found as `k_means` says, from the
    `earlier` window's centres if they are of the same features. Every actor belongs to the
    nearest centre.

    Segments are in order of size, of equals the one with the smallest actor comes first.
    Their ids are the earlier window's where `match_groups` finds them the same, by their members
    and by their means; without one `cluster:0` is the largest. In `clusters`, z is null for
    features without spread, and centroids at those that were dropped or don't part segments.
    Inertia is that of the shaping actors, in the rows not chosen estimated from a sample. The
    same actors in another order give the same result. Raises ComputeError when max_clusters is
    below 1, and for features that the table lacks.
    """
    if max_clusters < 1:
        raise ComputeError(f"max_clusters is {max_clusters}; it must be at least 1")
    started = time.perf_counter()
    features = features.sort("actor")
    names = list(rules.columns)
    if missing := [name for name in names if name not in features.columns]:
        raise ComputeError(
            f"features lack {', '.join(missing)}: they were made with another event model; "
            "materialise features again"
        )
    values = features.select(pl.col(names).cast(pl.Float64)).to_numpy().reshape(-1, len(names))
    shaping = _shaping(features, rules)
    parting = [name for name in names if name in (rules.segment_by or names)]
    points, scaling = scale_features(_believed(features, parting, rules), parting, shaping)
    previous = earlier.centers(scaling.used) if earlier else None
    found = k_means(points[shaping], seed=seed, max_clusters=max_clusters, previous=previous)
    labels, centers = _ordered(points, found.centers)
    silhouette = silhouette_of(points[shaping], labels[shaping], seed)
    squares = ((points - centers[labels]) ** 2).sum(axis=1)
    spread = float(np.sqrt(squares.mean())) if len(squares) else 0.0
    clusters = _clusters(values, names, scaling, labels, centers)
    identity = _identity(features["actor"], labels, clusters, scaling, spread, earlier)
    ids = identity.ids["group_id"]
    log.info(
        "clustered actors",
        actors=len(points),
        shaping=int(shaping.sum()),
        clusters=len(centers),
        silhouette=round(silhouette, 4),
        seconds=round(time.perf_counter() - started, 2),
    )
    return ClusterResult(
        clusters=clusters.with_columns(cluster_id=ids),
        members=conform(
            "cluster_members",
            features.select("actor").with_columns(
                cluster_id=ids.gather(labels), distance=pl.Series(np.sqrt(squares))
            ),
        ),
        choice=_choice(found.fits, found.chosen, silhouette, float(squares[shaping].sum())),
        identity=identity,
        k=len(centers),
        silhouette=None if np.isnan(silhouette) else silhouette,
        scaling=scaling,
        warm_start=found.chosen.warm,
        shaping=int(shaping.sum()),
    )


def _shaping(features: pl.DataFrame, rules: Features) -> NDArray[np.bool_]:
    """Return which actors have enough events to shape segments; all, where none has."""
    enough = (features["events"] >= rules.segment_min_events).to_numpy()
    return enough if enough.any() else np.ones(len(enough), dtype=bool)


def _believed(features: pl.DataFrame, names: list[str], rules: Features) -> Floats:
    """Return features [actors, names], averages of few events moved towards the mean of all."""
    values = features.select(pl.col(names).cast(pl.Float64)).to_numpy().reshape(-1, len(names))
    events = features["events"].cast(pl.Float64).to_numpy()
    believed = values.copy()
    for n, name in enumerate(names):
        known = np.isfinite(values[:, n]) & (events > 0)
        if rules.columns[name].kind in ("mean", "ratio") and known.any():
            mean = np.average(values[known, n], weights=events[known])
            believed[:, n] = mean + events / (events + DOUBT) * (values[:, n] - mean)
    return believed


def _identity(
    actors: pl.Series,
    labels: NDArray[np.int_],
    clusters: pl.DataFrame,
    scaling: Scaling,
    spread: float,
    earlier: Earlier | None,
) -> Identity:
    members = pl.DataFrame({"member": actors, "group": labels})
    if earlier is None:
        return match_groups("cluster", members)
    distances = None
    now, before = (_means(table, scaling.used) for table in (clusters, earlier.clusters))
    if now is not None and before is not None:
        # Means, not centres: those of another window are in coordinates of its own.
        distances = centre_distances(
            scaling.coordinates(now),
            earlier.clusters["cluster_id"].to_list(),
            scaling.coordinates(before),
            spread,
        )
    return match_groups(
        "cluster",
        members,
        earlier.members.select(member="actor", group="cluster_id"),
        distances=distances,
        next_number=earlier.next_number,
    )


def _means(clusters: pl.DataFrame, features: tuple[str, ...]) -> Floats | None:
    """Return the segments' means [k, features], NaN where undefined; None if a feature lacks."""
    rows = [{f["feature"]: f["mean"] for f in found} for found in clusters["features"]]
    if not rows or not rows[0].keys() >= set(features):
        return None
    means = [[row[name] for name in features] for row in rows]
    return np.array(means, dtype=np.float64).reshape(len(rows), len(features))


def _ordered(points: Floats, centers: Floats) -> tuple[NDArray[np.int_], Floats]:
    """Return each point's centre and the centres, largest first, of equals that of the first point.

    Centres without points are left out.
    """
    if not len(points):
        return np.zeros(0, dtype=int), centers
    used, first, sizes = np.unique(nearest(points, centers), return_index=True, return_counts=True)
    order = used[np.lexsort((first, -sizes))]
    return nearest(points, centers[order]), centers[order]


def _choice(fits: list[Fit], chosen: Fit, silhouette: float, inertia: float) -> pl.DataFrame:
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
) -> pl.DataFrame:
    """Return the table `clusters`; ids are numbers, in order."""
    overall_mean, overall_deviation = _moments(values)
    rows = []
    for n, center in enumerate(centers):
        members = values[labels == n]
        mean, deviation = _moments(members)
        z = np.full_like(mean, np.nan)
        np.divide(mean - overall_mean, overall_deviation, out=z, where=overall_deviation > 0)
        columns = zip(names, _nulls(mean), _nulls(deviation), _nulls(z), strict=True)
        coordinates = dict(zip(scaling.used, center.tolist(), strict=True))
        rows.append(
            {
                "cluster_id": str(n),
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
