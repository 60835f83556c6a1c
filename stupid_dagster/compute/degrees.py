"""Degrees: how many edges each node has."""

from __future__ import annotations

import numpy as np
import polars as pl

from stupid_dagster.compute.adjacency import number_ends
from stupid_dagster.tables import conform


def degrees(
    nodes: pl.DataFrame, edges: pl.DataFrame, *, include_test: bool = False
) -> pl.DataFrame:
    """Return the table `degrees` of `graph_nodes` and `graph_edges`, sorted by entity_id.

    An edge is a row of `graph_edges`: two nodes that are joined by edges of two types have
    degree 2. An edge from a node to itself both ends and starts there. Test accounts' nodes
    are left out with their edges unless `include_test`. Raises ComputeError for an entity that
    stands twice in `nodes`, and for edges that end in none of `nodes`.
    """
    size = nodes.height
    kept = np.ones(size, dtype=bool) if include_test else ~nodes["is_test"].to_numpy()
    ends = number_ends(nodes, edges)
    source, target = ends["source"].to_numpy(), ends["target"].to_numpy()
    used = kept[source] & kept[target]
    source, target, weight = source[used], target[used], ends["weight"].to_numpy()[used]
    out_degree = np.bincount(source, minlength=size)
    in_degree = np.bincount(target, minlength=size)
    table = nodes.select("entity_id", "type").with_columns(
        in_degree=pl.Series(in_degree),
        out_degree=pl.Series(out_degree),
        degree=pl.Series(in_degree + out_degree),
        weighted_degree=pl.Series(
            np.bincount(source, weight, size) + np.bincount(target, weight, size)
        ),
    )
    return conform("degrees", table.filter(pl.Series(kept)).sort("entity_id"))
