"""Shapes of the answers of a search."""

from __future__ import annotations

from datetime import date

from pydantic import Field

from stupid_dagster.api.models.shapes import Answer, Shape


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


class SearchAnswer(Answer):
    """The nearest texts, best first."""

    limit: int
    truncated: bool = Field(description="There are as many as were asked for: there may be more.")
    rows: list[Text]
