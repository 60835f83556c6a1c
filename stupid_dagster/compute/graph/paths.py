"""Shortest paths, by hops and by weight."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from stupid_dagster.compute.graph.incidence import Numbers, View
from stupid_dagster.compute.graph.traversal import Levels
from stupid_dagster.errors import ComputeError

MOST_STEPS = 250_000
"""Edges that a weighted search looks at one by one; about a second."""

# Distances are whole numbers of this part of an event's: sums of them are exact in any order, so
# that equal ones are equal.
_UNIT = 2**40
_FAR = 2**62
_CHECKED = 1024
"""Steps of a weighted search between two looks at its deadline."""
_CHUNK = 64


@dataclass(frozen=True)
class Path:
    """Entities from the source to the target, and the path's length.

    `distance` is the number of hops, weighted the sum of 1 / weight of the edges along it, where
    the weight (in events) is that of all edges between two entities. `exact` is False where the
    search ended before it was sure that no path is shorter.
    """

    entities: list[str]
    distance: float
    exact: bool = True


STEP_SCHEMA = pl.Schema(
    {
        "step": pl.UInt32,
        "near": pl.String,
        "far": pl.String,
        "edge_type": pl.String,
        "direction": pl.String,
        "weight": pl.UInt32,
    }
)


def edges_along(view: View, entities: list[str]) -> pl.DataFrame:
    """Return the edges between each entity of a path and the next, as `STEP_SCHEMA` has it.

    In the path's order, several of a step by type; `out` is from the near entity to the far one.
    """
    rows = []
    for step, (near, far) in enumerate(itertools.pairwise(entities), start=1):
        kinds, weights = view.between(view.graph.number(near), view.graph.number(far))
        for kind, weight in zip(kinds.tolist(), weights.tolist(), strict=True):
            direction = "in" if kind % 2 else "out"
            rows.append((step, near, far, view.graph.edge_types[kind // 2], direction, weight))
    return pl.DataFrame(rows, schema=STEP_SCHEMA, orient="row")


def shortest_path(
    view: View,
    source: str,
    target: str,
    *,
    weighted: bool = False,
    max_hops: int | None = None,
    most_steps: int = MOST_STEPS,
) -> Path | None:
    """Return a shortest path, None where there is none (by hops: of at most `max_hops`).

    By hops, the one of several whose ids come first; weighted, always the same one. Raises
    ComputeError for unknown entities, and for `max_hops` with weights.
    """
    if weighted and max_hops is not None:
        raise ComputeError("max_hops is for paths by hops, not for weighted ones")
    start, end = view.graph.number(source), view.graph.number(target)
    nodes = _fewest_hops(view, start, end, max_hops=max_hops)
    if nodes is None:
        return None
    distance, exact = float(len(nodes) - 1), True
    if weighted:
        nodes, exact = _least_distance(view, nodes, most_steps)
        steps = itertools.pairwise(nodes)
        distance = math.fsum(1 / _weight(view, *step) for step in steps)
    return Path(view.graph.ids.gather(nodes).to_list(), distance, exact)


def _fewest_hops(
    view: View, source: int, target: int, *, max_hops: int | None = None
) -> list[int] | None:
    """Return the nodes of a shortest path by hops, None if there is none within `max_hops`.

    Of several, the one whose ids come first, compared node by node from the source. Searches
    breadth first from both ends, each time from that with fewer edges to look at (Pohl,
    Bi-directional search, Machine Intelligence 6, 1971).
    """
    if source == target:
        return [source]
    ahead = Levels(view, np.array([source]))
    back = Levels(view.reversed(), np.array([target]))
    while max_hops is None or ahead.depth + back.depth < max_hops:
        if not len(ahead.frontier) or not len(back.frontier):
            return None
        nearer = view.work(ahead.frontier) <= view.work(back.frontier)
        side, other = (ahead, back) if nearer else (back, ahead)
        side.advance()
        # Nodes of earlier levels of the other side would have met its later ones before.
        meeting = side.frontier[other.level[side.frontier] >= 0]
        if len(meeting):
            return _first_path(ahead, back, meeting)
    return None


def _first_path(ahead: Levels, back: Levels, meeting: Numbers) -> list[int]:
    """Return the first of all shortest paths; they go through `meeting`."""
    view, useful = ahead.view, [meeting]
    source, target = int(ahead.frontiers[0][0]), int(back.frontiers[0][0])
    for before in ahead.frontiers[-2:0:-1]:
        wanted = useful[-1]
        if view.work(wanted) <= view.work(before):
            ends, _ = back.view.expand(wanted)
            useful.append(before[np.isin(before, ends)])
        else:
            there = np.zeros(view.graph.size, dtype=bool)
            there[wanted] = True
            ends, owners = view.expand(before)
            useful.append(np.unique(owners[there[ends]]))
    path = [source]
    for nodes in reversed(useful if ahead.depth else []):
        ends, _ = view.neighbors(path[-1])
        path.append(int(ends[np.isin(ends, nodes)][0]))
    while path[-1] != target:
        ends, _ = view.neighbors(path[-1])
        path.append(int(ends[back.level[ends] == back.level[path[-1]] - 1][0]))
    return path


def _least_distance(view: View, known: list[int], most_steps: int) -> tuple[list[int], bool]:
    """Return the nodes of a path of least distance, and whether it is sure to be one.

    `known` is any path between the two. Dijkstra's algorithm from both ends; it stops when the
    sum of what both have reached is no less than the best path (Goldberg and Harrelson, Computing
    the shortest path: A* search meets graph theory, SODA 2005, section 3). A node's edges are
    sorted no further than they are looked at: hubs have hundreds of thousands.
    """
    if len(known) == 1:
        return known, True
    sides = _Side(view, known[0]), _Side(view.reversed(), known[-1])
    best = sum(_cost(_weight(view, a, b)) for a, b in itertools.pairwise(known))
    bridge: tuple[int, int] | None = None
    for side, other, forth in ((*sides, True), (*sides[::-1], False)):
        best, found = side.open(side.start, 0, other, best)
        bridge = _directed(found, forth) or bridge
    steps = 0
    while not (exact := sides[0].reached + sides[1].reached >= best) and steps < most_steps:
        # The one that has done less: hubs are met by turns.
        forth = sides[0].work <= sides[1].work
        side, other = sides if forth else sides[::-1]
        best, found = side.advance(other, best)
        bridge = _directed(found, forth) or bridge
        steps += 1
        if steps % _CHECKED == 0:
            view.check()
    if bridge is None:
        return known, exact
    return sides[0].way(bridge[0])[::-1] + sides[1].way(bridge[1]), exact


def _directed(edge: tuple[int, int] | None, forth: bool) -> tuple[int, int] | None:
    return edge if edge is None or forth else (edge[1], edge[0])


class _Side:
    """One end of a search: `distance` [n] of the nodes that are settled, from its start."""

    def __init__(self, view: View, start: int) -> None:
        self.view = view
        self.start = start
        self.distance: NDArray[np.int64] = np.full(view.graph.size, _FAR, dtype=np.int64)
        self.parent = {start: start}
        self.reached = 0
        self.work = 0.0
        # Of each settled node the next edge: distance, its end, the node, the edges after it.
        self._edges: list[tuple[int, int, int, Iterator[tuple[int, int]]]] = []

    def open(
        self, node: int, distance: int, other: _Side, best: int
    ) -> tuple[int, tuple[int, int] | None]:
        """Settle a node; return the best distance, and the edge of the path if it is a new one."""
        self.distance[node] = distance
        ends, weights = self.view.neighbors(node)
        self.work += len(ends) / 128  # A step in Python takes as long as so many in NumPy.
        through = distance + _costs(weights)
        bridge = None
        if len(ends):
            totals = through + other.distance[ends]
            shortest = int(totals.argmin())
            if totals[shortest] < best:
                best, bridge = int(totals[shortest]), (node, int(ends[shortest]))
        useful = (through + other.reached < best) & (self.distance[ends] == _FAR)
        edges = _nearest_first(through[useful], ends[useful])
        if first := next(edges, None):
            heapq.heappush(self._edges, (*first, node, edges))
        self._update()
        return best, bridge

    def advance(self, other: _Side, best: int) -> tuple[int, tuple[int, int] | None]:
        """Take the shortest edge; return as `open` does."""
        self.work += 1
        distance, end, node, edges = self._edges[0]
        if following := next(edges, None):
            heapq.heapreplace(self._edges, (*following, node, edges))
        else:
            heapq.heappop(self._edges)
        if self.distance[end] == _FAR:
            self.parent[end] = node
            return self.open(end, distance, other, best)
        self._update()
        return best, None

    def way(self, node: int) -> list[int]:
        """Return the nodes from a settled one back to the start."""
        way = [node]
        while way[-1] != self.start:
            way.append(self.parent[way[-1]])
        return way

    def _update(self) -> None:
        # With no edge left it has reached all that it can.
        self.reached = self._edges[0][0] if self._edges else _FAR


def _nearest_first(distances: NDArray[np.int64], ends: Numbers) -> Iterator[tuple[int, int]]:
    """Yield the distances and ends, least first; equal ones by end, which are given ascending."""
    size = _CHUNK
    while len(distances):
        near = np.ones(len(distances), dtype=bool)
        if len(distances) > size:
            near = distances <= np.partition(distances, size)[size]
        chosen = np.flatnonzero(near)
        order = chosen[np.argsort(distances[chosen], kind="stable")]
        yield from zip(distances[order].tolist(), ends[order].tolist(), strict=True)
        distances, ends = distances[~near], ends[~near]
        size *= 4


def _costs(weights: Numbers) -> NDArray[np.int64]:
    return np.maximum(np.rint(_UNIT / weights), 1).astype(np.int64)


def _cost(weight: int) -> int:
    return int(_costs(np.array([weight]))[0])


def _weight(view: View, node: int, end: int) -> int:
    ends, weights = view.neighbors(node)
    return int(weights[np.searchsorted(ends, end)])
