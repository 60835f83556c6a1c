"""The heaviest edges at some nodes of the window's graph."""

from __future__ import annotations

import numpy as np
import polars as pl

from stupid_dagster.compute.graph.incidence import Numbers, View
from stupid_dagster.stores.graph.reader import NEIGHBOR_SCHEMA

SCHEMA = pl.Schema({"entity_id": pl.String, **NEIGHBOR_SCHEMA})
_SIDES = pl.Series(["out", "in"])


def heaviest_edges(view: View, nodes: Numbers, limit: int) -> pl.DataFrame:
    """Return the `limit` heaviest edges at the nodes, heaviest first, with their other ends.

    Columns as in `SCHEMA`; `entity_id` is the node that an edge is at. Ties are
    ordered by neighbor, edge type, direction (`in`, `out`) and entity. An edge between two of the
    nodes is found at both, one from a node to itself in both directions.
    """
    graph = view.graph
    entries = _heaviest(view, view.entries(np.unique(nodes)), limit)
    ends, kinds, weights = graph.ends[entries], graph.kinds[entries], graph.weights[entries]
    owners = graph.owners(entries)
    order = np.lexsort((owners, kinds ^ 1, ends, ~weights))[:limit]
    entries, ends, kinds = entries[order], ends[order], kinds[order]
    edges = graph.edges[entries]
    # Column by column: as expressions they would take Polars four times as long.
    columns = {
        "entity_id": graph.ids[owners[order]],
        "neighbor": graph.ids[ends],
        "neighbor_type": graph.types[ends],
        "edge_type": pl.Series(graph.edge_types, dtype=pl.String)[kinds // 2],
        "direction": _SIDES[kinds % 2],
        "weight": pl.Series(weights[order]),
        **{name: pl.Series(values[edges]) for name, values in graph.described.items()},
    }
    return pl.DataFrame([columns[name].cast(dtype).alias(name) for name, dtype in SCHEMA.items()])


def _heaviest(view: View, entries: Numbers, limit: int) -> Numbers:
    """Return entries among which the `limit` first are; a hub has hundreds of thousands."""
    if len(entries) <= 2 * limit:
        return entries
    graph = view.graph
    weights = graph.weights[entries]
    least = np.partition(weights, len(weights) - limit)[len(weights) - limit]
    above, ties = entries[weights > least], entries[weights == least]
    room = limit - len(above)
    if len(ties) > room:
        keys = graph.ends[ties].astype(np.int64) * 2 * len(graph.edge_types)
        keys += graph.kinds[ties] ^ 1
        ties = ties[keys <= np.partition(keys, room - 1)[room - 1]]
    return np.concatenate([above, ties])
