"""Every request, as the log and the metrics have it; HEAD as GET without the body."""

from __future__ import annotations

import time

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stupid_dagster.api.metrics import Metrics

log = structlog.get_logger(__name__)


class Observed:
    """Logs and counts each request with its status and time."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            with self._metrics.in_flight.track_inprogress():
                await self.app(scope, receive, watched)
        finally:
            seconds = time.perf_counter() - started
            self._metrics.observe(scope, status, seconds)
            log.info(
                "request",
                method=scope["method"],
                path=scope["path"],
                status=status,
                milliseconds=round(seconds * 1000, 1),
            )


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
