"""What a day's events are about: its distinct texts in clusters of like ones, and noise.

All texts of an event type share the words of its template, so that by those any two are near
each other. Hence each event type is clustered on its own, by what is left of its texts' vectors
once their mean is taken off: the common part hides how they differ (Mu, Viswanath,
All-but-the-Top: Simple and Effective Postprocessing for Word Representations, ICLR 2018).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_array

from stupid_dagster.embed.packing import pack_vectors, unpack_vectors
from stupid_dagster.errors import ComputeError
from stupid_dagster.tables import TABLES, conform

if TYPE_CHECKING:
    from stupid_dagster.compute.events.dbscan import Density

NOISE_ID = "noise"


@dataclass(frozen=True)
class EventClusters:
    """The tables `event_clusters`, `text_clusters` and `actor_noise`; whether they are exact."""

    clusters: pl.DataFrame
    texts: pl.DataFrame
    actors: pl.DataFrame
    exact: bool

    @property
    def noise_share(self) -> float:
        """The share of the events whose text is noise."""
        noise = self.texts.filter(pl.col("event_cluster_id") == NOISE_ID)["count"].sum()
        return int(noise) / max(1, int(self.texts["count"].sum()))

    def by_event_type(self, texts: pl.DataFrame) -> pl.DataFrame:
        """Return one row an event type, most events first, given the day's table `texts`.

        Columns: event_type, texts, events, clusters, noise_texts, noise_events.
        """
        cluster, count = pl.col("event_cluster_id"), pl.col("count")
        noise = cluster == NOISE_ID
        return (
            self.texts.join(texts.select("text_id", "event_type"), on="text_id")
            .group_by("event_type")
            .agg(
                texts=pl.len(),
                events=count.sum(),
                clusters=cluster.filter(~noise).n_unique(),
                noise_texts=noise.sum(),
                noise_events=count.filter(noise).sum(),
            )
            .sort("events", "event_type", descending=[True, False])
        )


def cluster_events(
    texts: pl.DataFrame,
    vectors: pl.DataFrame,
    actor_texts: pl.DataFrame,
    *,
    eps: float,
    min_events: int,
    exact_texts: int,
) -> EventClusters:
    """Return the clusters of a day's texts, each weighing its events.

    `eps` is the cosine distance between what sets two texts of one event type apart from the
    mean of that type's events (see `distinctive`): 0 for the same difference from it, 1 for
    unrelated ones, 2 for opposite ones. Texts of different event types are never together.

    DBSCAN is exact for event types of at most `exact_texts` texts; of others cores and noise
    are, and clusters are joined by way of so many texts, the heaviest (see `dbscan`).
    Clusters are numbered by their events, most first, then by their smallest text id; noise has
    a row of its own, last. The first three parameters are day tables. Raises ComputeError when
    a text has no vector.
    """
    from stupid_dagster.compute.events.dbscan import NOISE, Density, dbscan

    joined = texts.join(vectors, on="text_id").sort("text_id")
    if joined.height != texts.height:
        raise ComputeError(
            f"{texts.height - joined.height} texts have no vector; materialise the day's "
            "vectors again"
        )
    if joined.is_empty():
        names = ("event_clusters", "text_clusters", "actor_noise")
        return EventClusters(*(TABLES[name].empty() for name in names), exact=True)
    labels = np.full(joined.height, NOISE, dtype=np.int64)
    core = np.zeros(joined.height, dtype=bool)
    exact, clusters = True, 0
    for of_type in joined.with_row_index("place").partition_by("event_type", maintain_order=True):
        weights = of_type["count"].to_numpy()
        few = of_type.height <= exact_texts
        found = dbscan(
            distinctive(of_type["vector"], weights),
            weights,
            eps,
            min_events,
            hubs=None if few else exact_texts,
        )
        places = of_type["place"].to_numpy()
        labels[places] = np.where(found.labels >= 0, found.labels + clusters, NOISE)
        core[places] = found.core
        clusters += int(found.labels.max()) + 1
        exact &= few
    labelled = _labelled(joined.drop("vector"), Density(labels, core))
    number = labelled["number"].to_numpy()
    cosine = _cosines_to_mean(
        unpack_vectors(joined["vector"]), number, joined["count"].to_numpy().astype(float)
    )
    labelled = labelled.with_columns(cosine=pl.Series(cosine))
    return EventClusters(
        _clusters(labelled, actor_texts),
        conform("text_clusters", labelled.select(*TABLES["text_clusters"].schema)),
        _actor_noise(labelled, actor_texts),
        exact,
    )


def distinctive(vectors: pl.Series, weights: NDArray[np.integer]) -> NDArray[np.int8]:
    """Return what is left of packed vectors [texts, dimensions] without their weighted mean.

    It is packed again, as directions count alone. What is no longer than the rounding of a
    vector to bytes can be is nothing, a zero vector: such texts are alike.
    """
    packed = vectors.to_numpy()
    units = unpack_vectors(vectors).astype(np.float64)
    units -= weights @ units / weights.sum()
    length = np.linalg.norm(packed.astype(np.float32), axis=1)
    rounding = np.sqrt(packed.shape[1]) / 2 / np.maximum(length, 1)
    units[np.linalg.norm(units, axis=1) <= rounding] = 0
    return pack_vectors(units).to_numpy()


def _labelled(texts: pl.DataFrame, found: Density) -> pl.DataFrame:
    """Return the texts with `event_cluster_id`, its `number` (of noise the last) and `core`."""
    texts = texts.with_columns(label=pl.Series(found.labels), core=pl.Series(found.core))
    noise = pl.col("label") < 0
    order = (
        texts.group_by("label")
        .agg(events=pl.col("count").sum(), first=pl.col("text_id").min())
        .sort(noise, -pl.col("events").cast(pl.Int64), "first")
        .with_row_index("number")
        .with_columns(
            event_cluster_id=pl.when(noise)
            .then(pl.lit(NOISE_ID))
            .otherwise(pl.format("event_cluster:{}", "number"))
        )
    )
    wanted = order.select("label", "number", "event_cluster_id")
    return texts.join(wanted, on="label", how="left", maintain_order="left")


def _cosines_to_mean(
    directions: NDArray[np.float32], number: NDArray[np.integer], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return each text's cosine to the mean direction of its cluster's events."""
    places = (number, np.arange(len(number)))
    mean = csr_array((weights, places)) @ directions
    length = np.linalg.norm(mean, axis=1, keepdims=True)
    mean /= np.where(length > 0, length, 1)
    return np.einsum("ij,ij->i", directions, mean.astype(np.float32)[number]).astype(float)


