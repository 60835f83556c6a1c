"""What one actor did."""

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
from stupid_dagster.api.models.documents import TimelinePage
from stupid_dagster.query.timeline import DEFAULT_DAYS, TimelineQuery

router = APIRouter(prefix="/actors", tags=["documents"])


@router.get("/{actor_id:path}/timeline", response_model=TimelinePage, responses=example("timeline"))
def timeline(
    answers: SnapshotAnswers,
    actor_id: Annotated[
        str, Path(description="Entity id of the actor.", examples=["aircraft:N328AA"])
    ],
    first_day: FirstDay = None,
    last_day: LastDay = None,
    since: Since = None,
    until: Until = None,
    event_type: Annotated[
        list[str] | None,
        Query(description="Event types; unset: all.", examples=[["Departure", "Cancellation"]]),
    ] = None,
    limit: Limit = None,
    cursor: Cursor = None,
) -> Response:
    asked = TimelineQuery(actor_id, first_day, last_day, since, until, event_type or ())
    page = answers.reader.timeline(asked, limit=limit, cursor=cursor)
    return answers.page(page, nested="fields", next_cursor=page.next_cursor)


timeline.__doc__ = f"""Read an actor's documents of all event types, earliest first.

Without a first day or `since`, the last {DEFAULT_DAYS} days up to the end of the window or of the
question. `fields` has what the event states itself; in CSV and Arrow as a JSON text, so that
columns are the same for all event types. A page that is `truncated` has a `next_cursor`. 404 for
an entity that isn't there, 422 for one that isn't an actor: see `/graph/neighbors` for those.
"""
