from __future__ import annotations

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from stupid_dagster.embed import bundled_embedder
from stupid_dagster.embed.packing import pack_vectors, unpack_vectors

PARTS = st.floats(-1, 1, width=32, allow_subnormal=False)


@given(arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=6), elements=PARTS))
def test_each_part_is_within_half_a_step_of_its_place(vectors: np.ndarray) -> None:
    packed = pack_vectors(vectors)
    assert packed.dtype == pl.Array(pl.Int8, vectors.shape[1])
    largest = np.abs(vectors).max(axis=1, keepdims=True)
    back = packed.to_numpy() * largest / 127
    assert (np.abs(back - vectors) <= largest / 254 + 1e-6).all()
    lengths = np.linalg.norm(unpack_vectors(packed), axis=1)
    assert np.allclose(lengths, (largest[:, 0] > 0).astype(float), atol=1e-6)


def test_real_embeddings_keep_their_direction() -> None:
    texts = [
        f"API error {n} at stage {n % 7} on platform {'ios' if n % 2 else 'web'}"
        for n in range(300)
    ]
    vectors = bundled_embedder().embed(texts)
    cosines = (unpack_vectors(pack_vectors(vectors)) * vectors).sum(axis=1)
    assert cosines.min() > 0.9999


def test_no_vectors() -> None:
    assert unpack_vectors(pack_vectors(np.zeros((0, 4), np.float32))).shape[0] == 0