def _clusters(labelled: pl.DataFrame, actor_texts: pl.DataFrame) -> pl.DataFrame:
    key, count = "event_cluster_id", pl.col("count")
    types = (
        labelled.group_by(key, "event_type")
        .agg(count.sum())
        .sort("count", "event_type", descending=[True, False])
        .group_by(key, maintain_order=True)
        .agg(event_types="event_type")
    )
    actors = (
        actor_texts.join(labelled.select("text_id", key), on="text_id")
        .group_by(key)
        .agg(actors=pl.col("actor").n_unique())
    )
    nearest = labelled.sort("cosine", "text_id", descending=[True, False]).unique(
        key, keep="first", maintain_order=True
    )
    table = (
        labelled.group_by(key, "number")
        .agg(
            texts=pl.len(),
            events=count.sum(),
            similarity=(pl.col("cosine") * count).sum() / count.sum(),
        )
        .join(types, on=key)
        .join(actors, on=key, how="left")
        .join(nearest.select(key, "text", "example"), on=key)
        .with_columns(pl.col("actors").fill_null(0))
        .sort("number")
        .drop("number")
    )
    return conform("event_clusters", table)


def _actor_noise(labelled: pl.DataFrame, actor_texts: pl.DataFrame) -> pl.DataFrame:
    count = pl.col("count")
    is_noise = labelled.select("text_id", noise=pl.col("event_cluster_id") == NOISE_ID)
    table = (
        actor_texts.join(is_noise, on="text_id")
        .group_by("actor")
        .agg(events=count.sum(), texts=pl.len(), noise_events=count.filter("noise").sum())
        .with_columns(noise_ratio=pl.col("noise_events") / pl.col("events"))
        .sort("actor")
    )
    return conform("actor_noise", table)
