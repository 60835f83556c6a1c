"""DBSCAN against scikit-learn's, and against the definition where that leaves a choice."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from sklearn.cluster import DBSCAN

import stupid_dagster.compute.events.dbscan as module
from stupid_dagster.compute.events.dbscan import NOISE, TOLERANCE, Density, dbscan
from stupid_dagster.embed import bundled_embedder
from stupid_dagster.embed.packing import pack_vectors
from stupid_dagster.errors import ComputeError

Vectors = NDArray[np.int8]


def distances(vectors: Vectors) -> NDArray[np.float64]:
    """All cosine distances by the definition; zero vectors are alike, and 1 from all others."""
    wide = vectors.astype(np.float64)
    zero = ~wide.any(axis=1)
    wide /= np.where(zero, 1, np.linalg.norm(wide, axis=1))[:, None]
    return 1 - wide @ wide.T - np.logical_and.outer(zero, zero)


def assert_is_dbscan(
    found: Density, vectors: Vectors, weights: NDArray[np.int64], eps: float, least: int
) -> None:
    apart = np.maximum(distances(vectors), 0)
    known = DBSCAN(eps=eps + TOLERANCE, min_samples=least, metric="precomputed")
    known.fit(apart, sample_weight=weights)
    core = np.zeros(len(vectors), dtype=bool)
    core[known.core_sample_indices_] = True
    np.testing.assert_array_equal(found.core, core)
    np.testing.assert_array_equal(found.labels == NOISE, known.labels_ == NOISE)
    # The same partition, numbered alike: by the first core.
    _, first = np.unique(known.labels_[core], return_index=True)
    numbers = np.full(known.labels_.max() + 1, NOISE)
    numbers[known.labels_[core][np.sort(first)]] = np.arange(len(first))
    np.testing.assert_array_equal(found.labels[core], numbers[known.labels_[core]])
    border = np.flatnonzero(~core & (found.labels >= 0))
    cores = np.flatnonzero(core)
    for point in border:
        nearest = apart[point, cores] <= apart[point, cores].min() + 1e-12
        assert found.labels[point] in found.labels[cores[nearest]]


# Few values in few dimensions: many equal directions, and many distances of exactly eps.
small_vectors = hnp.arrays(
    np.int8,
    st.tuples(st.integers(1, 40), st.integers(1, 4)),
    elements=st.sampled_from([-2, -1, 0, 0, 1, 2, 127, -128]),
)


# Points that are asked at a time: of few there are several rounds.
at_once = st.sampled_from([1, 3, 20, 512])


def in_blocks(columns: int, *given, **options) -> Density:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "COLUMNS", columns)
        patch.setattr(module, "BLOCK", 10 * columns)
        return dbscan(*given, **options)


@given(
    small_vectors,
    st.sampled_from([0, 0.1, 0.25, 0.3, 0.5, 1, 1.5, 2]),
    st.integers(1, 9),
    st.integers(0, 2**32 - 1),
    at_once,
)
@example(np.array([[1, 1, 0], [1, 0, 1]], dtype=np.int8), 0.5, 2, 0, 512)
@example(np.zeros((3, 2), dtype=np.int8), 0, 3, 0, 1)
def test_is_scikit_learn_s(
    vectors: Vectors, eps: float, least: int, seed: int, columns: int
) -> None:
    weights = np.random.default_rng(seed).integers(1, 4, len(vectors))
    found = in_blocks(columns, vectors, weights, eps, least)
    assert_is_dbscan(found, vectors, weights, eps, least)


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.02, 0.05, 0.1, 0.2, 0.3]), at_once)
def test_clusters_with_bridges_are_scikit_learn_s(seed: int, eps: float, columns: int) -> None:
    """Clusters that touch, or almost."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(6, 5))
    points = centres[rng.integers(6, size=150)] + rng.normal(size=(150, 5)) * rng.uniform(0.05, 0.4)
    vectors = pack_vectors(points).to_numpy()
    weights = rng.integers(1, 3, len(vectors))
    assert_is_dbscan(in_blocks(columns, vectors, weights, eps, 5), vectors, weights, eps, 5)


