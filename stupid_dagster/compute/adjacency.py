"""The window's graph as a sparse matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy import sparse

from stupid_dagster.errors import ComputeError


@dataclass(frozen=True, eq=False)
class Adjacency:
    """A weighted graph of n nodes.

    `ids` and `types` are entity ids, ascending, and their entity types. `matrix` is [n, n] in
    CSR form, float64, its columns sorted: the weight (in events) between two nodes, over all
    edges that join them, whatever their types. It is symmetric unless `directed`; then rows
    are sources and columns targets. The diagonal is empty.
    """

    ids: pl.Series
    types: pl.Series
    matrix: sparse.csr_array
    directed: bool = False

    @property
    def size(self) -> int:
        """Number of nodes."""
        return len(self.ids)

    @property
    def strength(self) -> np.ndarray:
        """Sum of the weights at each node, float64 [n]; of outgoing edges where directed."""
        return np.asarray(self.matrix.sum(axis=1), dtype=np.float64).ravel()

    @classmethod
    def from_tables(
        cls,
        nodes: pl.DataFrame,
        edges: pl.DataFrame,
        *,
        directed: bool = False,
        include_test: bool = False,
    ) -> Adjacency:
        """Return the graph of `graph_nodes` and `graph_edges`, in whatever row order.

        Undirected, an edge counts both ways, and the weights of opposite edges add up. Test
        accounts' nodes are left out with their edges unless `include_test`. Raises ComputeError
        for an entity that stands twice in `nodes`, and for edges that end in none of `nodes`.
        """
        nodes = nodes.select("entity_id", "type", "is_test").sort("entity_id")
        kept = np.ones(nodes.height, dtype=bool) if include_test else ~nodes["is_test"].to_numpy()
        ends = number_ends(nodes, edges)
        source, target = ends["source"].to_numpy(), ends["target"].to_numpy()
        used = kept[source] & kept[target] & (source != target)
        position = (np.cumsum(kept) - 1).astype(np.int32)
        rows, columns = position[source[used]], position[target[used]]
        weights = ends["weight"].to_numpy()[used]
        if not directed:
            rows, columns = np.concatenate([rows, columns]), np.concatenate([columns, rows])
            weights = np.concatenate([weights, weights])
        size = int(kept.sum())
        # Its conversion to CSR adds up the entries of parallel edges.
        matrix = sparse.coo_array((weights, (rows, columns)), shape=(size, size)).tocsr()
        present = nodes.filter(pl.Series(kept))
        return cls(present["entity_id"], present["type"], matrix, directed)


def number_ends(nodes: pl.DataFrame, edges: pl.DataFrame) -> pl.DataFrame:
    """Return the edges with row numbers of `nodes` in place of ids, in no set order.

    Columns: source, target (UInt32), type, weight (Float64). Raises ComputeError for an entity that
    stands twice in `nodes`, and for edges that end in none of `nodes`.
    """
    ids = nodes["entity_id"]
    if ids.n_unique() < len(ids):
        twice = ids.filter(ids.is_duplicated()).unique().sort().head(3).to_list()
        raise ComputeError(f"nodes hold entities more than once, such as {twice}; merge them first")
    numbered = (
        edges.lazy()
        .select("source", "target", "type", "weight")
        .join(_numbered(ids, "source"), on="source", how="left")
        .join(_numbered(ids, "target"), on="target", how="left")
        .select("type", pl.col("weight").cast(pl.Float64), source="source_row", target="target_row")
        .collect(engine="streaming")
    )
    if numbered["source"].null_count() + numbered["target"].null_count():
        cited = pl.concat([edges["source"], edges["target"].alias("source")]).unique()
        unknown = cited.filter(~cited.is_in(ids.implode())).sort()
        raise ComputeError(
            f"edges end in {len(unknown)} entities that nodes lack, such as "
            f"{unknown.head(3).to_list()}; merge entities and edges of the same days"
        )
    return numbered


def _numbered(ids: pl.Series, name: str) -> pl.LazyFrame:
    return ids.alias(name).to_frame().with_row_index(f"{name}_row").lazy()
