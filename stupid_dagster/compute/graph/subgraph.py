"""A part of the window's graph that is small enough to be drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from stupid_dagster.compute.graph.incidence import Incidence, Numbers, View
from stupid_dagster.compute.graph.traversal import distinct
from stupid_dagster.errors import ComputeError

NODE_SCHEMA = pl.Schema(
    {
        "id": pl.String,
        "type": pl.String,
        "key": pl.String,
        "degree": pl.UInt32,
        "depth": pl.UInt32,
        "start": pl.Boolean,
    }
)
LINK_SCHEMA = pl.Schema(
    {"source": pl.String, "target": pl.String, "type": pl.String, "weight": pl.UInt32}
)


@dataclass(frozen=True)
class Subgraph:
    """Nodes as in `NODE_SCHEMA`, nearest first, and all edges among them as in `LINK_SCHEMA`.

    `degree` is a node's edges in the whole graph. `truncated`: there are more nodes within the
    depth than were asked for.
    """

    nodes: pl.DataFrame
    links: pl.DataFrame
    truncated: bool


def subgraph(view: View, starts: Sequence[str], *, depth: int, limit: int) -> Subgraph:
    """Return what is near `starts`: at most `limit` nodes within `depth` steps.

    Each step takes the nodes that the heaviest edges lead to (several edges to a node don't add
    up; ties go by id) while there is room. Links are edges of the view's types whichever way they
    go, heaviest first. Raises ComputeError for an unknown start, and for more starts than `limit`.
    """
    graph = view.graph
    numbers = np.unique(graph.numbers(starts))
    if not 1 <= len(numbers) <= limit:
        raise ComputeError(f"{len(numbers)} starts: there must be from 1 to the limit, {limit}")
    rings, truncated = _rings(view, numbers, depth, limit)
    nodes = np.concatenate(rings)
    depths = np.repeat(np.arange(len(rings)), [len(ring) for ring in rings])
    table = pl.DataFrame(
        {
            "id": graph.ids.gather(nodes),
            "type": graph.types.gather(nodes),
            "key": graph.nodes["key"].gather(nodes),
            "degree": graph.degrees(nodes),
            "depth": depths,
            "start": depths == 0,
        }
    )
    return Subgraph(table.cast(NODE_SCHEMA), _links(view, np.sort(nodes)), truncated)


def _rings(view: View, starts: Numbers, depth: int, limit: int) -> tuple[list[Numbers], bool]:
    """Return the nodes by their number of steps, and whether some were left out."""
    graph = view.graph
    seen = np.zeros(graph.size, dtype=bool)
    seen[starts] = True
    rings, room = [starts], limit - len(starts)
    for _ in range(depth):
        view.check()
        entries = view.entries(rings[-1])
        entries = entries[~seen[graph.ends[entries]]]
        ends, weights = graph.ends[entries], graph.weights[entries]
        met = distinct(ends, graph.size)
        if len(met) > room:
            heaviest = np.zeros(graph.size, dtype=weights.dtype)
            np.maximum.at(heaviest, ends, weights)
            # Stable, so that ties stay in the order of ids.
            met = met[np.argsort(~heaviest[met], kind="stable")[:room]]
            return [*rings, met], True
        if not len(met):
            break
        seen[met] = True
        rings.append(met)
        room -= len(met)
    return rings, False


def _links(view: View, nodes: Numbers) -> pl.DataFrame:
    """Return the edges among the nodes, which are ascending."""
    graph = view.graph
    entries = np.concatenate([_among(graph, node, nodes) for node in nodes.tolist()])
    # An edge is an entry at both of its ends: the one at its source stands for it.
    types = view.allowed[:-1:2] | view.allowed[1::2]
    kinds = graph.kinds[entries]
    used = (kinds % 2 == 0) & types[kinds // 2]
    entries = entries[used]
    sources = graph.owners(entries)
    links = pl.DataFrame(
        {
            "source": graph.ids.gather(sources),
            "target": graph.ids.gather(graph.ends[entries]),
            "type": pl.Series(graph.edge_types, dtype=pl.String).gather(kinds[used] // 2),
            "weight": graph.weights[entries],
        }
    ).cast(LINK_SCHEMA)
    return links.sort("weight", "source", "target", "type", descending=[True, False, False, False])


def _among(graph: Incidence, node: int, nodes: Numbers) -> Numbers:
    """Return the entries at a node whose other end is one of the nodes."""
    first, last = (int(start) for start in graph.starts[node : node + 2])
    ends = graph.ends[first:last]
    # Other ends ascend: a hub's are searched, not gone through.
    low, high = (np.searchsorted(ends, nodes, side=side) for side in ("left", "right"))
    counts = high - low
    before = np.cumsum(counts) - counts
    return first + np.repeat(low - before, counts) + np.arange(counts.sum())
