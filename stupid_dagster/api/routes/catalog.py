"""What there is to ask for: read as it was computed when the snapshot was published."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response

from stupid_dagster.api.dependencies import SnapshotAnswers
from stupid_dagster.api.examples import example
from stupid_dagster.api.models.catalog import (
    CatalogAnswer,
    EntityTypeAnswer,
    EntityTypesPage,
    EventTypeAnswer,
    EventTypesPage,
    KnowledgeTablesPage,
)
from stupid_dagster.query import Page
from stupid_dagster.query.catalog import Part, catalog_frame, catalog_rows

router = APIRouter(prefix="/catalog", tags=["catalog"])


@router.get("", response_model=CatalogAnswer)
def catalog(answers: SnapshotAnswers) -> Response:
    """List event types and their fields, entity and edge types, and knowledge tables."""
    return answers.data(catalog=answers.reader.catalog())


@router.get("/events", response_model=EventTypesPage)
def event_types(answers: SnapshotAnswers) -> Response:
    """List the event types with their fields, as `/catalog/events/{event_type}` has one."""
    return _listed(answers, "events")


@router.get(
    "/events/{event_type:path}", response_model=EventTypeAnswer, responses=example("event_type")
)
def event_type(
    answers: SnapshotAnswers,
    event_type: Annotated[str, Path(description="Event type.", examples=["Departure"])],
) -> Response:
    """Describe an event type: its days, and its fields with their types and values."""
    return answers.data(event_type=event_type, **answers.reader.event_type(event_type))


@router.get("/entities", response_model=EntityTypesPage)
def entity_types(answers: SnapshotAnswers) -> Response:
    """List the entity types, as `/catalog/entities/{entity_type}` has one."""
    return _listed(answers, "entities")


@router.get(
    "/entities/{entity_type:path}",
    response_model=EntityTypeAnswer,
    responses=example("entity_type"),
)
def entity_type(
    answers: SnapshotAnswers,
    entity_type: Annotated[str, Path(description="Entity type.", examples=["Airport"])],
) -> Response:
    """Describe an entity type: its ids' prefix, properties, edges, and the heaviest entities."""
    return answers.data(entity_type=entity_type, **answers.reader.entity_type(entity_type))


@router.get("/knowledge", response_model=KnowledgeTablesPage, responses=example("knowledge_tables"))
def knowledge_tables(answers: SnapshotAnswers) -> Response:
    """List the knowledge tables: their columns, rows, and how they were made."""
    return _listed(answers, "knowledge")


def _listed(answers: SnapshotAnswers, part: Part) -> Response:
    whole = answers.reader.catalog()
    return answers.page(Page.whole(catalog_frame(whole, part)), rows=catalog_rows(whole, part))
