"""The graph in a few numbers."""

from __future__ import annotations

import numpy as np
import polars as pl
from scipy.sparse.csgraph import connected_components

from stupid_dagster.compute.graph.adjacency import Adjacency, NumberedGraph
from stupid_dagster.errors import ComputeError
from stupid_dagster.tables import conform


def graph_statistics(graph: NumberedGraph, adjacency: Adjacency) -> pl.DataFrame:
    """Return the table `graph_statistics` of a graph, of which `adjacency` is the matrix.

    Rows, in this order:

    - nodes: entities; of the whole graph and per entity type.
    - edges: rows of `graph_edges`; of the whole graph and per edge type.
    - weight: events behind those edges; of the whole graph and per edge type.
    - density: pairs of different nodes with any edge between them, whatever its type and
      direction, as a share of all pairs; 0 with fewer than two nodes.
    - components: groups of nodes connected by edges in either direction; an isolated node is one.
    - largest_component: nodes of the largest.
    - isolated_nodes: nodes with no edge to another node.
    - mean_degree: 2 * edges / nodes, the mean of `degrees.degree`; 0 without nodes.

    Raises ComputeError when graph and adjacency don't belong together.
    """
    if not adjacency.ids.equals(graph.nodes["entity_id"]):
        raise ComputeError("the adjacency is of another graph; build it from the same one")
    node_types = graph.nodes.group_by("type").len()
    edge_types = graph.edges.group_by("type").agg(edges=pl.len(), weight=pl.col("weight").sum())
    edge_types = edge_types.with_columns(pl.col("type").cast(pl.String))
    mean_degree = 2 * graph.edges.height / adjacency.size if adjacency.size else 0.0
    rows = [
        *_by_type("nodes", node_types.select("type", value="len")),
        *_by_type("edges", edge_types.select("type", value="edges")),
        *_by_type("weight", edge_types.select("type", value="weight")),
        *((name, "", value) for name, value in _shape(adjacency).items()),
        ("mean_degree", "", mean_degree),
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
    pairs = matrix.nnz / 2
    count, members = connected_components(matrix, directed=False)
    return {
        "density": pairs / (size * (size - 1) / 2) if size > 1 else 0.0,
        "components": float(count),
        "largest_component": float(np.bincount(members).max(initial=0)),
        "isolated_nodes": float((np.diff(matrix.indptr) == 0).sum()),
    }
