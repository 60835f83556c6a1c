"""k-means segments: planted truth, nearest centres, order, warm starts, too few actors."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score, silhouette_score

from stupid_dagster.compute import clusters as module
from stupid_dagster.compute.clusters import Centroids, ClusterResult, cluster_actors
from stupid_dagster.compute.scaling import scale_features
from stupid_dagster.errors import ComputeError
from stupid_dagster.tables import TABLES
from tests.compute.graphs import unhurried

SIZES = (160, 90, 50)


def planted(seed: int = 0, spread: float = 0.5) -> tuple[pl.DataFrame, np.ndarray]:
    """Return `features` of three groups, and each actor's group."""
    random = np.random.default_rng(seed)
    groups = np.repeat(np.arange(len(SIZES)), SIZES)
    centers = np.array([[0.0, 0.0, 30.0], [6.0, 0.0, 10.0], [0.0, 7.0, 20.0]])
    values = centers[groups] + random.normal(0, spread, (len(groups), 3))
    table = pl.DataFrame(
        {"actor": [f"a:{n:04}" for n in range(len(groups))], "events": 1, "x": values[:, 0]}
    ).with_columns(y=values[:, 1], z=values[:, 2])
    return table, groups


def table(**columns: list[float | None]) -> pl.DataFrame:
    size = len(next(iter(columns.values())))
    return pl.DataFrame(
        {"actor": [f"a:{n}" for n in range(size)], "events": [1] * size, **columns},
        schema={"actor": pl.String, "events": pl.UInt32, **dict.fromkeys(columns, pl.Float64)},
    )


def points_of(features: pl.DataFrame) -> np.ndarray:
    names = features.columns[2:]
    return scale_features(features.sort("actor").select(names).to_numpy(), names)[0]


def labels_of(result: ClusterResult) -> np.ndarray:
    return result.members["cluster_id"].str.strip_prefix("cluster:").cast(pl.Int64).to_numpy()


def test_planted_groups_are_found() -> None:
    features, groups = planted()
    result = cluster_actors(features, seed=1, max_clusters=8)
    assert result.k == 3
    assert adjusted_rand_score(groups, labels_of(result)) == 1
    assert result.clusters["size"].to_list() == list(SIZES)
    assert result.clusters["share"].sum() == pytest.approx(1)
    chosen = result.choice.filter("chosen")
    assert chosen["k"].to_list() == [3]
    assert result.choice["k"].to_list() == list(range(2, 9))
    assert result.choice["silhouette"].max() == chosen["silhouette"][0] == result.silhouette


def assert_nearest(features: pl.DataFrame, result: ClusterResult) -> None:
    """Check every member's centre and distance by brute force."""
    points = points_of(features)
    centroids = Centroids.of(result.clusters)
    assert centroids is not None and centroids.features == result.scaling.used
    gaps = np.linalg.norm(points[:, None, :] - centroids.centers[None, :, :], axis=2)
    own = gaps[np.arange(len(points)), labels_of(result)]
    np.testing.assert_allclose(own, gaps.min(axis=1), atol=1e-9)
    np.testing.assert_allclose(result.members["distance"], own, atol=1e-9)
    assert result.members["actor"].to_list() == sorted(features["actor"])


def test_members_are_nearest_to_their_own_centre_and_silhouette_is_right() -> None:
    features, _ = planted(seed=3, spread=2.5)
    result = cluster_actors(features, seed=1, max_clusters=6)
    assert_nearest(features, result)
    points, labels = points_of(features), labels_of(result)
    assert result.silhouette == pytest.approx(silhouette_score(points, labels))
    inertia = result.choice.filter("chosen")["inertia"][0]
    assert inertia == pytest.approx((result.members["distance"] ** 2).sum())


def test_means_deviations_and_z_are_those_of_the_members() -> None:
    features, _ = planted(seed=4)
    features = features.with_columns(
        x=pl.when(pl.col("x") < -0.2).then(None).otherwise("x"), flat=pl.lit(3.0)
    )
    result = cluster_actors(features, seed=1, max_clusters=4)
    assert result.scaling.dropped == ("flat",)
    joined = features.join(result.members, on="actor")
    for row in result.clusters.iter_rows(named=True):
        own = joined.filter(pl.col("cluster_id") == row["cluster_id"])
        assert [f["feature"] for f in row["features"]] == ["x", "y", "z", "flat"]
        assert row["centroid"][3] is None
        for feature in row["features"]:
            column = own[feature["feature"]]
            whole = features[feature["feature"]]
            assert feature["mean"] == pytest.approx(column.mean())
            assert feature["deviation"] == pytest.approx(column.std(ddof=0))
            if feature["feature"] == "flat":
                assert feature["z"] is None
            else:
                z = (column.mean() - whole.mean()) / whole.std(ddof=0)
                assert feature["z"] == pytest.approx(z)


def test_the_order_of_rows_does_not_matter() -> None:
    features, _ = planted(seed=5, spread=3.0)
    one = cluster_actors(features, seed=1, max_clusters=6)
    other = cluster_actors(
        features.sample(fraction=1, shuffle=True, seed=9), seed=1, max_clusters=6
    )
    assert one.clusters.equals(other.clusters)
    assert one.members.equals(other.members)
    assert one.choice.equals(other.choice)


