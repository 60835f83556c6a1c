"""Divisions of a graph into communities: how good they are, and their numbering."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from stupid_dagster.compute.graph.adjacency import Adjacency

Labels = NDArray[np.int64]


def modularity(adjacency: Adjacency, labels: Labels) -> float:
    """Return the modularity of an undirected graph's partition; 0 for a graph without edges.

    `labels` are the communities' numbers, int [n]. Modularity is the share of the weight that
    lies inside communities, less the share expected there if edges joined nodes at random, by
    strength. Source: Newman, Analysis of weighted networks, Physical Review E 70 (2004).
    """
    inside, total = inside_and_total(adjacency, labels)
    if not total.sum():
        return 0.0
    return float(inside.sum() / total.sum() - ((total / total.sum()) ** 2).sum())


def split_disconnected(adjacency: Adjacency, labels: Labels) -> Labels:
    """Return the labels, int [n], of the connected components of each community.

    `labels` are the communities' numbers, int [n]. Modularity never falls by it: what lies
    inside communities stays the same, what is expected there gets less.
    """
    matrix = adjacency.matrix
    inside = _inside(matrix, labels)
    ends = _rows(matrix)[inside], matrix.indices[inside]
    kept = sparse.coo_array((matrix.data[inside], ends), shape=matrix.shape)
    return connected_components(kept, directed=False)[1].astype(np.int64)


def largest_first(labels: Labels) -> Labels:
    """Return the labels renumbered by size, then by the first node that has them."""
    _, first, label, sizes = np.unique(
        labels, return_index=True, return_inverse=True, return_counts=True
    )
    number = np.empty(len(sizes), dtype=np.int64)
    number[np.lexsort((first, -sizes))] = np.arange(len(sizes))
    return number[label]


def inside_and_total(adjacency: Adjacency, labels: Labels) -> tuple[np.ndarray, np.ndarray]:
    """Return per community the matrix's sum within it and the sum of its rows, float64."""
    matrix = adjacency.matrix
    count = int(labels.max(initial=-1)) + 1
    inside = _inside(matrix, labels)
    return (
        np.bincount(labels[_rows(matrix)[inside]], matrix.data[inside], count),
        np.bincount(labels, adjacency.strength, count),
    )


def _inside(matrix: sparse.csr_array, labels: Labels) -> NDArray[np.bool_]:
    """Return which entries of the matrix join nodes of one community, bool [nnz]."""
    return labels[_rows(matrix)] == labels[matrix.indices]


def _rows(matrix: sparse.csr_array) -> NDArray[np.int32]:
    per_row = np.diff(matrix.indptr)
    return np.repeat(np.arange(len(per_row), dtype=np.int32), per_row)
