"""What routes share: the snapshot's reader, the key, and no patience with unknown parameters."""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator
from datetime import date, datetime
from typing import Annotated

from fastapi import Depends, Query, Request, Security
from fastapi.security import APIKeyHeader
from pydantic import BeforeValidator
from starlette.exceptions import HTTPException

from stupid_dagster.api.answers import Answers
from stupid_dagster.deadline import deadline
from stupid_dagster.errors import InvalidQueryError, hint
from stupid_dagster.project import Project
from stupid_dagster.query import KeptSnapshots, SnapshotReader
from stupid_dagster.query.filters import parse_time

_KEY = APIKeyHeader(
    name="X-API-Key",
    auto_error=False,
    description="Needed where the setting `api_key` is set.",
)


async def check_key(request: Request, given: Annotated[str | None, Security(_KEY)]) -> None:
    """Refuse a request that lacks the key, where one is set."""
    project: Project = request.app.state.project
    key = project.settings.api_key
    # Headers come decoded from Latin-1, whatever the client's bytes meant.
    if key and not hmac.compare_digest((given or "").encode("latin-1"), key.encode()):
        raise HTTPException(
            401, "send the key of the setting api_key as X-API-Key", {"WWW-Authenticate": "ApiKey"}
        )


async def check_parameters(request: Request) -> None:
    """Refuse query parameters that the route doesn't have: ignored, they would mislead."""
    operations = request.app.openapi()["paths"][request.scope["route"].path_format]
    operation = operations[request.method.lower()]
    known = [p["name"] for p in operation.get("parameters", ()) if p["in"] == "query"]
    for name in request.query_params:
        if name not in known:
            raise InvalidQueryError(
                f"{request.url.path[:200]} has no parameter {name[:80]!r}{hint(name[:80], known)}; "
                f"it has {', '.join(known) or 'none'}"
            )


Limit = Annotated[
    int | None,
    Query(ge=1, description="Most rows; default and maximum are settings.", examples=[100]),
]
Offset = Annotated[int, Query(ge=0, description="Rows to leave out first.", examples=[0])]
Sort = Annotated[
    str | None,
    Query(description="Column to sort by; `-column` turns the order round.", examples=["-size"]),
]


def _day(text: str) -> date:
    # Pydantic would take a number for seconds since 1970.
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError("should be a day such as 2013-02-08") from None


def _time(text: str) -> datetime:
    try:
        return parse_time(text, "time")
    except InvalidQueryError as error:
        raise ValueError(str(error)) from None


Day = Annotated[date, BeforeValidator(_day)]
Time = Annotated[datetime, BeforeValidator(_time)]
FirstDay = Annotated[
    Day | None, Query(description="First day, the model's.", examples=["2013-02-08"])
]
LastDay = Annotated[Day | None, Query(description="Last day.", examples=["2013-02-09"])]
AsOf = Annotated[
    Day | None,
    Query(
        description="Answer from the window that ended on this day; `/snapshot` lists those that "
        "are kept. Unset: from what is published.",
        examples=["2013-02-09"],
    ),
]


def kept_snapshots(request: Request) -> KeptSnapshots:
    """Return the snapshots that the app answers from."""
    return request.app.state.snapshots


# Not in a thread: it waits for nothing.
async def published_reader(request: Request) -> AsyncIterator[SnapshotReader]:
    """Lend a request the reader of the snapshot that is published when it begins.

    Sets the request's deadline: threads that work for it get a copy of its context.
    """
    with kept_snapshots(request).use() as reader, deadline(_step_seconds(request)):
        yield reader


async def snapshot_reader(request: Request, as_of: AsOf = None) -> AsyncIterator[SnapshotReader]:
    """Lend a request the reader of the window that it asks for; sets its deadline."""
    with kept_snapshots(request).use(as_of) as reader, deadline(_step_seconds(request)):
        yield reader


def _step_seconds(request: Request) -> float:
    return request.app.state.project.settings.step_seconds


async def published_answers(
    reader: Annotated[SnapshotReader, Depends(published_reader)],
) -> Answers:
    """Return what answers a request from the published snapshot."""
    return Answers(reader)


async def snapshot_answers(reader: Annotated[SnapshotReader, Depends(snapshot_reader)]) -> Answers:
    """Return what answers a request from the window that it asks for."""
    return Answers(reader)


PublishedAnswers = Annotated[Answers, Depends(published_answers)]
SnapshotAnswers = Annotated[Answers, Depends(snapshot_answers)]
