"""Shapes of the answers of documents."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from stupid_dagster.api.models.shapes import Answer, Page, Shape


class DocumentPage(Page):
    """Documents; their columns are the event type's, or those that were asked for."""

    next_cursor: str | None = Field(description="`cursor` of the next page.")
    rows: list[dict[str, Any]]


class TimelineRow(Shape):
    """A document of an actor."""

    doc_id: str
    timestamp: datetime
    event_type: str
    text: str | None = Field(description="Its text, as it is embedded and searched.")
    fields: dict[str, Any] = Field(
        description="What the event states itself, without what is missing. In CSV and Arrow a "
        "text, the same as JSON."
    )


class TimelinePage(Page):
    """An actor's documents, earliest first."""

    next_cursor: str | None = Field(description="`cursor` of the next page.")
    rows: list[TimelineRow]


class DocumentAnswer(Answer):
    """One document."""

    document: dict[str, Any] = Field(description="Its columns.")
    text: str | None = Field(description="Its text, as it is embedded and searched.")
