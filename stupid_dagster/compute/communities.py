"""Communities: groups of nodes that are more connected with each other than with the rest."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from stupid_dagster.compute.adjacency import Adjacency
from stupid_dagster.errors import ComputeError
from stupid_dagster.tables import conform

# On graphs of 7M edges, 10 rounds cost three times as much and gained 0.00004 of modularity.
_LEIDEN_ROUNDS = 3
# NetworKit's seed and number of threads belong to the process.
_NETWORKIT = threading.Lock()


@dataclass(frozen=True, eq=False)
class CommunityResult:
    """A partition of the graph, and how good it is.

    `communities` and `members` are the tables `communities` (in the order of the ids) and
    `community_members` (sorted by entity_id). `modularity` is taken at the resolution asked for.
    """

    communities: pl.DataFrame
    members: pl.DataFrame
    modularity: float
    algorithm: str


def communities(
    adjacency: Adjacency,
    pagerank_table: pl.DataFrame,
    actor_type: str,
    *,
    seed: int,
    resolution: float = 1.0,
    key_members: int = 10,
) -> CommunityResult:
    """Return the communities of an undirected graph, by the weighted Leiden algorithm.

    A higher `resolution` gives more and smaller communities. The same graph, seed and
    resolution give the same communities: the algorithm runs in one thread. Each community is
    connected; a node without edges is one of its own. `community:0` is the largest; of equals,
    the one with the smallest entity id comes first. `key_members` is how many of each are
    listed, best PageRank first; `actor_type` is the entity type counted as actors. Raises
    ComputeError for a directed graph, for nodes that `pagerank_table` lacks, and for parameters
    out of range. Source: Traag, Waltman, van Eck: From Louvain to Leiden, Scientific Reports 9
    (2019), as in NetworKit's ParallelLeiden.
    """
    _check(adjacency, seed, resolution, key_members)
    matrix = adjacency.matrix
    labels = _leiden(matrix, seed, resolution) if matrix.nnz else np.arange(adjacency.size)
    # NetworKit doesn't promise connected communities.
    labels = _largest_first(split_disconnected(adjacency, labels))
    members = pl.DataFrame({"entity_id": adjacency.ids, "type": adjacency.types, "number": labels})
    table = (
        _profile(members, pagerank_table, actor_type, key_members)
        .join(_weights(adjacency, labels), on="number")
        .sort("number")
        .with_columns(_community_id())
    )
    return CommunityResult(
        conform("communities", table.drop("number")),
        conform("community_members", members.with_columns(_community_id()).drop("number")),
        modularity(adjacency, labels, resolution),
        "leiden",
    )


def modularity(adjacency: Adjacency, labels: np.ndarray, resolution: float = 1.0) -> float:
    """Return the modularity of an undirected graph's partition; 0 for a graph without edges.

    `labels` are the communities' numbers, int [n]. Modularity is the share of the weight that
    lies inside communities, less `resolution` times the share expected there if edges joined
    nodes at random, by strength. Source: Reichardt and Bornholdt, Physical Review E 74 (2006).
    """
    inside, total = _inside_and_total(adjacency, labels)
    if not total.sum():
        return 0.0
    return float(inside.sum() / total.sum() - resolution * ((total / total.sum()) ** 2).sum())


def split_disconnected(adjacency: Adjacency, labels: np.ndarray) -> np.ndarray:
    """Return the labels, int [n], of the connected components of each community.

    `labels` are the communities' numbers, int [n]. Modularity never falls by it: what lies
    inside communities stays the same, what is expected there gets less.
    """
    matrix = adjacency.matrix
    inside = _inside(matrix, labels)
    ends = _rows(matrix)[inside], matrix.indices[inside]
    kept = sparse.coo_array((matrix.data[inside], ends), shape=matrix.shape)
    return connected_components(kept, directed=False)[1]


def _leiden(matrix: sparse.csr_array, seed: int, resolution: float) -> np.ndarray:
    """Return a label a node, int [n], in no order."""
    import networkit  # takes seconds

    upper = sparse.triu(matrix, format="csr")
    with _NETWORKIT:
        threads = networkit.getMaxNumberOfThreads()
        # With more than one, results differ from run to run, whatever the seed.
        networkit.setNumberOfThreads(1)
        try:
            networkit.setSeed(seed, False)
            graph = networkit.graph.GraphFromCsr(upper, directed=False, weighted=True)
            leiden = networkit.community.ParallelLeiden(
                graph, randomize=True, iterations=_LEIDEN_ROUNDS, gamma=resolution
            )
            leiden.run()
            return np.array(leiden.getPartition().getVector(), dtype=np.int64)
        finally:
            networkit.setNumberOfThreads(threads)


def _largest_first(labels: np.ndarray) -> np.ndarray:
    """Return the labels renumbered by size, then by the first node that has them."""
    _, first, label, sizes = np.unique(
        labels, return_index=True, return_inverse=True, return_counts=True
    )
    number = np.empty(len(sizes), dtype=np.int64)
    number[np.lexsort((first, -sizes))] = np.arange(len(sizes))
    return number[label]


def _profile(
    members: pl.DataFrame, pagerank_table: pl.DataFrame, actor_type: str, key_members: int
) -> pl.DataFrame:
    """Return number, size, actors, key_members and types of each community."""
    ranked = members.join(pagerank_table.select("entity_id", "rank"), on="entity_id", how="left")
    if missing := ranked["rank"].null_count():
        raise ComputeError(
            f"{missing} nodes of the graph have no PageRank; compute it from the same graph"
        )
    types = (
        members.group_by("number", "type")
        .agg(members=pl.len())
        .sort("members", "type", descending=[True, False])
        .group_by("number", maintain_order=True)
        .agg(types=pl.struct("type", pl.col("members").cast(pl.UInt32)))
    )
    best = ranked.sort("rank").group_by("number", maintain_order=True)
    return best.agg(
        size=pl.len(),
        actors=(pl.col("type") == actor_type).sum(),
        key_members=pl.col("entity_id").head(key_members),
    ).join(types, on="number")


def _weights(adjacency: Adjacency, labels: np.ndarray) -> pl.DataFrame:
    """Return number, internal_weight and external_weight of each community."""
    inside, total = _inside_and_total(adjacency, labels)
    return pl.DataFrame(
        {
            "number": np.arange(len(total)),
            "internal_weight": inside / 2,
            "external_weight": total - inside,
        }
    )


def _inside_and_total(adjacency: Adjacency, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return per community the matrix's sum within it and the sum of its rows, float64."""
    matrix = adjacency.matrix
    count = int(labels.max(initial=-1)) + 1
    inside = _inside(matrix, labels)
    return (
        np.bincount(labels[_rows(matrix)[inside]], matrix.data[inside], count),
        np.bincount(labels, adjacency.strength, count),
    )


def _inside(matrix: sparse.csr_array, labels: np.ndarray) -> np.ndarray:
    """Return which entries of the matrix join nodes of one community, bool [nnz]."""
    return labels[_rows(matrix)] == labels[matrix.indices]


def _rows(matrix: sparse.csr_array) -> np.ndarray:
    per_row = np.diff(matrix.indptr)
    return np.repeat(np.arange(len(per_row), dtype=np.int32), per_row)


def _community_id() -> pl.Expr:
    return pl.format("community:{}", "number").alias("community_id")


def _check(adjacency: Adjacency, seed: int, resolution: float, key_members: int) -> None:
    if adjacency.directed:
        raise ComputeError("communities are found in the undirected graph: build it undirected")
    if seed < 0:
        raise ComputeError(f"seed is {seed}; it must not be negative")
    if not resolution > 0:
        raise ComputeError(f"resolution is {resolution}; it must be greater than 0")
    if key_members < 0:
        raise ComputeError(f"key_members is {key_members}; it must not be negative")
