"""What there is to ask for."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response

from stupid_dagster.api.dependencies import SnapshotAnswers
from stupid_dagster.api.models.catalog import CatalogAnswer, EventTypeAnswer

router = APIRouter(prefix="/catalog", tags=["catalog"])


@router.get("", response_model=CatalogAnswer)
def catalog(answers: SnapshotAnswers) -> Response:
    """List event types and their fields, entity and edge types, and knowledge tables."""
    return answers.data(catalog=answers.reader.catalog())


@router.get("/events/{event_type:path}", response_model=EventTypeAnswer)
def event_type(
    answers: SnapshotAnswers,
    event_type: Annotated[str, Path(description="Event type.", examples=["Departure"])],
) -> Response:
    """Describe an event type: its fields with their types and how often they are missing."""
    return answers.data(event_type=event_type, **answers.reader.event_type(event_type))
