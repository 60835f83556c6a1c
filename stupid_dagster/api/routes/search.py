"""Search by meaning and by words."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response

from stupid_dagster.api.dependencies import FirstDay, LastDay, Limit, SnapshotAnswers
from stupid_dagster.api.examples import example
from stupid_dagster.api.models.search import SearchAnswer

router = APIRouter(tags=["search"])


@router.get("/search", response_model=SearchAnswer, responses=example("search"))
def search(
    answers: SnapshotAnswers,
    text: Annotated[
        str,
        Query(
            description="What to search for.",
            examples=["cancelled flight from Newark in the evening"],
        ),
    ],
    mode: Annotated[
        Literal["vector", "text", "hybrid"],
        Query(description="By meaning, by words, or by both."),
    ] = "vector",
    event_type: Annotated[
        list[str] | None,
        Query(description="Only texts of these event types.", examples=[["Cancellation"]]),
    ] = None,
    first_day: FirstDay = None,
    last_day: LastDay = None,
    limit: Limit = 10,
) -> Response:
    """Find the window's distinct texts that are nearest to a text, best first."""
    wanted = limit or 10
    found = answers.reader.search(
        text,
        mode=mode,
        event_types=event_type,
        first_day=first_day,
        last_day=last_day,
        limit=wanted,
    )
    return answers.data(limit=wanted, truncated=found.height == wanted, rows=found)