def test_an_outlier_takes_no_cluster_of_its_own() -> None:
    features, groups = planted(seed=6)
    last = pl.col("actor") == features["actor"][-1]
    features = features.with_columns(z=pl.when(last).then(1e9).otherwise("z"))
    result = cluster_actors(features, seed=1, max_clusters=8)
    assert min(result.clusters["size"]) >= SIZES[-1] - 1
    assert adjusted_rand_score(groups[:-1], labels_of(result)[:-1]) == 1


def test_weak_structure_is_told_in_four_segments_or_more() -> None:
    random = np.random.default_rng(7)
    features = table(**{name: random.normal(size=400).tolist() for name in "xyz"})
    result = cluster_actors(features, seed=1, max_clusters=8)
    assert result.silhouette is not None and result.silhouette < 0.5
    assert result.k >= 4
    assert max(result.choice["silhouette"]) - result.silhouette <= 0.05
    assert cluster_actors(features, seed=1, max_clusters=3).k <= 3


def test_previous_centres_keep_their_number_and_places() -> None:
    features, _ = planted(seed=8, spread=4.0)
    first = cluster_actors(features, seed=1, max_clusters=6)
    before = Centroids.of(first.clusters)
    assert before is not None
    again = cluster_actors(features, seed=2, max_clusters=6, previous_centroids=before)
    assert again.warm_start and not first.warm_start
    assert adjusted_rand_score(labels_of(first), labels_of(again)) > 0.99


def test_previous_centres_of_other_features_are_not_used() -> None:
    features, _ = planted(seed=8)
    centers = Centroids(("x", "other", "z"), np.zeros((3, 3)))
    result = cluster_actors(features, seed=1, max_clusters=6, previous_centroids=centers)
    assert not result.warm_start
    plain = cluster_actors(features, seed=1, max_clusters=6)
    assert result.clusters.equals(plain.clusters)


@pytest.mark.parametrize("mini_batch_from", [10**9, 250])
def test_many_actors_are_fitted_on_samples(
    monkeypatch: pytest.MonkeyPatch, mini_batch_from: int
) -> None:
    monkeypatch.setattr(module, "FIT_SAMPLE", 120)
    monkeypatch.setattr(module, "SILHOUETTE_SAMPLE", 80)
    monkeypatch.setattr(module, "MINI_BATCH_FROM", mini_batch_from)
    features, groups = planted(seed=10)
    result = cluster_actors(features, seed=1, max_clusters=6)
    assert_nearest(features, result)
    assert adjusted_rand_score(groups, labels_of(result)) == 1
    again = cluster_actors(features, seed=1, max_clusters=6)
    assert again.members.equals(result.members)


@pytest.mark.parametrize(
    "features",
    [
        table(x=[1.0]),
        table(x=[1.0, 1.0, 1.0], y=[2.0, 2.0, 2.0]),
        table(x=[1.0, 5.0, 1.0, 5.0]),
        table(x=[None, None, None, None]),
        table(x=[None, 1.0, None, 1.0]),
    ],
    ids=["one actor", "all alike", "two points", "undefined", "one known value"],
)
def test_too_few_points_are_one_segment(features: pl.DataFrame) -> None:
    result = cluster_actors(features, seed=1, max_clusters=5)
    assert (result.k, result.silhouette) == (1, None)
    assert result.clusters["cluster_id"].to_list() == ["cluster:0"]
    assert result.clusters["size"].to_list() == [len(features)]
    row = result.choice.row(0, named=True)
    assert (row["k"], row["silhouette"], row["chosen"]) == (1, None, True)
    assert_nearest(features, result)


def test_no_actors_are_no_segments() -> None:
    result = cluster_actors(table(x=[]), seed=1, max_clusters=5)
    assert result.clusters.equals(TABLES["clusters"].empty())
    assert result.members.equals(TABLES["cluster_members"].empty())
    assert result.choice.equals(TABLES["cluster_choice"].empty())
    assert Centroids.of(result.clusters) is None


def test_no_segments_at_all_cannot_be_asked_for() -> None:
    with pytest.raises(ComputeError, match="must be at least 1"):
        cluster_actors(table(x=[1.0]), seed=1, max_clusters=0)


@unhurried
@given(
    st.lists(
        st.tuples(*[st.none() | st.sampled_from([0.0, 1.0, 2.0, 50.0])] * 2),
        min_size=1,
        max_size=25,
    )
)
def test_any_actors_are_parted(rows: list[tuple[float | None, float | None]]) -> None:
    features = table(x=[row[0] for row in rows], y=[row[1] for row in rows])
    result = cluster_actors(features, seed=1, max_clusters=5)
    assert result.clusters["size"].sum() == len(rows)
    assert result.clusters["size"].to_list() == sorted(result.clusters["size"], reverse=True)
    assert result.clusters["cluster_id"].to_list() == [f"cluster:{n}" for n in range(result.k)]
    assert_nearest(features, result)
