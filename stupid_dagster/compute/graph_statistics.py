"""The graph in a few numbers."""

from __future__ import annotations

import numpy as np
import polars as pl
from scipy.sparse.csgraph import connected_components

from stupid_dagster.compute.adjacency import Adjacency, number_ends
from stupid_dagster.errors import ComputeError
from stupid_dagster.tables import conform


def graph_statistics(
    nodes: pl.DataFrame, edges: pl.DataFrame, adjacency: Adjacency
) -> pl.DataFrame:
    """Return the table `graph_statistics` of the nodes in `adjacency` and the edges among them.

    `adjacency` is built from `nodes` and `edges` (`graph_nodes`, `graph_edges`); what it leaves
    out (test accounts) isn't counted here either. Rows, in this order:

    - nodes: entities; of the whole graph and per entity type.
    - edges: rows of `graph_edges`; of the whole graph and per edge type.
    - weight: events behind those edges; of the whole graph and per edge type.
    - density: pairs of different nodes with any edge between them, whatever its type and
      direction, as a share of all pairs; 0 with fewer than two nodes.
    - components: groups of nodes connected by edges in either direction; an isolated node is one.
    - largest_component: nodes of the largest.
    - isolated_nodes: nodes with no edge to another node.
    - mean_degree: 2 * edges / nodes, the mean of `degrees.degree`; 0 without nodes.

    Raises ComputeError when nodes, edges and adjacency don't belong together.
    """
    kept = nodes["entity_id"].is_in(adjacency.ids.implode())
    if kept.sum() != adjacency.size:
        raise ComputeError(
            f"the adjacency has {adjacency.size - kept.sum()} nodes that `nodes` lacks; "
            "build it from the same nodes and edges"
        )
    ends = number_ends(nodes, edges)
    inside = kept.to_numpy()
    used = inside[ends["source"].to_numpy()] & inside[ends["target"].to_numpy()]
    node_types = adjacency.types.rename("type").to_frame().group_by("type").len()
    edge_types = (
        ends.filter(pl.Series(used))
        .group_by("type")
        .agg(edges=pl.len(), weight=pl.col("weight").sum())
    )
    edge_count = int(used.sum())
    rows = [
        *_by_type("nodes", node_types.select("type", value="len")),
        *_by_type("edges", edge_types.select("type", value="edges")),
        *_by_type("weight", edge_types.select("type", value="weight")),
        *((name, "", value) for name, value in _shape(adjacency).items()),
        ("mean_degree", "", 2 * edge_count / adjacency.size if adjacency.size else 0.0),
    ]
    schema = {"statistic": pl.String, "type": pl.String, "value": pl.Float64}
    return conform("graph_statistics", pl.DataFrame(rows, schema=schema, orient="row"))


def _by_type(statistic: str, counts: pl.DataFrame) -> list[tuple[str, str, float]]:
    """Return the total's row and, sorted, those of the types."""
    return [
        (statistic, "", float(counts["value"].sum())),
        *((statistic, name, float(value)) for name, value in counts.sort("type").iter_rows()),
    ]


def _shape(adjacency: Adjacency) -> dict[str, float]:
    size, matrix = adjacency.size, adjacency.matrix
    if adjacency.directed:
        matrix = (matrix + matrix.T).tocsr()
    pairs = matrix.nnz / 2
    count, members = connected_components(matrix, directed=False)
    return {
        "density": pairs / (size * (size - 1) / 2) if size > 1 else 0.0,
        "components": float(count),
        "largest_component": float(np.bincount(members).max(initial=0)),
        "isolated_nodes": float((np.diff(matrix.indptr) == 0).sum()),
    }
