"""Shapes of the answers about what there is to ask for."""

from __future__ import annotations

from datetime import date
from typing import Any

from pydantic import Field

from stupid_dagster.api.models.shapes import Answer, Page, Shape

Value = str | int | float | bool


class TopValue(Shape):
    """A frequent value of a field."""

    value: Value = Field(description="Cut at 100 characters, with a mark.", examples=["EWR"])
    at_least: int = Field(
        description="Documents that have it: those of days when it was among the 50 most frequent.",
        examples=[1176],
    )


class EventField(Shape):
    """A field of an event type, and its values over the window."""

    type: str = Field(description="string, integer, float or boolean.", examples=["string"])
    unit: str | None
    description: str
    missing: float = Field(description="Share of the documents that miss it.", examples=[0.02])
    distinct: int | None = Field(
        description="Distinct values. From 1024 on an estimate, by 3 percent off on average; null "
        "where no day tells.",
        examples=[3],
    )
    distinct_is_exact: bool = Field(
        description="No estimate, and all days of the window tell their values."
    )
    min: Value | None = Field(description="Smallest value; of texts the first by alphabet.")
    max: Value | None = Field(description="Largest value.")
    top_values: list[TopValue] = Field(description="The 20 most frequent values.")


class EventTypeShape(Shape):
    """An event type, and its fields."""

    description: str
    documents: int = Field(examples=[3382])
    first_day: date | None = Field(description="First day of the window that has any.")
    last_day: date | None
    fields: dict[str, EventField] = Field(description="By name.")


class TopPropertyValue(Shape):
    """A frequent value of a property."""

    value: str = Field(description="Cut at 100 characters, with a mark.")
    nodes: int = Field(description="Entities that have it.")


class Property(Shape):
    """A property of the entities of a type: its last known values."""

    coverage: float = Field(description="Share of the entities that have it.")
    distinct: int = Field(description="Distinct values.")
    top_values: list[TopPropertyValue] = Field(description="The 20 most frequent values.")


class EntityTypeShape(Shape):
    """An entity type."""

    prefix: str = Field(
        description="First half of its ids: `<prefix>:<key>`.", examples=["airport"]
    )
    nodes: int = Field(description="Entities of the window.", examples=[95])
    events: int = Field(description="Events that speak of them, added up.")
    properties: dict[str, Property] = Field(description="By name.")
    edges: list[str] = Field(description="Edge types that begin or end at it.")
    examples: list[str] = Field(
        description="Ids of those with the most events, at most 5; of no test account.",
        examples=[["airport:EWR"]],
    )


class EdgeTypeShape(Shape):
    """An edge type."""

    from_: str = Field(alias="from", description="Entity type, or Type.role.", examples=["Route"])
    to: str = Field(description="Entity type, or Type.role.", examples=["Airport"])
    edges: int = Field(description="Edges of the window.")
    weight: int = Field(description="Events that show them, added up.")


class MetricShape(Shape):
    """A number that is followed over time, in the tables whose column is `metric`."""

    kind: str = Field(description="count, sum, mean, distinct or ratio.", examples=["ratio"])
    by: list[str] = Field(description="Fields whose values are followed apart as well.")
    unit: str | None
    description: str


class TableColumn(Shape):
    """A column of a knowledge table."""

    name: str = Field(examples=["score"])
    type: str = Field(description="Such as string, integer, time, list of string.")
    description: str = Field(description="Its meaning; empty for the event model's own.")


class KnowledgeTable(Shape):
    """A table of what was learnt."""

    description: str
    rows: int
    columns: list[TableColumn] = Field(description="None of the stores.")
    parameters: dict[str, Any] = Field(description="What was recorded of how it was made.")


class Catalog(Shape):
    """What a snapshot holds."""

    event_model: str = Field(examples=["flights"])
    description: str
    timezone: str = Field(description="Its midnights part the days.", examples=["America/New_York"])
    actor: str = Field(description="Entity type whose behaviour is studied.", examples=["Aircraft"])
    days: list[date] = Field(description="Days of the window that have documents.")
    days_without_statistics: list[date] = Field(
        description="Days of an older release: their values aren't among the fields'."
    )
    events: dict[str, EventTypeShape] = Field(description="By name.")
    entities: dict[str, EntityTypeShape] = Field(description="By name.")
    edges: dict[str, EdgeTypeShape] = Field(description="By name.")
    metrics: dict[str, MetricShape] = Field(
        default={}, description="By name; none in a catalog of an older release."
    )
    knowledge: dict[str, KnowledgeTable] = Field(description="By name.")


class CatalogAnswer(Answer):
    """What there is to ask for."""

    catalog: Catalog


class EventTypeRow(EventTypeShape):
    """An event type, its name, and its fields."""

    event_type: str = Field(examples=["Departure"])


class EventTypesPage(Page):
    """The event types; as CSV and Arrow, `fields` is a JSON object in a string."""

    rows: list[EventTypeRow]


class EventTypeAnswer(Answer, EventTypeShape):
    """An event type, and its fields."""

    event_type: str = Field(examples=["Departure"])


class EntityTypeRow(EntityTypeShape):
    """An entity type and its name."""

    entity_type: str = Field(examples=["Airport"])


class EntityTypesPage(Page):
    """The entity types; as CSV and Arrow, `properties` is a JSON object in a string."""

    rows: list[EntityTypeRow]


class EntityTypeAnswer(Answer, EntityTypeShape):
    """An entity type."""

    entity_type: str = Field(examples=["Airport"])


class KnowledgeTableRow(KnowledgeTable):
    """A table of what was learnt, and its name."""

    table: str = Field(examples=["patterns"])


class KnowledgeTablesPage(Page):
    """The knowledge tables; as CSV and Arrow, `parameters` is a JSON object in a string."""

    rows: list[KnowledgeTableRow]
