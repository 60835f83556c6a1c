"""How alike two embedders see the same texts, and what each costs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stupid_dagster.embed.onnx import OnnxEmbedder
from stupid_dagster.embed.protocol import Embedder
from stupid_dagster.errors import EmbedderError

_MOST_PAIRS = 500_000
_WIDER = 2


@dataclass(frozen=True)
class Cost:
    """What an embedder takes: time, and room. `model_bytes` is None for one that a server runs."""

    model_id: str
    dimensions: int
    texts_per_second: float
    bytes_per_text: int
    model_bytes: int | None


@dataclass(frozen=True)
class Comparison:
    """How alike two embedders are on some texts, from 0 to 1.

    `overlap` is the share of a text's nearest `neighbours` that both find, `first_in_second` of
    the first's nearest those that are among the second's nearest twice as many, and
    `second_in_first` the other way round; each is the mean over texts. `spearman` is the rank
    correlation of the similarities of pairs of texts.
    """

    costs: tuple[Cost, Cost]
    texts: int
    neighbours: int
    overlap: float
    first_in_second: float
    second_in_first: float
    spearman: float

    @property
    def wider(self) -> int:
        """Among how many nearest the other's are looked for."""
        return _WIDER * self.neighbours


def compare(
    first: Embedder, second: Embedder, texts: Sequence[str], neighbours: int = 10, seed: int = 7
) -> Comparison:
    """Return how two embedders compare on distinct texts; raises EmbedderError for too few.

    It takes memory for a matrix of all pairs: give some thousands.
    """
    from scipy.stats import spearmanr

    wider = _WIDER * neighbours
    if len(texts) <= wider:
        raise EmbedderError(
            f"{len(texts)} distinct texts are too few to look for {wider} neighbours of each; give "
            "more texts, or ask for fewer neighbours"
        )
    costs, similarities = [], []
    for embedder in (first, second):
        embedder.embed(texts[:1])  # what loads it isn't its speed
        started = time.perf_counter()
        vectors = embedder.embed(texts)
        seconds = time.perf_counter() - started
        costs.append(_cost(embedder, len(texts) / seconds))
        similarities.append(vectors @ vectors.T)
    # A text isn't a neighbour of its own.
    nearest = [_nearest(matrix, wider) for matrix in similarities]
    narrow = [rows[:, :neighbours] for rows in nearest]
    draw = np.random.default_rng(seed)
    one, other = draw.integers(len(texts), size=(2, min(_MOST_PAIRS, len(texts) ** 2)))
    pairs = one != other
    ranks = spearmanr(*(matrix[one[pairs], other[pairs]] for matrix in similarities))
    return Comparison(
        (costs[0], costs[1]),
        len(texts),
        neighbours,
        _share(narrow[0], narrow[1]),
        _share(narrow[0], nearest[1]),
        _share(narrow[1], nearest[0]),
        float(ranks.statistic),  # pyright: ignore[reportAttributeAccessIssue]
    )


def model_bytes(embedder: Embedder) -> int | None:
    """Return the size of an embedder's model; None where a server keeps it."""
    return embedder.model_bytes if isinstance(embedder, OnnxEmbedder) else None


def _cost(embedder: Embedder, texts_per_second: float) -> Cost:
    dimensions = embedder.dimensions
    # A byte a dimension, as in the day tables.
    return Cost(embedder.model_id, dimensions, texts_per_second, dimensions, model_bytes(embedder))


def _nearest(similarities: np.ndarray, count: int) -> np.ndarray:
    """Return the numbers of each row's nearest others [n, count], the nearest first."""
    without = similarities.copy()
    np.fill_diagonal(without, -np.inf)
    return np.argsort(-without, axis=1, kind="stable")[:, :count]


def _share(rows: np.ndarray, others: np.ndarray) -> float:
    """Return the mean share of each row's numbers that are in the other's row."""
    found = [np.isin(row, other).mean() for row, other in zip(rows, others, strict=True)]
    return float(np.mean(found))
