"""Degrees: how many edges each node has."""

from __future__ import annotations

import numpy as np
import polars as pl

from stupid_dagster.compute.graph.adjacency import NumberedGraph
from stupid_dagster.tables import conform


def degrees(graph: NumberedGraph) -> pl.DataFrame:
    """Return the table `degrees` of a graph's nodes, sorted by entity_id.

    An edge is a row of `graph_edges`: two nodes that are joined by edges of two types have
    degree 2. An edge from a node to itself both ends and starts there.
    """
    size = graph.nodes.height
    source, target, weight = (
        graph.edges[name].to_numpy() for name in ("source", "target", "weight")
    )
    out_degree = np.bincount(source, minlength=size)
    in_degree = np.bincount(target, minlength=size)
    table = graph.nodes.with_columns(
        in_degree=pl.Series(in_degree),
        out_degree=pl.Series(out_degree),
        degree=pl.Series(in_degree + out_degree),
        weighted_degree=pl.Series(
            np.bincount(source, weight, size) + np.bincount(target, weight, size)
        ),
    )
    return conform("degrees", table)
