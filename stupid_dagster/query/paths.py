"""Walks and shortest paths through a snapshot's graph, which they hold in memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast, get_args

import polars as pl
import structlog

from stupid_dagster.compute.graph.adjacency import number_graph
from stupid_dagster.compute.graph.incidence import Direction, Incidence, View
from stupid_dagster.compute.graph.paths import Path, edges_along, shortest_path
from stupid_dagster.compute.graph.traversal import Order, traverse
from stupid_dagster.errors import InvalidQueryError
from stupid_dagster.query.frames import reading
from stupid_dagster.query.graph import check_choice, check_edges
from stupid_dagster.query.paging import Page
from stupid_dagster.stores.snapshots import Snapshot

log = structlog.get_logger(__name__)

ORDERS: tuple[str, ...] = get_args(Order)
MOST_DEPTH = 5
"""Steps that a walk goes from its start; nearly all of a graph is nearer."""


@dataclass(frozen=True)
class FoundPath:
    """A shortest path, and the edges along it: columns as in `compute.paths.STEP_SCHEMA`."""

    path: Path
    edges: pl.DataFrame


class GraphPaths:
    """The edges of one snapshot's graph by node, read when they are first asked for.

    Test accounts are in it, as they are in the graph database. Any number of threads may ask.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._lock = threading.Lock()
        self._graph: Incidence | None = None

    def close(self) -> None:
        """Give the memory back."""
        with self._lock:
            self._graph = None

    def traverse(
        self,
        catalog: Mapping[str, Any],
        start: str,
        *,
        edge_types: Sequence[str] | None,
        direction: str,
        depth: int,
        order: str,
        limit: int,
    ) -> Page:
        """Return the entities that a walk finds, as `compute.traversal.traverse` does.

        `total` is given where the page has all of them. Raises InvalidQueryError.
        """
        check_edges(catalog, edge_types, direction)
        check_choice("order", order, ORDERS)
        if not 1 <= depth <= MOST_DEPTH:
            raise InvalidQueryError(f"depth = {depth}: a walk goes from 1 to {MOST_DEPTH} steps")
        view = self._view(edge_types, direction)
        found = traverse(view, start, depth=depth, order=cast(Order, order), limit=limit)
        total = None if found.truncated else found.table.height
        return Page(found.table, limit, found.truncated, total)

    def path(
        self,
        catalog: Mapping[str, Any],
        source: str,
        target: str,
        *,
        edge_types: Sequence[str] | None,
        direction: str,
        weighted: bool,
        max_hops: int | None,
    ) -> FoundPath | None:
        """Return a shortest path as `compute.paths.shortest_path` does; raises InvalidQueryError.

        None where there is none.
        """
        check_edges(catalog, edge_types, direction)
        if max_hops is not None and (weighted or max_hops < 1):
            raise InvalidQueryError(
                f"max_hops = {max_hops}: at least 1, and only without weighted: the way of the "
                "strongest links may have any number"
            )
        view = self._view(edge_types, direction)
        path = shortest_path(view, source, target, weighted=weighted, max_hops=max_hops)
        return path and FoundPath(path, edges_along(view, path.entities))

    def _view(self, edge_types: Sequence[str] | None, direction: str) -> View:
        return self._open().view(edge_types or None, cast(Direction, direction))

    def _open(self) -> Incidence:
        with self._lock:
            if self._graph is None:
                started = time.perf_counter()
                nodes = self.snapshot.scan("graph_nodes").select("entity_id", "type", "is_test")
                edges = self.snapshot.scan("graph_edges")
                with reading():
                    graph = number_graph(nodes.collect(), edges, include_test=True)
                self._graph = Incidence.of(graph)
                log.info(
                    "graph read for paths",
                    nodes=graph.nodes.height,
                    edges=graph.edges.height,
                    bytes=self._graph.bytes,
                    seconds=round(time.perf_counter() - started, 2),
                )
            return self._graph
