"""The window's events, normalised and typed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from stupid_dagster.api.dependencies import (
    Cursor,
    FirstDay,
    LastDay,
    Limit,
    Since,
    SnapshotAnswers,
    Until,
)
from stupid_dagster.api.examples import example
from stupid_dagster.api.models.documents import DocumentAnswer, DocumentPage
from stupid_dagster.query.filters import OPERATORS

router = APIRouter(prefix="/documents", tags=["documents"])


@router.get("", response_model=DocumentPage, responses=example("documents"))
def documents(
    answers: SnapshotAnswers,
    event_type: Annotated[str, Query(description="Event type.", examples=["Departure"])],
    first_day: FirstDay = None,
    last_day: LastDay = None,
    since: Since = None,
    until: Until = None,
    actor: Annotated[
        str | None, Query(description="Entity id of the actor.", examples=["aircraft:N328AA"])
    ] = None,
    filter: Annotated[
        list[str] | None,
        Query(
            description="`field:operator:value`, all must hold. Operators: "
            f"{', '.join(OPERATORS)}. The values of `in` are parted by commas, and one that "
            "has a comma itself has a backslash before it (`\\,`); `is_null` takes true or "
            "false; no other holds for a missing value.",
            examples=[["dep_delay:gt:60", "origin:in:JFK,LGA"]],
        ),
    ] = None,
    columns: Annotated[
        str | None,
        Query(description="Columns, parted by commas.", examples=["timestamp,origin,dest"]),
    ] = None,
    sort: Annotated[
        str | None,
        Query(
            description="Order by a column, `-` before it turns the order round; missing values "
            "come last.",
            examples=["-dep_delay"],
        ),
    ] = None,
    limit: Limit = None,
    cursor: Cursor = None,
) -> Response:
    """Read an event type's documents, by day, and within a day by actor and time, or sorted.

    Without days or times, the whole window's. A page that is `truncated` has a `next_cursor`.
    """
    page = answers.reader.documents(
        event_type,
        first_day=first_day,
        last_day=last_day,
        since=since,
        until=until,
        actor=actor,
        filters=filter or (),
        columns=columns.split(",") if columns else None,
        sort=sort,
        limit=limit,
        cursor=cursor,
    )
    return answers.page(page, next_cursor=page.next_cursor)


@router.get("/{doc_id:path}", response_model=DocumentAnswer, responses=example("document"))
def document(
    answers: SnapshotAnswers,
    doc_id: Annotated[
        str,
        Path(description="`<day>/<event type>/<row>`.", examples=["2013-02-08/Departure/17"]),
    ],
) -> Response:
    """Read one document and its text."""
    columns, text = answers.reader.document(doc_id)
    return answers.data(document=columns, text=text)
