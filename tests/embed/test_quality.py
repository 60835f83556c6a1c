"""The bundled vectors against the full model's, measured as benchmarks/distil/quality.py does.

Measured there (1,000 texts): ten nearest 0.950 (TF-IDF 0.844 at best), queries 0.600 (0.275),
Spearman within an event type 0.718 (0.634).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.distil.quality import (
    QUERIES,
    event_texts,
    full_model,
    neighbour_agreement,
    spearman,
    tfidf_similarities,
)
from stupid_dagster.embed import bundled_embedder


def test_a_real_transformer_runs(tmp_path: Path) -> None:
    embedder = full_model(tmp_path)
    assert embedder.dimensions == 384
    cat, kitten, wing = embedder.embed(["a cat", "a kitten", "the wing of a plane"])
    assert cat @ kitten > 0.6 > 0.3 > cat @ wing
    texts = event_texts(40)
    together = embedder.embed(texts)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    # Not to the last digit: the model's int8 scales depend on the batch.
    alone = np.concatenate([embedder.embed([text]) for text in texts])
    assert (np.sum(alone * together, axis=1) > 0.99).all()


# One test, because the full model takes ten seconds, and parallel workers would each take them.
def test_the_bundled_vectors_agree_with_the_full_model(tmp_path: Path) -> None:
    texts = event_texts(1000)
    types = np.array([text.split()[0] for text in texts])
    full, bundled = full_model(tmp_path).embed, bundled_embedder().embed
    reference, rows = full(texts), bundled(texts)
    truth, queries_truth = reference @ reference.T, full(QUERIES) @ reference.T

    def measure(pairs: np.ndarray, queries: np.ndarray) -> np.ndarray:
        return np.array(
            [
                neighbour_agreement(pairs, truth),
                neighbour_agreement(queries, queries_truth),
                spearman(pairs, truth, types),
            ]
        )

    neighbours, queries, in_type = measure(rows @ rows.T, bundled(QUERIES) @ rows.T)
    tfidf = [
        measure(
            tfidf_similarities(texts, texts, analyzer), tfidf_similarities(QUERIES, texts, analyzer)
        )
        for analyzer in ("word", "char_wb")
    ]
    tfidf_neighbours, tfidf_queries, tfidf_in_type = np.max(tfidf, axis=0)

    assert neighbours > 0.92
    assert 1 - neighbours < (1 - tfidf_neighbours) / 2  # less than half as many strangers
    assert queries > 0.5
    assert queries > tfidf_queries + 0.2
    assert in_type > 0.68
    assert in_type > tfidf_in_type + 0.05
