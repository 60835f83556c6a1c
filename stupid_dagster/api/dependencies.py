"""What routes share: the snapshot's reader, the key, and no patience with unknown parameters."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import date, datetime
from typing import Annotated, Any

from fastapi import Depends, Query, Request, Security
from fastapi.security import APIKeyHeader
from pydantic import BeforeValidator
from starlette.exceptions import HTTPException

from stupid_dagster import __version__
from stupid_dagster.api.answers import Answers
from stupid_dagster.api.errors import NotModified
from stupid_dagster.api.media import AnswerForm, choose, entity_tag, matches
from stupid_dagster.api.metrics import metrics_of
from stupid_dagster.deadline import deadline
from stupid_dagster.errors import InvalidQueryError, hint
from stupid_dagster.project import Project
from stupid_dagster.query import KeptSnapshots, SnapshotReader
from stupid_dagster.query.filters import parse_time
from stupid_dagster.query.mistakes import Mistakes
from stupid_dagster.settings import Settings

_KEY = APIKeyHeader(
    name="X-API-Key",
    auto_error=False,
    description="Needed where the setting `api_key` is set.",
)


_MOST_CHECKED = 50
"""Parameters: more than any route has, so that one is wrong if there are more."""


def is_key(settings: Settings, given: bytes) -> bool:
    """Return whether this is the key, or none is set; takes as long for any that is wrong."""
    return not settings.api_key or hmac.compare_digest(given, settings.api_key.encode())


async def check_key(request: Request, given: Annotated[str | None, Security(_KEY)]) -> None:
    """Refuse a request that lacks the key, where one is set."""
    project: Project = request.app.state.project
    # Headers come decoded from Latin-1, whatever the client's bytes meant.
    if not is_key(project.settings, (given or "").encode("latin-1")):
        raise HTTPException(
            401, "send the key of the setting api_key as X-API-Key", {"WWW-Authenticate": "ApiKey"}
        )


KEY_NEEDED = "send the key of the setting api_key as X-API-Key, or as a bearer token"


def has_key(settings: Settings, headers: Mapping[str, str]) -> bool:
    """Return whether these have the key, as `X-API-Key` or as a bearer token, or none is set."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    bearer = token.strip() if scheme.lower() == "bearer" else ""
    return is_key(settings, (headers.get("x-api-key") or bearer).encode("latin-1"))


async def check_scraper(request: Request) -> None:
    """Refuse a scrape without the key, where one is set and others than this machine can ask.

    Prometheus sends it as `authorization: {credentials: ...}`.
    """
    settings = request.app.state.project.settings
    if not is_loopback(settings.api_host) and not has_key(settings, request.headers):
        raise HTTPException(401, KEY_NEEDED, {"WWW-Authenticate": "Bearer"})


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach a server that is bound to `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def check_parameters(request: Request) -> None:
    """Refuse query parameters that the route doesn't have, and several values where one is taken.

    Ignored, they would mislead.
    """
    parameters = _operation(request).get("parameters", ())
    schemas = {p["name"]: p["schema"] for p in parameters if p["in"] == "query"}
    known = [*schemas]
    mistakes = Mistakes()
    for name in [*request.query_params][:_MOST_CHECKED]:
        times = len(request.query_params.getlist(name))
        if name not in known:
            mistakes.add(
                name[:80],
                f"{request.url.path[:200]} has no parameter {name[:80]!r}{hint(name[:80], known)}; "
                f"it has {', '.join(known) or 'none'}",
            )
        elif times > 1 and not _is_list(schemas[name]):
            mistakes.add(name, f"{name}: given {times} times; it takes one value")
    mistakes.raise_any()


def _is_list(schema: dict[str, Any]) -> bool:
    return any(one.get("type") == "array" for one in (schema, *schema.get("anyOf", ())))


def _operation(request: Request) -> dict[str, Any]:
    """Return what the OpenAPI page says of the route."""
    operations = request.app.openapi()["paths"][request.scope["route"].path_format]
    return operations[request.method.lower()]


Limit = Annotated[
    int | None,
    Query(ge=1, description="Most rows; default and maximum are settings.", examples=[100]),
]
Offset = Annotated[int, Query(ge=0, description="Rows to leave out first.", examples=[0])]
Sort = Annotated[
    str | None,
    Query(
        description="Column to sort by; `-column` turns the order round. `/catalog/knowledge` has "
        "the columns."
    ),
]


def _day(text: str) -> date:
    # Pydantic would take a number for seconds since 1970.
    try:
        return date.fromisoformat(text)
    except (ValueError, TypeError):
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
Since = Annotated[
    Time | None,
    Query(description="Earliest time; UTC unless it says.", examples=["2013-02-08T18:00:00Z"]),
]
Until = Annotated[
    Time | None, Query(description="Latest time, excluded.", examples=["2013-02-09T00:00:00Z"])
]
Cursor = Annotated[
    str | None, Query(description="`next_cursor` of the page before, of the same question.")
]
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


def wanted(request: Request) -> AnswerForm:
    """Return the form that a request wants its answer in; refuses (406) what the route hasn't.

    What the OpenAPI page lists is what there is.
    """
    responses = _operation(request)["responses"]
    good = next((said for status, said in responses.items() if status.startswith("2")), {})
    offers = [*good.get("content", {})]
    accept = request.headers.get("accept")
    media = choose(accept, offers)
    if media is None:
        raise HTTPException(
            406, f"Accept: {(accept or '')[:200]}: this answer comes as {' or '.join(offers)}"
        )
    return AnswerForm(
        media,
        # What it differs by beside is `api.packing`'s.
        (("Vary", "Accept"), ("Cache-Control", "no-cache")),
        tuple(request.query_params.multi_items()),
    )


def _answers(request: Request, reader: SnapshotReader, form: AnswerForm) -> Answers:
    return Answers(reader, form, metrics_of(request.app).rows.inc)


async def published_answers(
    request: Request, reader: Annotated[SnapshotReader, Depends(published_reader)]
) -> Answers:
    """Return what answers a request from the published snapshot."""
    return _answers(request, reader, wanted(request))


async def live_answers(
    request: Request, reader: Annotated[SnapshotReader, Depends(snapshot_reader)]
) -> Answers:
    """Return what answers from the window asked for, and from more than it: nothing to keep."""
    return _answers(request, reader, wanted(request))


async def snapshot_answers(
    request: Request, reader: Annotated[SnapshotReader, Depends(snapshot_reader)]
) -> Answers:
    """Return what answers a request from the window that it asks for.

    Raises NotModified for a client that has the answer: the snapshot, the request and the code
    determine it. Nobody has the tag of a request that wasn't answered, for the request is in it.
    """
    form = wanted(request)
    if request.method != "GET":
        return _answers(request, reader, form)
    settings = reader.project.settings
    limits = f"{settings.rows_default} {settings.rows_most}"
    asked = f"{request.url.path}?{request.url.query}"
    tag = entity_tag((reader.id, __version__, limits, form.media, asked))
    headers = (*form.headers, ("ETag", tag))
    if matches(request.headers.get("if-none-match"), tag):
        raise NotModified(dict(headers))
    return _answers(request, reader, replace(form, headers=headers))


PublishedAnswers = Annotated[Answers, Depends(published_answers)]
LiveAnswers = Annotated[Answers, Depends(live_answers)]
SnapshotAnswers = Annotated[Answers, Depends(snapshot_answers)]
