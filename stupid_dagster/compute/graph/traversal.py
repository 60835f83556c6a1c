"""Walks through the window's graph, breadth first and depth first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from stupid_dagster.compute.graph.incidence import Numbers, View
from stupid_dagster.errors import ComputeError

Order = Literal["breadth", "depth"]
_CHECKED = 256
"""Nodes that a walk depth first visits between two looks at its deadline."""
TRAVERSAL_SCHEMA = pl.Schema(
    {
        "entity_id": pl.String,
        "type": pl.String,
        "depth": pl.UInt32,
        "parent": pl.String,
        "order": pl.UInt32,
    }
)


@dataclass(frozen=True)
class Traversal:
    """Nodes in the order of their visit, as `TRAVERSAL_SCHEMA` has it; `parent` is whence.

    `truncated`: there are more than were asked for.
    """

    table: pl.DataFrame
    truncated: bool


def traverse(
    view: View, starts: Sequence[str], *, depth: int, order: Order = "breadth", limit: int
) -> Traversal:
    """Return the nodes that a walk from `starts`, themselves the first, finds within `depth` steps.

    Breadth first: by depth, then by id, and the parent is the first by id of those before; depth
    is the number of hops from the nearest start. Depth first: from each node to its neighbours by
    id, as far down as `depth` allows, before its siblings; depth is that of the walk, and what is
    met where it has to turn back isn't walked on from when it is met again, so that less may be
    found. It begins at the starts by id, and anew at those that it didn't meet.
    At most `limit` nodes; starts have no parent, unless a walk depth first met them. Raises
    ComputeError for no start, an unknown one, depth below 0, limit below 1.
    """
    if depth < 0 or limit < 1 or not starts:
        raise ComputeError(
            f"{len(starts)} starts, depth = {depth}, limit = {limit}: must be at least 1, 0 and 1"
        )
    numbers = np.unique(view.graph.numbers(starts))
    walk = _depth_first if order == "depth" else _breadth_first
    # One more tells whether there are more.
    nodes, depths, parents = walk(view, numbers, depth, limit + 1)
    truncated = len(nodes) > limit
    nodes, depths, parents = (np.asarray(part)[:limit] for part in (nodes, depths, parents))
    ids, types = view.graph.ids, view.graph.types
    roots = pl.Series(parents == nodes)
    table = pl.DataFrame(
        {
            "entity_id": ids.gather(nodes),
            "type": types.gather(nodes),
            "depth": depths,
            "parent": ids.gather(parents).set(roots, None),
            "order": np.arange(len(nodes)),
        },
    ).cast(TRAVERSAL_SCHEMA)
    return Traversal(table, truncated)


class Levels:
    """A walk breadth first: `level` [n] is the hops to each node it reached, else -1.

    `frontiers` are the nodes that it reached first after 0, 1, ... `depth` hops, ascending.
    """

    def __init__(self, view: View, starts: Numbers) -> None:
        self.view = view
        self.level = np.full(view.graph.size, -1, dtype=np.int32)
        self.level[starts] = 0
        self.frontiers: list[Numbers] = [starts]

    @property
    def depth(self) -> int:
        return len(self.frontiers) - 1

    @property
    def frontier(self) -> Numbers:
        return self.frontiers[-1]

    def advance(self) -> tuple[Numbers, Numbers]:
        """Go one step on; return the edges to new nodes: these, and whence, ascending."""
        self.view.check()
        ends, owners = self.view.expand(self.frontier)
        new = self.level[ends] < 0
        ends, owners = ends[new], owners[new]
        self.level[ends] = self.depth + 1
        self.frontiers.append(distinct(ends, self.view.graph.size))
        return ends, owners


def _breadth_first(
    view: View, starts: Numbers, depth: int, limit: int
) -> tuple[Numbers, Numbers, Numbers]:
    levels = Levels(view, starts)
    parent = np.zeros(view.graph.size, dtype=np.int32)
    parent[starts] = starts
    while levels.depth < depth and sum(map(len, levels.frontiers)) < limit:
        ends, owners = levels.advance()
        # Of assignments to one place the last stays: here that of the first owner.
        parent[ends[::-1]] = owners[::-1]
        if not len(ends):
            break
    nodes = np.concatenate(levels.frontiers)[:limit]
    return nodes, levels.level[nodes], parent[nodes]


def _depth_first(
    view: View, starts: Numbers, depth: int, limit: int
) -> tuple[list[int], list[int], list[int]]:
    seen: NDArray[np.bool_] = np.zeros(view.graph.size, dtype=bool)
    nodes: list[int] = []
    depths: list[int] = []
    parents: list[int] = []
    for start in starts.tolist():
        # The start is its own first child, at depth 0.
        stack = [(start, iter([start]))]
        while stack and len(nodes) < limit:
            parent, children = stack[-1]
            child = next((c for c in children if not seen[c]), None)
            if child is None:
                stack.pop()
                continue
            seen[child] = True
            if len(nodes) % _CHECKED == 0:
                view.check()
            nodes.append(child)
            depths.append(len(stack) - 1)
            parents.append(parent)
            if len(stack) <= depth:
                stack.append((child, iter(_unseen(view, child, seen))))
    return nodes, depths, parents


def _unseen(view: View, node: int, seen: NDArray[np.bool_]) -> list[int]:
    ends, _ = view.neighbors(node)
    return ends[~seen[ends]].tolist()


def distinct(nodes: Numbers, size: int) -> Numbers:
    """Return the distinct ones of the nodes, ascending."""
    if len(nodes) < size // 64:
        return np.unique(nodes)
    there = np.zeros(size, dtype=bool)
    there[nodes] = True
    return np.flatnonzero(there)
