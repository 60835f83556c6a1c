"""Shapes of the answers about the graph."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from stupid_dagster.api.models.shapes import Answer, Page, Shape


class Node(Shape):
    """An entity of the window."""

    entity_id: str = Field(examples=["airport:JFK"])
    type: str = Field(examples=["Airport"])
    key: str = Field(examples=["JFK"])
    properties: dict[str, str]
    events: int = Field(description="Events that speak of it.")
    days: int = Field(description="Days on which it was seen.")
    first_seen: datetime
    last_seen: datetime
    is_test: bool


class NodeAnswer(Answer):
    """One entity."""

    node: Node


class Neighbor(Shape):
    """An edge, and the entity at its other end."""

    neighbor: str = Field(examples=["route:JFK-LAX"])
    neighbor_type: str = Field(examples=["Route"])
    edge_type: str = Field(examples=["StartsAt"])
    direction: str = Field(description="out: from the entity asked for; in: to it.")
    weight: int = Field(description="Events that show it.")
    days: int = Field(description="Days on which it was seen.")
    first_seen: datetime
    last_seen: datetime


class NeighborsPage(Page):
    """Edges at an entity, heaviest first."""

    entity_id: str
    rows: list[Neighbor]


class Statistic(Shape):
    """A number about the graph."""

    statistic: str = Field(examples=["edges"])
    type: str = Field(description="Entity or edge type; empty for the whole graph.")
    value: float | None


class StatisticsPage(Page):
    """Counts, density and components of the graph."""

    rows: list[Statistic]


class Visited(Shape):
    """An entity that a walk found."""

    entity_id: str = Field(examples=["route:JFK-LAX"])
    type: str = Field(examples=["Route"])
    depth: int = Field(description="Steps of the walk from its start.")
    parent: str | None = Field(description="Entity that it was reached from; null for a start.")
    order: int = Field(description="Place in the order of visits, from 0.")


class TraversalPage(Page):
    """Entities in the order in which a walk visits them."""

    rows: list[Visited]


class PathNode(Shape):
    """An entity on a path."""

    entity_id: str = Field(examples=["airport:JFK"])
    type: str = Field(examples=["Airport"])
    key: str = Field(examples=["JFK"])


class PathEdge(Shape):
    """An edge between an entity of a path and the next."""

    step: int = Field(description="Step of the path, from 1; one may have several edges.")
    near: str = Field(description="Entity that the step begins at.", examples=["airport:JFK"])
    far: str = Field(description="Entity that it leads to.", examples=["route:JFK-LAX"])
    edge_type: str = Field(examples=["StartsAt"])
    direction: str = Field(description="out: from near to far; in: from far to near.")
    weight: int = Field(description="Events that show it.")


class PathAnswer(Answer):
    """A shortest path, or that there is none."""

    found: bool = Field(description="Whether there is a path; without one the rest is empty.")
    distance: float | None = Field(
        description="Hops; weighted: the sum of 1 / weight of the steps, a step's weight being "
        "that of all its edges."
    )
    exact: bool | None = Field(
        description="False where the search ended before it was sure that none is shorter."
    )
    nodes: list[PathNode] = Field(description="Entities from the source to the target.")
    edges: list[PathEdge]


class DrawnNode(Shape):
    """A node of a force layout."""

    id: str = Field(examples=["airport:JFK"])
    type: str = Field(examples=["Airport"])
    key: str = Field(examples=["JFK"])
    degree: int = Field(description="Its edges in the whole graph.")
    depth: int = Field(description="Steps from the nearest start.")
    start: bool = Field(description="Whether it is one of those asked for.")


class DrawnLink(Shape):
    """A link of a force layout; both ends are among the nodes."""

    source: str = Field(examples=["route:JFK-LAX"])
    target: str = Field(examples=["airport:JFK"])
    type: str = Field(examples=["StartsAt"])
    weight: int = Field(description="Events that show it.")


class SubgraphAnswer(Answer):
    """A part of the graph, in the names that d3's force layout has."""

    limit: int = Field(description="Most nodes that this answer could have.")
    truncated: bool = Field(description="There are more nodes within the depth than these.")
    nodes: list[DrawnNode] = Field(description="Nearest first.")
    links: list[DrawnLink] = Field(description="All edges among the nodes, heaviest first.")
