"""Questions to a snapshot's graph; `catalog` tells its entity and edge types."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast, get_args

from stupid_dagster.errors import InvalidQueryError, NotFoundError, hint
from stupid_dagster.query.paging import Page
from stupid_dagster.stores.graph import GraphReader
from stupid_dagster.stores.graph.reader import Direction

DIRECTIONS: tuple[str, ...] = get_args(Direction)


def find_node(graph: GraphReader, catalog: Mapping[str, Any], entity_id: str) -> dict[str, Any]:
    """Return an entity as `GraphReader.node` does; raises NotFoundError."""
    node = graph.node(entity_id)
    if node is None:
        prefixes = [entity["prefix"] for entity in catalog["entities"].values()]
        near = hint(entity_id.partition(":")[0][:80], prefixes)
        raise NotFoundError(
            f"the graph has no entity {entity_id[:200]!r}; ids are <prefix>:<key>, and the "
            f"prefixes are {', '.join(prefixes)}{near}"
        )
    return node


def neighbors_page(
    graph: GraphReader,
    catalog: Mapping[str, Any],
    entity_id: str,
    edge_types: Sequence[str] | None,
    direction: str,
    limit: int,
) -> Page:
    """Return the edges at an entity, heaviest first, as `GraphReader.neighbors` does.

    `total` is given where the page has all of them. Raises InvalidQueryError.
    """
    check_edges(catalog, edge_types, direction)
    found = graph.neighbors(
        entity_id,
        edge_types=edge_types or None,
        direction=cast(Direction, direction),
        limit=limit + 1,
    )
    truncated = found.height > limit
    return Page(found.head(limit), limit, truncated, None if truncated else found.height)


def check_edges(
    catalog: Mapping[str, Any], edge_types: Sequence[str] | None, direction: str
) -> None:
    """Raise InvalidQueryError for edge types that the catalog lacks, and for no direction."""
    check_choice("direction", direction, DIRECTIONS)
    known = catalog["edges"]
    for edge_type in edge_types or ():
        if edge_type not in known:
            raise InvalidQueryError(
                f"there is no edge type {edge_type[:80]!r}{hint(edge_type[:80], known)}; there "
                f"are {', '.join(known)}"
            )


def check_choice(name: str, value: str, choices: Collection[str]) -> None:
    """Raise InvalidQueryError for a value that is none of the choices."""
    if value not in choices:
        raise InvalidQueryError(f"{name} {value[:80]!r}: use one of {', '.join(choices)}")
