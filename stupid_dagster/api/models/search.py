"""Shapes of searches and their answers."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from pydantic import Field

from stupid_dagster.api.dependencies import Day
from stupid_dagster.api.models.shapes import Page, Shape

Sought = Literal["texts", "events"]
SearchMode = Literal["vector", "text", "hybrid"]


class SearchRequest(Shape):
    """What to search for: exactly one of text, document and vector."""

    text: str | None = Field(default=None, examples=["cancelled flight from Newark"])
    document: str | None = Field(
        default=None,
        description="Id of a document, to find what is like it; its own text is left out.",
    )
    vector: list[float] | None = Field(
        default=None,
        max_length=65_536,
        description="As many numbers as the embedder's vectors have; only its direction counts.",
    )
    mode: SearchMode = Field(
        default="vector", description="By meaning, by words, or by both; words need a text."
    )
    of: Sought = Field(default="texts", description="Distinct texts, or documents with them.")
    event_type: list[str] | None = Field(default=None, description="Only these event types.")
    first_day: Day | None = Field(default=None, description="First day, the model's.")
    last_day: Day | None = Field(default=None, description="Last day.")
    limit: int = Field(default=10, ge=1, description="Most rows.")
    per_text: int = Field(
        default=3, ge=1, le=100, description="Most documents of one text, the newest."
    )


class Text(Shape):
    """A distinct text of the window."""

    text_id: str = Field(examples=["00c6f1d5a4a0b3f2"])
    event_type: str = Field(examples=["Cancellation"])
    text: str
    count: int = Field(description="Events of the window with this text.")
    days: list[date] = Field(description="Days of the window on which it occurred.")
    example: str = Field(
        description="Id of a document with this text.", examples=["2013-02-08/Cancellation/17"]
    )
    score: float = Field(
        description="vector: cosine similarity; text: BM25; hybrid: reciprocal rank fusion."
    )


class Event(Shape):
    """A document that has one of the nearest texts."""

    doc_id: str = Field(examples=["2013-02-08/Cancellation/17"])
    event_type: str = Field(examples=["Cancellation"])
    timestamp: datetime
    actor: str | None
    text_id: str = Field(examples=["00c6f1d5a4a0b3f2"])
    text: str
    score: float = Field(description="Its text's.")


class SearchPage(Page):
    """What is nearest, best first; of a text the newest documents first."""

    rows: list[Text] | list[Event]
