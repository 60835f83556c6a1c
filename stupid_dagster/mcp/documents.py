"""Tools for what there is, and for the events themselves."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from stupid_dagster.mcp.answers import (
    DEFAULT_ROWS,
    DataResult,
    Limit,
    RowsResult,
    data_result,
    rows_result,
)
from stupid_dagster.mcp.tools import SnapshotTools
from stupid_dagster.query import Filter, Page

EventType = Annotated[str, Field(description="Name of an event type, as the catalog has it.")]
EventTypes = Annotated[list[str] | None, Field(description="Only these event types.")]
FirstDay = Annotated[date | None, Field(description="First day, such as 2013-02-08.")]
LastDay = Annotated[date | None, Field(description="Last day, included.")]
Actor = Annotated[str, Field(description="Entity id of the actor, `<prefix>:<key>`.")]
NextCursor = Annotated[str | None, Field(description="next_cursor of the answer before.")]
_NEXT = "give next_cursor as cursor for the next ones, or narrow the question"


class DocumentTools(SnapshotTools):
    """The catalog, documents and texts."""

    def catalog(self) -> DataResult:
        """Say what there is: event types and fields, entity and edge types, knowledge tables.

        Call this first: the other tools take the names that it gives.
        """
        from stupid_dagster.catalog.summary import summarise

        with self._reading() as reader:
            summary = summarise(reader.catalog())
            return data_result(reader, summary, summary=summary)

    def describe_event_type(self, event_type: EventType) -> DataResult:
        """Describe an event type: its fields with types and how often they are missing."""
        with self._reading() as reader:
            return data_result(reader, event_type=event_type, **reader.event_type(event_type))

    def find_documents(
        self,
        event_type: EventType,
        first_day: FirstDay = None,
        last_day: LastDay = None,
        actor: Annotated[str | None, Field(description="Only this actor's, by entity id.")] = None,
        filters: Annotated[
            list[Filter] | None,
            Field(description="Conditions on fields, all of which must hold."),
        ] = None,
        columns: Annotated[
            list[str] | None, Field(description="Fields to return; without: all.")
        ] = None,
        limit: Limit = DEFAULT_ROWS,
        cursor: NextCursor = None,
    ) -> RowsResult:
        """Find events of a type, by day, and within a day by actor and time."""
        with self._reading() as reader:
            page = reader.documents(
                event_type,
                first_day=first_day,
                last_day=last_day,
                actor=actor,
                filters=filters or (),
                columns=columns,
                limit=limit,
                cursor=cursor,
            )
            return rows_result(reader, page, _NEXT, next_cursor=page.next_cursor)

    def document(
        self, doc_id: Annotated[str, Field(description="`<day>/<event type>/<row>`.")]
    ) -> DataResult:
        """Read one event with all its fields, and the text that it is searched by."""
        with self._reading() as reader:
            columns, text = reader.document(doc_id)
            return data_result(reader, document=columns, event_text=text)

    def timeline(
        self,
        actor: Actor,
        first_day: FirstDay = None,
        last_day: LastDay = None,
        event_types: EventTypes = None,
        limit: Limit = DEFAULT_ROWS,
        cursor: NextCursor = None,
    ) -> RowsResult:
        """List what an actor did, of all event types, in order of time; without days the last week.

        `fields` has what each event states itself.
        """
        from stupid_dagster.query.timeline import TimelineQuery

        asked = TimelineQuery(actor, first_day, last_day, event_types=event_types or ())
        with self._reading() as reader:
            page = reader.timeline(asked, limit=limit, cursor=cursor)
            return rows_result(reader, page, _NEXT, actor=actor, next_cursor=page.next_cursor)

    def search(
        self,
        text: Annotated[str, Field(description="What to look for, in plain words.")],
        mode: Annotated[
            Literal["vector", "text", "hybrid"],
            Field(description="By meaning, by words, or by both."),
        ] = "vector",
        event_types: EventTypes = None,
        first_day: FirstDay = None,
        last_day: LastDay = None,
        limit: Limit = 10,
    ) -> RowsResult:
        """Find the distinct event texts nearest to a text, best first, with example documents."""
        with self._reading() as reader:
            # One more tells whether there are more.
            found = reader.search(
                text,
                mode=mode,
                event_types=event_types,
                first_day=first_day,
                last_day=last_day,
                limit=limit + 1,
            )
            page = Page(found.head(limit), limit, found.height > limit)
            return rows_result(reader, page, "nearest first; raise limit for more")