@given(st.integers(0, 2**32 - 1), st.integers(0, 120), at_once)
def test_with_hubs_clusters_are_at_most_split(seed: int, hubs: int, columns: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.integers(-7, 8, size=(120, 3)).astype(np.int8)
    weights = rng.integers(1, 9, len(vectors))
    exact = dbscan(vectors, weights, 0.03, 9)
    found = in_blocks(columns, vectors, weights, 0.03, 9, hubs=hubs)
    np.testing.assert_array_equal(found.core, exact.core)
    np.testing.assert_array_equal(found.labels == NOISE, exact.labels == NOISE)
    near = (distances(vectors) <= 0.03 + TOLERANCE)[np.ix_(exact.core, exact.core)]
    order = np.argsort(-weights[exact.core], kind="stable")
    of_hubs = np.zeros(len(near), dtype=bool)
    of_hubs[order[:hubs]] = True
    label = found.labels[exact.core]
    # Who is together is so rightly; a hub is together with all that is near it.
    assert len({*zip(label, exact.labels[exact.core], strict=True)}) == len({*label})
    together = label[:, None] == label
    assert together[near & of_hubs].all()
    # Who is in no hub's cluster is where it belongs.
    lost = ~np.isin(label, label[of_hubs])
    assert together[near & lost].all()


@pytest.fixture(scope="module")
def real() -> tuple[Vectors, NDArray[np.int64]]:
    """2,500 texts as an event log has them, with skewed counts."""
    rng = np.random.default_rng(3)
    pages = ["deposit", "withdraw", "home", "promo", "favourites", "profile", "search"]
    words = ["timeout", "refused", "denied", "slow", "opened", "closed", "moved", "lost", "late"]
    drawn = {
        f"{rng.choice(words)} {rng.choice(words)} page:{rng.choice(pages)} of {rng.choice(pages)}"
        f" {rng.choice(['ios', 'android', 'web', 'desktop'])} status:{rng.integers(100, 600)}"
        for _ in range(4000)
    }
    texts = sorted(drawn)[:2500]
    assert len(texts) == 2500
    return pack_vectors(bundled_embedder().embed(texts)).to_numpy(), rng.zipf(2.0, 2500)


@pytest.mark.parametrize("eps", [0.3, 0.1, 0.04])
def test_real_texts_cluster_as_scikit_learn_says(real, eps: float) -> None:
    vectors, weights = real
    found = dbscan(vectors, weights, eps, 5)
    assert_is_dbscan(found, vectors, weights, eps, 5)
    assert eps != 0.04 or found.labels.max() > 20 < (found.labels == NOISE).sum()


def test_blocks_make_no_difference(real) -> None:
    vectors, weights = real[0][:600], real[1][:600]
    whole = dbscan(vectors, weights, 0.06, 5)
    parts = in_blocks(7, vectors, weights, 0.06, 5)
    np.testing.assert_array_equal(whole.labels, parts.labels)
    np.testing.assert_array_equal(whole.core, parts.core)


def test_weights_are_worth_copies(real) -> None:
    vectors, weights = real[0][:800], np.minimum(real[1][:800], 6)
    found = dbscan(vectors, weights, 0.05, 5)
    copies = dbscan(np.repeat(vectors, weights, axis=0), np.ones(weights.sum(), int), 0.05, 5)
    np.testing.assert_array_equal(np.repeat(found.core, weights), copies.core)
    np.testing.assert_array_equal(np.repeat(found.labels, weights), copies.labels)


def test_order_matters_for_numbers_alone(real) -> None:
    vectors, weights = real[0][:1500], real[1][:1500]
    order = np.random.default_rng(1).permutation(1500)
    there, here = dbscan(vectors[order], weights[order], 0.06, 5), dbscan(vectors, weights, 0.06, 5)
    np.testing.assert_array_equal(there.core, here.core[order])
    pairs = set(zip(there.labels.tolist(), here.labels[order].tolist(), strict=True))
    assert len(pairs) == len(set(there.labels)) == len(set(here.labels))


@pytest.mark.parametrize(("border", "label"), [((127, 120), 0), ((120, 127), 1), ((127, 127), 0)])
def test_a_border_point_goes_to_its_nearest_core_and_of_two_to_the_first(border, label) -> None:
    # At 12, 27, 45 (or so), 63 and 78 degrees; eps is 20 degrees. The third is near the second
    # and the fourth, which weigh little themselves.
    vectors = np.array([(127, 27), (127, 65), border, (65, 127), (27, 127)], dtype=np.int8)
    found = dbscan(vectors, np.array([6, 2, 1, 2, 6]), float(1 - np.cos(np.deg2rad(20))), 8)
    assert found.core.tolist() == [True, True, False, True, True]
    assert found.labels.tolist() == [0, 0, label, 1, 1]


def test_points_at_eps_are_neighbours_and_a_millionth_farther_are_not() -> None:
    # Equal directions of other lengths, too: their cosine is 1 but for rounding.
    vectors = np.array([[1, 2, 2], [2, 1, 2], [3, 6, 6]], dtype=np.int8)
    weights, apart = np.ones(3, dtype=int), 1 / 9
    assert dbscan(vectors, weights, apart, 3).core.all()
    assert dbscan(vectors, weights, apart - 1e-6, 2).labels.tolist() == [0, NOISE, 0]
    assert dbscan(vectors, weights, 0, 2).labels.tolist() == [0, NOISE, 0]


def test_odd_input_gives_sensible_answers() -> None:
    none = dbscan(np.zeros((0, 4), dtype=np.int8), np.zeros(0, dtype=int), 0.3, 5)
    assert len(none.labels) == len(none.core) == 0
    one = np.array([[3, 4]], dtype=np.int8)
    assert dbscan(one, np.array([4]), 0.3, 5).labels.tolist() == [NOISE]
    assert dbscan(one, np.array([5]), 0.3, 5).labels.tolist() == [0]
    with pytest.raises(ComputeError, match="weight of at least 1"):
        dbscan(one, np.array([0]), 0.3, 5)
    with pytest.raises(ComputeError, match="weight of at least 1"):
        dbscan(one, np.array([1, 2]), 0.3, 5)
