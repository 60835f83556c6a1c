"""The window's graph."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Response

from stupid_dagster.api.dependencies import Limit, SnapshotAnswers
from stupid_dagster.api.examples import example
from stupid_dagster.api.models.graph import (
    NeighborsPage,
    NodeAnswer,
    PathAnswer,
    StatisticsPage,
    SubgraphAnswer,
    TraversalPage,
)
from stupid_dagster.query import Page
from stupid_dagster.query.paths import MOST_DRAWN

router = APIRouter(prefix="/graph", tags=["graph"])

MOST_STARTS = 100
EdgeTypes = Annotated[
    list[str] | None, Query(description="Only edges of these types.", examples=[["StartsAt"]])
]
Way = Annotated[Literal["both", "out", "in"], Query(description="Which way the edges go.")]
Starts = Annotated[
    list[str],
    Query(
        description="Ids of the entities to start from.",
        examples=[["carrier:HA"]],
        min_length=1,
        max_length=MOST_STARTS,
    ),
]
Depth = Annotated[int, Query(ge=1, le=5, description="Most steps from a start.", examples=[2])]


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
    edge_type: EdgeTypes = None,
    direction: Way = "both",
    limit: Limit = 100,
) -> Response:
    """List the edges at an entity with their other ends, heaviest first."""
    # An entity that isn't there is told from one without edges.
    answers.reader.node(id)
    page = answers.reader.neighbors(id, edge_types=edge_type, direction=direction, limit=limit)
    return answers.page(page, entity_id=id)


@router.get("/traverse", response_model=TraversalPage, responses=example("traverse"))
def traverse(
    answers: SnapshotAnswers,
    id: Starts,
    edge_type: EdgeTypes = None,
    direction: Way = "both",
    depth: Depth = 2,
    order: Annotated[
        Literal["breadth", "depth"], Query(description="Breadth first or depth first.")
    ] = "breadth",
    limit: Limit = 100,
) -> Response:
    """List the entities that a walk from some entities finds, in the order of its visits.

    Breadth first by steps, then by id; depth first from each entity to its neighbours by id.
    """
    page = answers.reader.traverse(
        id, edge_types=edge_type, direction=direction, depth=depth, order=order, limit=limit
    )
    return answers.page(page)


@router.get("/path", response_model=PathAnswer, responses=example("path"))
def path(
    answers: SnapshotAnswers,
    source: Annotated[str, Query(description="Entity to start at.", examples=["airport:JFK"])],
    target: Annotated[str, Query(description="Entity to reach.", examples=["airport:LAX"])],
    weighted: Annotated[
        bool, Query(description="Prefer strong links: an edge of n events is 1 / n long.")
    ] = False,
    edge_type: EdgeTypes = None,
    direction: Way = "both",
    max_hops: Annotated[
        int | None, Query(ge=1, le=100, description="Most steps; not with weighted.", examples=[4])
    ] = None,
) -> Response:
    """Find a shortest path between two entities; that there is none is an answer too."""
    found = answers.reader.path(
        source,
        target,
        edge_types=edge_type,
        direction=direction,
        weighted=weighted,
        max_hops=max_hops,
    )
    if found is None:
        return answers.data(found=False, distance=None, exact=None, nodes=[], edges=[])
    return answers.data(
        found=True,
        distance=found.path.distance,
        exact=found.path.exact,
        nodes=found.nodes,
        edges=found.edges,
    )


@router.get("/subgraph", response_model=SubgraphAnswer, responses=example("subgraph"))
def subgraph(
    answers: SnapshotAnswers,
    id: Starts,
    edge_type: EdgeTypes = None,
    direction: Way = "both",
    depth: Depth = 1,
    limit: Annotated[
        int, Query(ge=1, le=MOST_DRAWN, description="Most nodes.", examples=[50])
    ] = 100,
) -> Response:
    """Cut out what is near some entities, as nodes and links for a force layout.

    Each step takes the nodes that the heaviest edges lead to, while there is room.
    """
    found = answers.reader.subgraph(
        id, edge_types=edge_type, direction=direction, depth=depth, limit=limit
    )
    return answers.data(
        limit=limit, truncated=found.truncated, nodes=found.nodes, links=found.links
    )


@router.get("/stats", response_model=StatisticsPage, responses=example("statistics"))
def statistics(answers: SnapshotAnswers) -> Response:
    """Count nodes and edges by type, and say how the graph hangs together."""
    return answers.page(Page.whole(answers.reader.statistics()))
