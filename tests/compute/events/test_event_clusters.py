from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from stupid_dagster.compute.events.event_clusters import EventClusters, cluster_events, distinctive
from stupid_dagster.embed.packing import pack_vectors, unpack_vectors
from stupid_dagster.errors import ComputeError
from stupid_dagster.tables import TABLES, conform

# Angles in degrees. The mean of the visits is near 40: they differ from it to one side, to the
# other, and (the last one) away from both. Both faults are the same.
TEXTS = [
    # text id, event type, degrees, count
    (1, "Visit", 90, 4),
    (2, "Visit", 0, 1),
    (3, "Fault", 10, 9),
    (4, "Visit", 98, 1),
    (5, "Fault", 10, 2),
    (6, "Visit", 5, 6),
    (7, "Visit", 48, 2),
]
ACTORS = [("a:1", 1, 2), ("a:1", 5, 1), ("a:2", 5, 1), ("a:2", 3, 1), ("a:3", 3, 4)]
NAMES = ("clusters", "texts", "actors")


def day_of(rows: list[tuple[int, str, int, int]]) -> tuple[pl.DataFrame, pl.DataFrame]:
    texts = pl.DataFrame(
        [
            (text_id, event_type, f"text {text_id}", count, f"2025-03-01/{event_type}/{text_id}")
            for text_id, event_type, _, count in rows
        ],
        schema=TABLES["texts"].schema,
        orient="row",
    )
    turned = np.deg2rad([degrees for _, _, degrees, _ in rows]).reshape(-1)
    vectors = pack_vectors(np.column_stack([np.cos(turned), np.sin(turned)]))
    return texts, texts.select("text_id").with_columns(vectors)


def clustered(texts: pl.DataFrame, vectors: pl.DataFrame, **changes) -> EventClusters:
    actor_texts = pl.DataFrame(
        ACTORS, schema=["actor", "text_id", "count"], orient="row"
    ).with_columns(row=pl.lit(0))
    options = {"eps": 0.3, "min_events": 5, "exact_texts": 100} | changes
    return cluster_events(texts, vectors, conform("actor_texts", actor_texts), **options)


def test_clusters_are_numbered_by_events_and_described() -> None:
    texts, vectors = day_of(TEXTS)
    found = clustered(texts, vectors)

    assert found.exact
    assert found.clusters.schema == TABLES["event_clusters"].schema
    ids = found.clusters["event_cluster_id"].to_list()
    assert ids == ["event_cluster:0", "event_cluster:1", "event_cluster:2", "noise"]
    assert found.clusters["texts"].to_list() == [2, 2, 2, 1]
    assert found.clusters["events"].to_list() == [11, 7, 5, 2]
    assert found.clusters["actors"].to_list() == [3, 0, 1, 0]
    assert found.clusters["event_types"].to_list() == [["Fault"], *[["Visit"]] * 3]
    # The mean of 5 (six times) and 0 degrees is nearest to 5.
    assert found.clusters["text"].to_list() == ["text 3", "text 6", "text 1", "text 7"]
    assert found.clusters["example"][1] == "2025-03-01/Visit/6"
    wide = unpack_vectors(vectors["vector"]).astype(float)[[1, 5]]
    weights = np.array([1, 6])
    mean = weights @ wide
    similarity = wide @ (mean / np.linalg.norm(mean)) @ weights / weights.sum()
    assert found.clusters["similarity"][1] == pytest.approx(similarity, abs=1e-6)
    assert found.clusters["similarity"][3] == pytest.approx(1, abs=1e-6)

    assert found.texts.schema == TABLES["text_clusters"].schema
    assert found.texts["text_id"].to_list() == [1, 2, 3, 4, 5, 6, 7]
    assert found.texts["event_cluster_id"].to_list() == [ids[n] for n in (2, 1, 0, 2, 0, 1, 3)]
    assert found.texts["core"].to_list() == [True] * 6 + [False]
    assert found.noise_share == 2 / 25
    assert found.by_event_type(texts).rows() == [
        ("Visit", 5, 14, 2, 1, 2),
        ("Fault", 2, 11, 1, 0, 0),
    ]


def test_noise_of_actors_is_the_share_of_their_events() -> None:
    rows = [*TEXTS[:4], (5, "Fault", 200, 2), *TEXTS[5:]]
    found = clustered(*day_of(rows)).actors
    assert found.schema == TABLES["actor_noise"].schema
    assert found.rows() == [
        ("a:1", 3, 2, 1, pytest.approx(1 / 3)),
        ("a:2", 2, 2, 1, 0.5),
        ("a:3", 4, 1, 0, 0.0),
    ]


def test_what_is_left_is_the_difference_from_the_mean() -> None:
    # Opposite: the mean is in the middle, wherever that is.
    left = distinctive(
        day_of([(1, "Visit", 30, 1), (2, "Visit", 40, 1)])[1]["vector"], np.ones(2, int)
    )
    np.testing.assert_array_equal(left[0], -left[1])
    assert abs(left[1] @ np.array([np.cos(0.61), np.sin(0.61)])) < 3


@pytest.mark.parametrize("size", [1, 2, 300])
def test_rounding_makes_no_difference_between_texts(size: int) -> None:
    """Texts of one direction are one cluster: what is left of them is nothing, not noise."""
    direction = np.random.default_rng(3).normal(size=256)
    shaken = direction + 1e-3 * np.random.default_rng(4).normal(size=(size, 256))
    vectors = pack_vectors(shaken)
    assert not distinctive(vectors, np.arange(1, size + 1)).any()
    texts, _ = day_of([(n, "Visit", 0, 5) for n in range(size)])
    found = clustered(texts, texts.select("text_id").with_columns(vectors))
    assert found.clusters["texts"].to_list() == [size]
    assert found.clusters["event_cluster_id"].to_list() == ["event_cluster:0"]


def test_order_of_rows_makes_no_difference() -> None:
    texts, vectors = day_of(TEXTS)
    one = clustered(texts, vectors)
    other = clustered(texts.reverse(), vectors.sample(fraction=1, shuffle=True, seed=1))
    assert all(getattr(one, name).equals(getattr(other, name)) for name in NAMES)


def test_more_texts_of_a_type_than_may_be_are_joined_by_the_heaviest() -> None:
    texts, vectors = day_of(TEXTS)
    found = clustered(texts, vectors, exact_texts=4)
    assert not found.exact
    assert all(
        getattr(found, name).equals(getattr(clustered(texts, vectors), name)) for name in NAMES
    )
    assert clustered(texts, vectors, exact_texts=5).exact


def test_days_without_texts_or_actors_are_empty() -> None:
    nothing = clustered(*day_of([]))
    tables = ("event_clusters", "text_clusters", "actor_noise")
    for name, table in zip(NAMES, tables, strict=True):
        assert getattr(nothing, name).equals(TABLES[table].empty())
    assert nothing.noise_share == 0
    one = clustered(*day_of([(9, "Visit", 0, 1)]))
    assert one.clusters.select("event_cluster_id", "events", "actors").rows() == [("noise", 1, 0)]
    # An empty text has a zero vector.
    empty = day_of([(9, "Visit", 0, 8)])
    zeros = empty[1].with_columns(vector=pack_vectors(np.zeros((1, 2))))
    only = clustered(empty[0], zeros).clusters
    assert only["event_cluster_id"].to_list() == ["event_cluster:0"]
    assert only["similarity"].to_list() == [0.0]


def test_texts_without_vectors_are_an_error() -> None:
    texts, vectors = day_of(TEXTS)
    with pytest.raises(ComputeError, match="1 texts have no vector"):
        clustered(texts, vectors.head(6))
