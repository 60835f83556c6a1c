"""Insights as they come: server-sent events and a WebSocket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import anyio
from fastapi import APIRouter, Depends, Header, Query, Request, WebSocket, WebSocketDisconnect
from fastapi.requests import HTTPConnection
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.exceptions import HTTPException

from stupid_dagster.api.answers import json_text
from stupid_dagster.api.dependencies import is_key
from stupid_dagster.api.errors import NOT_ALLOWED, failure, problem, status_of
from stupid_dagster.api.feed import InsightFeed
from stupid_dagster.errors import StoreError
from stupid_dagster.query.insights import InsightEvent, InsightFilter

SECONDS_FOR_THE_KEY = 10

router = APIRouter(tags=["insights"])
sockets = APIRouter()

Kinds = Annotated[
    list[str] | None,
    Query(description="Only these kinds; any text, later windows may have others.", max_length=50),
]
Severities = Annotated[
    list[Literal["info", "notable", "significant", "critical"]] | None,
    Query(description="Only these severities.", examples=[["critical"]]),
]
_EXAMPLE = (
    "event: snapshot\n"
    'data: {"snapshot": "20130210T060512345-1f2e3d", "insights": ["trend/cancellations/up"]}\n\n'
    "event: insight\n"
    'data: {"insight_id": "trend/cancellations/up", "severity": "critical"}\n'
    "id: 20130210T060512345-1f2e3d/trend/cancellations/up\n\n"
)


async def insight_feed(request: Request) -> InsightFeed:
    """Return the app's feed, which has something to tell: what is wrong is answered as ever."""
    feed: InsightFeed = request.app.state.insights
    await feed.current()
    return feed


@router.get(
    "/insights/stream",
    response_class=EventSourceResponse,
    responses={200: {"content": {"text/event-stream": {"example": _EXAMPLE}}}},
)
async def insights_stream(
    request: Request,
    feed: Annotated[InsightFeed, Depends(insight_feed)],
    kind: Kinds = None,
    severity: Severities = None,
    last_event_id: Annotated[
        str | None,
        Header(description="Id of the last event that came; a browser's EventSource sends it."),
    ] = None,
) -> AsyncIterator[ServerSentEvent]:
    """Follow the insights, as server-sent events: all that hold, then what changes.

    First and after each publication `snapshot`: its id, the window, and the ids of all insights
    that it tells; what isn't among them no longer holds. Then one event each: `insight` for
    those there are, later `new`, `changed` and `resolved`, with the insight as in
    `/knowledge/insights`.
    `error` (problem+json) says that what was published can't be told; the stream goes on, unless
    the server failed.
    After an id in `Last-Event-ID`, `<snapshot>/<insight>`, only what came since; all again
    where the server doesn't know it any more. A comment each 15 seconds keeps the line open.
    The WebSocket `/ws/insights` sends the same as messages `{"event", "id", "data"}`, and takes
    the same `kind` and `severity`, and `last_event_id`.
    """
    async for event in _events(request, feed, _wanted(kind, severity), last_event_id):
        yield ServerSentEvent(raw_data=json_text(event.data), event=event.event, id=event.id)


@sockets.get("/ws/insights", include_in_schema=False)
async def no_socket() -> None:
    """Say that it isn't got; it has no page, as OpenAPI knows no WebSockets."""
    raise HTTPException(
        426,
        "open it as a WebSocket (ws://.../ws/insights); /insights/stream has the same by HTTP",
        {"Upgrade": "websocket"},
    )


@sockets.websocket("/ws/insights")
async def insights_socket(
    websocket: WebSocket,
    kind: Kinds = None,
    severity: Severities = None,
    last_event_id: Annotated[str | None, Query()] = None,
) -> None:
    """Follow the insights over a WebSocket: messages `{"event", "id", "data"}` as in the stream.

    The key, where one is set, comes as `X-API-Key`, or, as browsers can't send that, in the first
    message: `{"key": "..."}`, within 10 seconds. In the URL it would end up in logs. Pages of
    other sites are refused: `Origin`, where it is sent, must name the host that is asked.
    """
    if not await _let_in(websocket):
        return
    feed: InsightFeed = websocket.app.state.insights

    async def send() -> None:
        # uvicorn's word for a socket that it closed itself, as its client broke the protocol.
        with suppress(RuntimeError):
            await tell()
        group.cancel_scope.cancel()

    async def tell() -> None:
        async for event in _events(websocket, feed, _wanted(kind, severity), last_event_id):
            message = {"event": event.event, "id": event.id, "data": event.data}
            await websocket.send_text(json_text(message))
        await websocket.close(1001)

    async def until_it_leaves() -> None:
        while (await websocket.receive())["type"] != "websocket.disconnect":
            pass
        group.cancel_scope.cancel()

    try:
        async with anyio.create_task_group() as group:
            group.start_soon(send)
            group.start_soon(until_it_leaves)
    except* WebSocketDisconnect:
        pass


async def _events(
    connection: HTTPConnection, feed: InsightFeed, wanted: InsightFilter, last_id: str | None
) -> AsyncIterator[InsightEvent]:
    """Yield the feed's events; what goes wrong as `error`, with what an answer would say."""
    try:
        async for event in feed.events(wanted, last_id):
            if isinstance(event, StoreError):
                event = InsightEvent("error", failure(connection, event))
            yield event
    except Exception as error:
        yield InsightEvent("error", failure(connection, error))


async def _let_in(websocket: WebSocket) -> bool:
    """Accept a client that may follow; another is told why not."""
    origin, host = websocket.headers.get("origin"), websocket.headers.get("host", "")
    try:
        foreign = origin is not None and urlsplit(origin).netloc.lower() != host.lower()
    except ValueError:
        foreign = True
    if foreign:
        return await _refuse(
            websocket, 403, f"pages of {(origin or '')[:200]!r} may not follow {host!r}"
        )
    settings = websocket.app.state.project.settings
    given = websocket.headers.get("x-api-key")
    if given is not None and not is_key(settings, given.encode("latin-1")):
        return await _refuse(websocket, 401, "X-API-Key isn't the key of the setting api_key")
    try:
        await websocket.app.state.insights.current()
    except StoreError as error:
        # Whether something is published is nothing to know without the key.
        if given is not None or not settings.api_key:
            return await _refuse(websocket, status_of(error), str(error))
    await websocket.accept()
    if not settings.api_key or given is not None:
        return True
    try:
        async with asyncio.timeout(SECONDS_FOR_THE_KEY):
            first = await websocket.receive_text()
        if is_key(settings, str(_member(first, "key")).encode("utf-8", "replace")):
            return True
    except TimeoutError:
        pass
    except (WebSocketDisconnect, KeyError):
        return False
    reason = 'the first message must be {"key": "..."} with the setting api_key'
    await websocket.close(NOT_ALLOWED, reason)
    return False


async def _refuse(websocket: WebSocket, status: int, detail: str) -> bool:
    await websocket.send_denial_response(problem(websocket, status, detail))
    return False


def _member(text: str, name: str) -> Any:
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return tree.get(name) if isinstance(tree, dict) else None


def _wanted(kinds: Sequence[str] | None, severities: Sequence[str] | None) -> InsightFilter:
    return InsightFilter(frozenset(kinds or ()), frozenset(severities or ()))
