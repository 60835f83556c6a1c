"""Shapes of the answers about what there is to ask for."""

from __future__ import annotations

from datetime import date
from typing import Any

from pydantic import Field

from stupid_dagster.api.models.shapes import Answer


class CatalogAnswer(Answer):
    """What there is to ask for."""

    catalog: dict[str, Any] = Field(
        description="Event types with their fields, entity and edge types, knowledge tables."
    )


class EventTypeAnswer(Answer):
    """An event type, and its fields."""

    event_type: str = Field(examples=["Departure"])
    description: str
    documents: int
    first_day: date | None
    last_day: date | None
    fields: dict[str, dict[str, Any]] = Field(
        description="Per field: type, unit, share of documents that miss it."
    )
