"""The window's graph."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Response

from stupid_dagster.api.dependencies import Limit, SnapshotAnswers
from stupid_dagster.api.examples import example
from stupid_dagster.api.models.graph import NeighborsPage, NodeAnswer, StatisticsAnswer

router = APIRouter(prefix="/graph", tags=["graph"])


@router.get("/nodes/{entity_id:path}", response_model=NodeAnswer, responses=example("node"))
def node(
    answers: SnapshotAnswers,
    entity_id: Annotated[
        str, Path(description="Entity id, `<prefix>:<key>`.", examples=["airport:JFK"])
    ],
) -> Response:
    """Read an entity: its properties, and when it was seen."""
    return answers.data(node=answers.reader.node(entity_id))


@router.get("/neighbors", response_model=NeighborsPage, responses=example("neighbors"))
def neighbors(
    answers: SnapshotAnswers,
    id: Annotated[str, Query(description="Entity id.", examples=["airport:JFK"])],
    edge_type: Annotated[
        list[str] | None, Query(description="Only edges of these types.", examples=[["StartsAt"]])
    ] = None,
    direction: Annotated[
        Literal["both", "out", "in"], Query(description="Which way the edges go.")
    ] = "both",
    limit: Limit = 100,
) -> Response:
    """List the edges at an entity with their other ends, heaviest first."""
    # An entity that isn't there is told from one without edges.
    answers.reader.node(id)
    page = answers.reader.neighbors(id, edge_types=edge_type, direction=direction, limit=limit)
    return answers.page(page, entity_id=id)


@router.get("/stats", response_model=StatisticsAnswer, responses=example("statistics"))
def statistics(answers: SnapshotAnswers) -> Response:
    """Count nodes and edges by type, and say how the graph hangs together."""
    return answers.data(rows=answers.reader.statistics())
