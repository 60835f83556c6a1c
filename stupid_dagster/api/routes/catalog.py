"""What there is to ask for."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response

from stupid_dagster.api.answers import answer
from stupid_dagster.api.dependencies import Reader
from stupid_dagster.api.models import CatalogAnswer, EventTypeAnswer

router = APIRouter(prefix="/catalog", tags=["catalog"])


@router.get("", response_model=CatalogAnswer)
def catalog(reader: Reader) -> Response:
    """List event types and their fields, entity and edge types, and knowledge tables."""
    return answer(reader, catalog=reader.catalog())


@router.get("/events/{event_type:path}", response_model=EventTypeAnswer)
def event_type(
    reader: Reader,
    event_type: Annotated[str, Path(description="Event type.", examples=["Departure"])],
) -> Response:
    """Describe an event type: its fields with their types and how often they are missing."""
    return answer(reader, event_type=event_type, **reader.event_type(event_type))
