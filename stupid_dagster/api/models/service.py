"""Shapes of the answers about the process and its snapshot."""

from __future__ import annotations

from datetime import date, datetime

from pydantic import Field

from stupid_dagster.api.models.shapes import Answer, Page, Shape


class Health(Shape):
    """The process is there."""

    status: str = Field(examples=["ok"])
    version: str = Field(examples=["0.1.0"])


class Ready(Answer):
    """A snapshot is open."""

    status: str = Field(examples=["ready"])


class StoredTable(Shape):
    """What the snapshot has of a table."""

    grain: str = Field(description="day or window: what a partition is.")
    partitions: int
    rows: int
    bytes: int
    description: str


class KeptWindow(Shape):
    """A window that can be asked for with `as_of`."""

    last_day: date = Field(examples=["2013-02-09"])
    snapshot: str = Field(description="Id of the snapshot that answers.")
    published: bool = Field(description="It is what answers without `as_of`.")


class SnapshotAnswer(Answer):
    """Where the snapshot comes from, what it consists of, and which others there are."""

    windows: list[KeptWindow] = Field(description="What `as_of` can ask for, oldest first.")
    created: datetime
    days: list[date] = Field(description="Days of the window that have documents.")
    event_model: str = Field(examples=["flights"])
    event_model_hash: str
    embedder_id: str
    code_version: str
    tables: dict[str, StoredTable]


class AcceptedEvents(Shape):
    """Events of a type and day that were kept."""

    event_type: str = Field(examples=["Departure"])
    day: date = Field(examples=["2013-02-09"])
    events: int = Field(examples=[1])


class Accepted(Shape):
    """Events that no crash can lose; the next run of their days makes documents of them."""

    id: str = Field(
        description="In the names of the inbox's files.", examples=["174501123456-5f0c2ab1"]
    )
    accepted: int = Field(description="Events that were kept.", examples=[1])
    parts: list[AcceptedEvents]


class Segment(Shape):
    """An event type's documents of a day."""

    day: date = Field(examples=["2013-02-08"])
    event_type: str = Field(examples=["Departure"])
    documents: int
    bytes: int = Field(description="Size of their file.")
    version: str = Field(description="Version of the day's documents.")
    day_rejects: int = Field(
        description="Rows and columns of the day's files that were rejected, of all event types."
    )


class SegmentPage(Page):
    """What the window consists of, by day and event type."""

    rows: list[Segment]
