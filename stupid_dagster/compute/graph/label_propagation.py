"""Label propagation: communities that nodes agree on, each with its neighbours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from stupid_dagster.compute.graph.adjacency import Adjacency
from stupid_dagster.compute.graph.partitions import Labels

MAX_ROUNDS = 50


@dataclass(frozen=True, eq=False)
class Propagation:
    """A label a node, int [n], after so many rounds; `converged` says none changed in the last."""

    labels: Labels
    rounds: int
    converged: bool


def label_propagation(
    adjacency: Adjacency, *, seed: int, max_rounds: int = MAX_ROUNDS
) -> Propagation:
    """Return communities of an undirected graph by weighted label propagation.

    Each node starts with its own number as label. In each round the nodes, one after the other
    in a random order that stays the same, take the label of the largest total weight among
    their neighbours, of equals the smallest; a node without neighbours keeps its own. It ends
    with a round that changes nothing, or after `max_rounds`. It can't go round in circles: each
    change adds weight between nodes of one label, or keeps it and lowers a label. Source:
    Raghavan, Albert, Kumara: Near linear time algorithm to detect community structures in
    large-scale networks, Physical Review E 76 (2007).
    """
    matrix = adjacency.matrix
    order = np.random.default_rng(seed).permutation(adjacency.size)
    labels = np.arange(adjacency.size, dtype=np.int64)
    totals, due = np.zeros(adjacency.size), np.ones(adjacency.size, dtype=np.bool_)
    propagate = _compiled()
    rounds, changes = 0, 1
    while changes and rounds < max_rounds:
        changes = propagate(matrix.indptr, matrix.indices, matrix.data, order, labels, totals, due)
        rounds += 1
    return Propagation(labels, rounds, not changes)


@cache
def _compiled() -> Callable[..., int]:
    import numba

    return numba.njit(cache=True)(_propagate)


def _propagate(
    indptr: Any, indices: Any, weights: Any, order: Any, labels: Any, totals: Any, due: Any
) -> int:
    """Do one round in place, and return the number of changed labels.

    A node is due when a neighbour has changed since it chose; the others would choose the same
    again. `totals` is zero before and after.
    """
    changes = 0
    for node in order:
        if not due[node]:
            continue
        due[node] = False
        neighbours = range(indptr[node], indptr[node + 1])
        for n in neighbours:
            totals[labels[indices[n]]] += weights[n]
        best, most = labels[node], 0.0
        for n in neighbours:
            label = labels[indices[n]]
            total = totals[label]
            if total > most or (total == most and label < best):
                best, most = label, total
        for n in neighbours:
            totals[labels[indices[n]]] = 0.0
        if best != labels[node]:
            labels[node] = best
            changes += 1
            for n in neighbours:
                due[indices[n]] = True
    return changes
