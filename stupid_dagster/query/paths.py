"""Walks, shortest paths and subgraphs of a snapshot's graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast, get_args

import polars as pl

from stupid_dagster.compute.graph.paths import Path, edges_along, shortest_path
from stupid_dagster.compute.graph.subgraph import Subgraph, subgraph
from stupid_dagster.compute.graph.traversal import Order, traverse
from stupid_dagster.deadline import check
from stupid_dagster.errors import InvalidQueryError
from stupid_dagster.query.graph import SnapshotGraph, check_choice
from stupid_dagster.query.paging import Page

ORDERS: tuple[str, ...] = get_args(Order)
MOST_DEPTH = 5
"""Steps that a walk goes from its start; nearly all of a graph is nearer."""
MOST_DRAWN = 2_000
"""Nodes of a subgraph; a force layout of more shows nothing."""


@dataclass(frozen=True)
class FoundPath:
    """A shortest path, its entities (entity_id, type, key), and the edges along it.

    Columns of these as in `compute.graph.paths.STEP_SCHEMA`.
    """

    path: Path
    nodes: pl.DataFrame
    edges: pl.DataFrame


def walk(
    graph: SnapshotGraph,
    catalog: Mapping[str, Any],
    starts: str | Sequence[str],
    *,
    edge_types: Sequence[str] | None,
    direction: str,
    depth: int,
    order: str,
    limit: int,
) -> Page:
    """Return the entities that a walk finds, as `compute.graph.traversal.traverse` does.

    `total` is given where the page has all of them. Raises NotFoundError and InvalidQueryError.
    """
    check_choice("order", order, ORDERS)
    _check_depth(depth)
    view = graph.view(catalog, edge_types, direction)
    names = _some(graph, catalog, starts)
    check()
    found = traverse(view, names, depth=depth, order=cast(Order, order), limit=limit)
    total = None if found.truncated else found.table.height
    return Page(found.table, limit, found.truncated, total)


def find_path(
    graph: SnapshotGraph,
    catalog: Mapping[str, Any],
    source: str,
    target: str,
    *,
    edge_types: Sequence[str] | None,
    direction: str,
    weighted: bool,
    max_hops: int | None,
) -> FoundPath | None:
    """Return a shortest path as `compute.graph.paths.shortest_path` does, None for none.

    Raises NotFoundError and InvalidQueryError.
    """
    if max_hops is not None and (weighted or max_hops < 1):
        raise InvalidQueryError(
            f"max_hops = {max_hops}: at least 1, and only without weighted: the way of the "
            "strongest links may have any number"
        )
    view = graph.view(catalog, edge_types, direction)
    graph.numbers(catalog, [source, target])
    check()
    path = shortest_path(view, source, target, weighted=weighted, max_hops=max_hops)
    if path is None:
        return None
    nodes = view.graph.nodes[view.graph.numbers(path.entities)]
    return FoundPath(
        path, nodes.select("entity_id", "type", "key"), edges_along(view, path.entities)
    )


def find_subgraph(
    graph: SnapshotGraph,
    catalog: Mapping[str, Any],
    starts: str | Sequence[str],
    *,
    edge_types: Sequence[str] | None,
    direction: str,
    depth: int,
    limit: int,
) -> Subgraph:
    """Return what is near some entities, as `compute.graph.subgraph.subgraph` does.

    Raises NotFoundError and InvalidQueryError.
    """
    _check_depth(depth)
    if not 1 <= limit <= MOST_DRAWN:
        raise InvalidQueryError(f"limit = {limit}: a subgraph has from 1 to {MOST_DRAWN} nodes")
    view = graph.view(catalog, edge_types, direction)
    names = _some(graph, catalog, starts)
    if len(names) > limit:
        raise InvalidQueryError(
            f"{len(names)} entities to start from: at most the limit, {limit}; raise it, or begin "
            "with fewer"
        )
    check()
    return subgraph(view, names, depth=depth, limit=limit)


def _some(
    graph: SnapshotGraph, catalog: Mapping[str, Any], starts: str | Sequence[str]
) -> list[str]:
    """Return the distinct ids; raises NotFoundError, and InvalidQueryError for none."""
    names = [starts] if isinstance(starts, str) else list(dict.fromkeys(starts))
    if not names:
        raise InvalidQueryError("there is no entity to start from: give at least one id")
    graph.numbers(catalog, names)
    return names


def _check_depth(depth: int) -> None:
    if not 1 <= depth <= MOST_DEPTH:
        raise InvalidQueryError(f"depth = {depth}: a walk goes from 1 to {MOST_DEPTH} steps")
