"""Every request and stream, as the log and the metrics have it; HEAD as GET without the body."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stupid_dagster.api.metrics import Metrics

log = structlog.get_logger(__name__)


class Observed:
    """Logs and counts each request with its status and time, and each stream that is open."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500
        end: Callable[[], None] | None = None

        async def watched(message: Message) -> None:
            nonlocal status, end
            if message["type"] == "http.response.start":
                status = message["status"]
                if _is_stream(scope, message):
                    end = self._metrics.begin_stream(scope)
                    self._metrics.in_flight.dec()
            elif message["type"] == "websocket.accept":
                status = 101
                end = self._metrics.begin_stream(scope)
            elif message["type"] == "websocket.http.response.start":
                status = message["status"]
            await send(message)

        if scope["type"] == "http":
            self._metrics.in_flight.inc()
        try:
            await self.app(scope, receive, watched)
        finally:
            seconds = time.perf_counter() - started
            if end:
                end()
            elif scope["type"] == "http":
                self._metrics.in_flight.dec()
                self._metrics.observe(scope, status, seconds)
            log.info(
                "stream" if end else "request",
                method=scope.get("method", "WEBSOCKET"),
                path=scope["path"],
                status=status,
                milliseconds=round(seconds * 1000, 1),
            )


def _is_stream(scope: Scope, start: Message) -> bool:
    """Return whether an answer is of events, as they come; that to HEAD has none."""
    media = Headers(raw=start.get("headers", [])).get("content-type", "")
    return scope["method"] != "HEAD" and media.startswith("text/event-stream")


class HeadAsGet:
    """Answers HEAD as GET would be, without the body (RFC 9110, section 9.3.2)."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return
        done = False

        async def bodiless(message: Message) -> None:
            nonlocal done
            if done:
                return
            if message["type"] == "http.response.body":
                done = True
                message = {"type": "http.response.body", "body": b"", "more_body": False}
            await send(message)

        async def receive_or_leave() -> Message:
            # A stream would never end for a client that wants none of it.
            return {"type": "http.disconnect"} if done else await receive()

        got = {**scope, "method": "GET"}
        try:
            await self.app(got, receive_or_leave, bodiless)
        finally:
            scope["route"] = got.get("route")
