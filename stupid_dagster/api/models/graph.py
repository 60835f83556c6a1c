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


class StatisticsAnswer(Answer):
    """Counts, density and components of the graph."""

    rows: list[Statistic]
