"""Tools for the window's graph."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from stupid_dagster.mcp.answers import (
    DEFAULT_ROWS,
    DataResult,
    Limit,
    RowsResult,
    data_result,
    plain_rows,
    rows_result,
)
from stupid_dagster.mcp.tools import SnapshotTools
from stupid_dagster.query.paths import MOST_DEPTH

EntityId = Annotated[str, Field(description="Entity id, `<prefix>:<key>`.")]
EdgeTypes = Annotated[list[str] | None, Field(description="Only edges of these types.")]
Direction = Annotated[
    Literal["both", "out", "in"], Field(description="Which way the edges go, from the entity.")
]


class GraphTools(SnapshotTools):
    """Neighbours, walks and paths."""

    def neighbors(
        self,
        entity_id: EntityId,
        edge_types: EdgeTypes = None,
        direction: Direction = "both",
        limit: Limit = DEFAULT_ROWS,
    ) -> RowsResult:
        """Read an entity, and the edges at it with their other ends, heaviest first."""
        with self._reading() as reader:
            node = reader.node(entity_id)
            page = reader.neighbors(
                entity_id, edge_types=edge_types, direction=direction, limit=limit
            )
            return rows_result(reader, page, "heaviest first; raise limit for more", node=node)

    def traverse(
        self,
        entity_id: EntityId,
        depth: Annotated[int, Field(ge=1, le=MOST_DEPTH, description="Steps from it.")] = 2,
        edge_types: EdgeTypes = None,
        direction: Direction = "both",
        limit: Limit = DEFAULT_ROWS,
    ) -> RowsResult:
        """List the entities within some steps of one, nearest first."""
        with self._reading() as reader:
            page = reader.traverse(
                entity_id, edge_types=edge_types, direction=direction, depth=depth, limit=limit
            )
            return rows_result(reader, page, "nearest first; raise limit for more")

    def path(
        self,
        source: EntityId,
        target: EntityId,
        edge_types: EdgeTypes = None,
        direction: Direction = "both",
        weighted: Annotated[
            bool, Field(description="Along the strongest links instead of the fewest.")
        ] = False,
    ) -> DataResult:
        """Find a shortest path between two entities: the entities and edges along it."""
        with self._reading() as reader:
            found = reader.path(
                source, target, edge_types=edge_types, direction=direction, weighted=weighted
            )
            if found is None:
                return data_result(reader, "there is no path between them", found=False)
            entities, edges = list(found.path.entities), plain_rows(found.edges)
            text = " - ".join(entities)
            return data_result(reader, text, found=True, entities=entities, edges=edges)
