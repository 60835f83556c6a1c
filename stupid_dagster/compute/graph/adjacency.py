"""The window's graph as a sparse matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
import polars as pl
from scipy import sparse

from stupid_dagster.errors import ComputeError


@dataclass(frozen=True, eq=False)
class Adjacency:
    """A weighted, undirected graph of n nodes.

    `ids` and `types` are entity ids, ascending, and their entity types. `matrix` is [n, n] in
    CSR form, float64, symmetric, its columns sorted: the weight (in events) between two nodes,
    over all edges that join them, whatever their types and directions. The diagonal is empty.
    """

    ids: pl.Series
    types: pl.Series
    matrix: sparse.csr_array

    @property
    def size(self) -> int:
        """Number of nodes."""
        return len(self.ids)

    @property
    def strength(self) -> np.ndarray:
        """Sum of the weights at each node, float64 [n]."""
        return np.asarray(self.matrix.sum(axis=1), dtype=np.float64).ravel()

    @classmethod
    def of(cls, graph: NumberedGraph) -> Adjacency:
        """Return the matrix of a graph; the weights of opposite edges add up."""
        rows, columns, weights = (
            graph.edges[name].to_numpy() for name in ("source", "target", "weight")
        )
        weights = weights.astype(np.float64)
        used = rows != columns
        # SciPy's indices are signed; its own conversion would make them 64 bits wide.
        rows, columns = rows[used].astype(np.int32), columns[used].astype(np.int32)
        size = graph.nodes.height
        # The conversion to CSR adds up the entries of parallel edges.
        matrix = sparse.coo_array((weights[used], (rows, columns)), shape=(size, size)).tocsr()
        matrix = (matrix + matrix.T).tocsr()
        matrix.sort_indices()
        return cls(graph.nodes["entity_id"], graph.nodes["type"], matrix)


@dataclass(frozen=True, eq=False)
class NumberedGraph:
    """A window's nodes, and its edges by the nodes' row numbers, which are cheap to work on.

    `nodes` has entity_id (ascending) and type; `edges` source and target (row numbers, UInt32),
    type (Categorical) and weight (UInt32), in no set order. Both may have more columns.
    """

    nodes: pl.DataFrame
    edges: pl.DataFrame


def number_graph(
    nodes: pl.DataFrame,
    edges: pl.DataFrame | pl.LazyFrame,
    *,
    include_test: bool = False,
    more: Sequence[str] = (),
) -> NumberedGraph:
    """Return the graph of `graph_nodes` and `graph_edges`, in whatever row order.

    Test accounts' nodes are left out with their edges unless `include_test`. `more` are further
    columns of the edges that are kept; given any, all of the nodes' are. Raises ComputeError
    for an entity that stands twice in `nodes`, and for edges that end in none of `nodes`.
    """
    own = ["entity_id", "type"]
    nodes = (nodes if more else nodes.select(*own, "is_test")).sort("entity_id")
    ids = nodes["entity_id"]
    if ids.n_unique() < len(ids):
        twice = ids.filter(ids.is_duplicated()).unique().sort().head(3).to_list()
        raise ComputeError(f"nodes hold entities more than once, such as {twice}; merge them first")
    # Ids as an enumeration: half the cost of joining each end to its number.
    number = pl.col("source", "target").cast(pl.Enum(ids), strict=False).to_physical()
    numbered = (
        edges.lazy()
        .select(number, pl.col("type").cast(pl.Categorical), "weight", *more)
        .collect(engine="streaming")
    )
    if numbered["source"].null_count() + numbered["target"].null_count():
        _refuse(ids, edges.lazy())
    kept = pl.repeat(True, nodes.height, eager=True) if include_test else ~nodes["is_test"]
    if not kept.all():
        ends = [numbered["source"], numbered["target"]]
        numbered = numbered.filter(kept.gather(ends[0]) & kept.gather(ends[1]))
        position = kept.cum_sum() - 1
        numbered = numbered.with_columns(
            position.gather(numbered[end]).cast(pl.UInt32).alias(end)
            for end in ("source", "target")
        )
    nodes = nodes.filter(kept)
    return NumberedGraph(nodes if more else nodes.select(own), numbered)


def _refuse(ids: pl.Series, edges: pl.LazyFrame) -> NoReturn:
    cited = pl.concat([edges.select(entity_id=end) for end in ("source", "target")]).unique()
    unknown = cited.join(ids.to_frame().lazy(), on="entity_id", how="anti").collect()
    raise ComputeError(
        f"edges end in {unknown.height} entities that nodes lack, such as "
        f"{unknown['entity_id'].sort().head(3).to_list()}; merge entities and edges of the same "
        "days"
    )
