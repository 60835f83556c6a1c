"""k-means segments: planted truth, nearest centres, order, warm starts, too few actors."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score, silhouette_score
from threadpoolctl import threadpool_limits

from stupid_dagster.compute.segments import kmeans
from stupid_dagster.compute.segments.clusters import ClusterResult, Earlier
from stupid_dagster.compute.segments.clusters import cluster_actors as _cluster_actors
from stupid_dagster.compute.segments.scaling import scale_features
from stupid_dagster.errors import ComputeError
from stupid_dagster.event_model.measures import Feature, Features
from stupid_dagster.tables import TABLES
from tests.compute.graphs import unhurried

SIZES = (160, 90, 50)


def cluster_actors(features: pl.DataFrame, **options: Any) -> ClusterResult:
    """Return the segments by all features, as sums: none of them is an average."""
    columns = {name: Feature(sum="amount") for name in features.columns[2:]}
    return _cluster_actors(features, Features(columns=columns), **options)


def earlier(result: ClusterResult) -> Earlier:
    return Earlier(result.clusters, result.members, result.identity.next_number)


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
    centers = earlier(result).centers(result.scaling.used)
    assert centers is not None
    gaps = np.linalg.norm(points[:, None, :] - centers[None, :, :], axis=2)
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


def test_the_number_of_threads_changes_no_bit() -> None:
    """Else the same window would be another version where a worker has another number of CPUs."""
    points = np.random.default_rng(7).normal(size=(1500, 12))

    def found(threads: int) -> list[tuple[float, float]]:
        with threadpool_limits(threads):
            fits = kmeans.k_means(points, seed=1, max_clusters=20).fits
        return [(fit.silhouette, fit.inertia) for fit in fits]

    assert found(1) == found(2)


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


def test_a_previous_number_that_says_little_does_not_stay() -> None:
    fits = [kmeans.Fit(k, np.zeros((k, 1)), score, 1.0) for k, score in [(2, 0.29), (6, 0.28)]]
    assert kmeans._choose(fits, None).k == 6
    assert kmeans._choose(fits, np.zeros((2, 1))).k == 6
    more = [*fits, kmeans.Fit(5, np.zeros((5, 1)), 0.27, 1.0)]
    assert kmeans._choose(more, np.zeros((5, 1))).k == 5


def test_previous_centres_keep_their_number_and_places() -> None:
    features, _ = planted(seed=8, spread=4.0)
    first = cluster_actors(features, seed=1, max_clusters=6)
    again = cluster_actors(features, seed=2, max_clusters=6, earlier=earlier(first))
    assert again.warm_start and not first.warm_start
    assert adjusted_rand_score(labels_of(first), labels_of(again)) > 0.99
    assert set(again.identity.changes["change"]) == {"continued"}
    same = first.members.join(again.members, on="actor")
    assert same.select((pl.col("cluster_id") == pl.col("cluster_id_right")).mean()).item() > 0.99


def test_previous_centres_of_other_features_are_not_used() -> None:
    features, _ = planted(seed=8)
    first = cluster_actors(features, seed=1, max_clusters=6)
    renamed = features.rename({"y": "other"})
    result = cluster_actors(renamed, seed=1, max_clusters=6, earlier=earlier(first))
    assert not result.warm_start
    # The members still tell which segment is which.
    assert result.members["cluster_id"].equals(first.members["cluster_id"])


def test_segments_of_other_actors_are_told_by_their_centres() -> None:
    first = cluster_actors(planted(seed=9)[0], seed=1, max_clusters=6)
    other, _ = planted(seed=19)
    # A few less of the largest group, whose places the next largest takes twice.
    other = pl.concat([other.slice(40), other.slice(160, 40)]).with_columns(
        actor=pl.format("b:{}", pl.int_range(pl.len()))
    )
    again = cluster_actors(other, seed=1, max_clusters=6, earlier=earlier(first))
    assert again.clusters["cluster_id"].to_list() == ["cluster:1", "cluster:0", "cluster:2"]
    assert again.clusters["size"].to_list() == [130, 120, 50]
    assert set(again.identity.changes["change"]) == {"continued"}


def test_a_new_segment_gets_a_number_that_none_has_had() -> None:
    features, _ = planted(seed=11)
    first = cluster_actors(features, seed=1, max_clusters=6)
    two = first.members.filter(pl.col("cluster_id") != "cluster:2")
    used = Earlier(first.clusters.head(2), two, next_number=7)
    again = cluster_actors(features, seed=1, max_clusters=6, earlier=used)
    assert again.clusters["cluster_id"].to_list() == ["cluster:0", "cluster:1", "cluster:7"]
    born = again.identity.changes.filter(pl.col("change") == "born")
    assert born["group_id"].to_list() == ["cluster:7"]
    assert again.identity.next_number == 8


def test_few_events_shape_nothing_and_are_hardly_believed() -> None:
    """Shares of one event are 0 or 1; with them alone there would be two segments of nothing."""
    random = np.random.default_rng(12)
    groups = np.repeat([0, 1, 2], 100)
    truth = np.array([[0.1, 0.8], [0.8, 0.1], [0.4, 0.4]])[groups]
    busy = table(x=(truth[:, 0] + random.normal(0, 0.03, 300)).tolist(),
                 y=(truth[:, 1] + random.normal(0, 0.03, 300)).tolist())  # fmt: skip
    busy = busy.with_columns(events=pl.lit(100, pl.UInt32))
    rare = table(x=[1.0, 0.0] * 500, y=[0.0, 1.0] * 500).with_columns(
        actor=pl.format("b:{}", "actor")
    )
    columns = {name: Feature(mean="flag") for name in "xy"}
    rules = Features(columns=columns, segment_min_events=50)
    result = _cluster_actors(pl.concat([busy, rare]), rules, seed=1, max_clusters=6)
    assert (result.k, result.shaping) == (3, 300)
    own = busy.select("actor", group=pl.Series(groups)).join(result.members, on="actor")
    assert adjusted_rand_score(own["group"], own["cluster_id"]) == 1
    # Next to nothing is known of them: they are all put to the segment in the middle.
    middle = own.filter(pl.col("group") == 2)["cluster_id"].unique()
    assert (
        result.members.filter(pl.col("actor").str.starts_with("b:"))["cluster_id"]
        .unique()
        .to_list()
        == middle.to_list()
    )


def test_only_the_named_features_part_segments() -> None:
    features, groups = planted(seed=13)
    noise = np.random.default_rng(1).choice([0.0, 100.0], len(features))
    features = features.with_columns(noise=pl.Series(noise))
    columns = {name: Feature(sum="amount") for name in features.columns[2:]}
    rules = Features(columns=columns, segment_by=["x", "y", "z"])
    result = _cluster_actors(features, rules, seed=1, max_clusters=6)
    assert adjusted_rand_score(groups, labels_of(result)) == 1
    assert result.clusters["centroid"].list.last().to_list() == [None] * 3
    with pytest.raises(ComputeError, match="features lack noise: they were made with"):
        _cluster_actors(features.drop("noise"), rules, seed=1, max_clusters=6)


@pytest.mark.parametrize("mini_batch_from", [10**9, 250])
def test_many_actors_are_fitted_on_samples(
    monkeypatch: pytest.MonkeyPatch, mini_batch_from: int
) -> None:
    monkeypatch.setattr(kmeans, "FIT_SAMPLE", 120)
    monkeypatch.setattr(kmeans, "SILHOUETTE_SAMPLE", 80)
    monkeypatch.setattr(kmeans, "MINI_BATCH_FROM", mini_batch_from)
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
    assert earlier(result).centers(("x",)) is None


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
