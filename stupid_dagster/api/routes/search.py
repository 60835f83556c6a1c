"""Search by meaning and by words."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from stupid_dagster.api.dependencies import FirstDay, LastDay, Limit, SnapshotAnswers
from stupid_dagster.api.examples import example
from stupid_dagster.api.models.search import SearchMode, SearchPage, SearchRequest, Sought
from stupid_dagster.errors import InvalidQueryError
from stupid_dagster.query.search import SearchQuery

router = APIRouter(tags=["search"])


@router.get("/search", response_model=SearchPage, responses=example("search"))
def search(
    answers: SnapshotAnswers,
    text: Annotated[
        str | None,
        Query(
            description="What to search for; this or a document.",
            examples=["cancelled flight from Newark in the evening"],
        ),
    ] = None,
    document: Annotated[
        str | None,
        Query(
            description="Id of a document (`2013-02-08/Departure/17`), to find what is like it; "
            "its own text is left out.",
        ),
    ] = None,
    mode: Annotated[
        SearchMode, Query(description="By meaning, by words, or by both; words need a text.")
    ] = "vector",
    of: Annotated[Sought, Query(description="Distinct texts, or documents with them.")] = "texts",
    event_type: Annotated[
        list[str] | None,
        Query(description="Only texts of these event types.", examples=[["Cancellation"]]),
    ] = None,
    first_day: FirstDay = None,
    last_day: LastDay = None,
    limit: Limit = 10,
    per_text: Annotated[
        int, Query(ge=1, le=100, description="Most documents of one text, the newest.")
    ] = 3,
) -> Response:
    """Find the window's distinct texts, or its documents, that are nearest, best first."""
    if (text is None) == (document is None):
        given = "none" if text is None else "both"
        raise InvalidQueryError(
            f"search by exactly one of text and document, not by {given}; POST /search takes a "
            "vector too"
        )
    request = SearchRequest.model_construct(
        text=text,
        document=document,
        mode=mode,
        of=of,
        event_type=event_type,
        first_day=first_day,
        last_day=last_day,
        limit=limit or 10,
        per_text=per_text,
    )
    return _answer(answers, request)


@router.post("/search", response_model=SearchPage, responses=example("search"))
def search_by_body(answers: SnapshotAnswers, request: SearchRequest) -> Response:
    """Search as GET does, or by a vector, which no address could hold. Nothing is stored."""
    return _answer(answers, request)


def _answer(answers: SnapshotAnswers, request: SearchRequest) -> Response:
    query = SearchQuery(
        request.text,
        request.document,
        request.vector,
        request.mode,
        request.event_type,
        request.first_day,
        request.last_day,
    )
    return answers.page(
        answers.reader.search_page(
            query, limit=request.limit, of=request.of, per_text=request.per_text
        )
    )
