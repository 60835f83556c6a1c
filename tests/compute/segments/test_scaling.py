"""Scaling of features, and the silhouette, against independent computations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import pairwise_distances, silhouette_score

from stupid_dagster.compute.segments.scaling import CLIP, scale_features
from stupid_dagster.compute.segments.silhouette import distance_matrix, mean_silhouette
from tests.compute.graphs import unhurried

cells = (
    st.floats(-1e6, 1e6, allow_subnormal=False) | st.just(math.nan) | st.integers(0, 3).map(float)
)


@unhurried
@given(arrays(np.float64, st.tuples(st.integers(0, 30), st.integers(0, 4)), elements=cells))
def test_coordinates_are_finite_and_bounded(values: np.ndarray) -> None:
    names = [f"f{n}" for n in range(values.shape[1])]
    scaled, scaling = scale_features(values, names)
    assert scaled.shape == (len(values), len(scaling.used))
    assert np.isfinite(scaled).all() and (np.abs(scaled) <= CLIP).all()
    assert sorted([*scaling.used, *scaling.dropped]) == names
    for name, column in zip(names, values.T, strict=True):
        known = column[np.isfinite(column)]
        assert (name in scaling.dropped) == (len(set(known)) < 2)
        assert (name in scaling.imputed) == (name in scaling.used and len(known) < len(column))


def test_the_unit_of_a_feature_does_not_matter() -> None:
    column = np.random.default_rng(1).normal(5, 2, (200, 1))
    metres, _ = scale_features(1000 * column, ["x"])
    kilometres, _ = scale_features(column, ["x"])
    np.testing.assert_allclose(metres, kilometres)


def robust(column: np.ndarray) -> np.ndarray:
    first, low, high, last = np.quantile(column, [0.01, 0.25, 0.75, 0.99])
    inside = np.minimum(np.maximum(column, first), last)
    scale = max((high - low) / 1.349, inside.std())
    return np.clip((inside - np.median(column)) / scale, -CLIP, CLIP)


def test_a_normal_feature_becomes_standard_normal() -> None:
    column = np.random.default_rng(2).normal(50, 9, 5001)
    scaled, scaling = scale_features(column.reshape(-1, 1), ["x"])
    assert not scaling.logged
    np.testing.assert_allclose(scaled[:, 0], robust(column))
    assert np.median(scaled) == pytest.approx(0, abs=1e-12)
    assert scaled.std() == pytest.approx(1, abs=0.05)


def test_skewed_features_become_their_log1p_unless_they_can_be_negative() -> None:
    skewed = np.random.default_rng(3).lognormal(2, 1.5, 500)
    both = np.column_stack([skewed, skewed - skewed.max()])
    scaled, scaling = scale_features(both, ["gains", "losses"])
    assert scaling.logged == ("gains",)
    np.testing.assert_allclose(scaled[:, 0], robust(np.log1p(skewed)))
    np.testing.assert_allclose(scaled[:, 1], robust(skewed - skewed.max()))


def test_outliers_do_not_set_the_scale() -> None:
    column = np.random.default_rng(4).normal(0, 1, 1000)
    spoiled = column.copy()
    spoiled[:5] = -1e9
    scaled, _ = scale_features(spoiled.reshape(-1, 1), ["x"])
    plain, _ = scale_features(column.reshape(-1, 1), ["x"])
    np.testing.assert_allclose(scaled[5:], plain[5:], atol=0.4)
    assert (scaled[:5] == scaled.min()).all() and scaled.min() > -3


def test_a_minority_apart_does_not_blow_up_the_noise_of_the_rest() -> None:
    column = np.random.default_rng(5).normal(0, 0.1, 1000)
    column[:150] += 10
    scaled, _ = scale_features(column.reshape(-1, 1), ["x"])
    assert scaled[150:].std() < 0.05
    assert scaled[:150].mean() == pytest.approx(10 / column.std(), rel=0.05)


def test_a_lone_value_apart_still_has_a_scale() -> None:
    column = np.array([0.0] * 999 + [7.0]).reshape(-1, 1)
    scaled, scaling = scale_features(column - 1, ["x"])
    assert scaling.used == ("x",)
    assert scaled[:-1].tolist() == [[0.0]] * 999 and scaled[-1, 0] == CLIP


@unhurried
@given(st.lists(st.integers(0, 4), min_size=1, max_size=40), st.integers(0, 99))
def test_silhouette_equals_scikit_learns(labels: list[int], seed: int) -> None:
    points = np.random.default_rng(seed).integers(0, 6, (len(labels), 3)).astype(float)
    found = mean_silhouette(distance_matrix(points), np.array(labels))
    if 2 <= len(set(labels)) < len(labels):
        assert found == pytest.approx(silhouette_score(points, labels), abs=1e-6)
    else:
        assert math.isnan(found) or (len(set(labels)) == len(labels) > 1 and found == 0)


def test_distances_are_euclidean() -> None:
    points = np.random.default_rng(5).normal(size=(50, 7))
    np.testing.assert_allclose(distance_matrix(points), pairwise_distances(points), atol=1e-7)
