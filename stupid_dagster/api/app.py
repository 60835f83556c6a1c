"""The query API as a FastAPI app."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from fastapi import Depends, FastAPI
from fastapi.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stupid_dagster import __version__
from stupid_dagster.api.dependencies import check_key, check_parameters
from stupid_dagster.api.errors import Problem, add_error_handlers
from stupid_dagster.api.routes import catalog, documents, graph, health, knowledge, search, snapshot
from stupid_dagster.project import Project
from stupid_dagster.query import KeptSnapshots

log = structlog.get_logger(__name__)

_DESCRIPTION = """
What the pipeline learnt from the window's events: the published snapshot, read-only, or with
`as_of` that of an earlier window; `/snapshot` lists which are kept.

Every answer states the `snapshot` and the `window` that it speaks of, and whether it was
`truncated`. Entities are `<prefix>:<key>`, documents `<day>/<event type>/<row>`, texts 16
hexadecimal digits. Times are ISO 8601 in UTC; days are those of the event model's timezone.
Errors are `application/problem+json`, and say what to do. Examples are of the flights sample.
"""
_PROBLEMS = {
    401: "The key is missing or wrong.",
    404: "There is no such thing in the snapshot.",
    422: "The request is malformed.",
    503: "Nothing is published, or a store of the snapshot can't be read.",
    504: "The answer takes longer than the setting `step_seconds` allows.",
}


def create_app(project: Project) -> FastAPI:
    """Return the API over a project's kept snapshots, which it follows while it runs."""
    snapshots = KeptSnapshots(project)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(snapshots.start)
        try:
            yield
        finally:
            await run_in_threadpool(snapshots.close)

    app = FastAPI(
        title="stupid-dagster",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=lifespan,
        # What generated clients call their methods.
        generate_unique_id_function=lambda route: route.name,
        responses={
            status: {"model": Problem, "description": text} for status, text in _PROBLEMS.items()
        },
    )
    app.state.project = project
    app.state.snapshots = snapshots
    add_error_handlers(app)
    app.include_router(health.router, dependencies=[Depends(check_parameters)])
    for module in (snapshot, catalog, documents, search, graph, knowledge):
        guards = [Depends(check_key), Depends(check_parameters)]
        app.include_router(module.router, dependencies=guards)
    app.add_middleware(RequestLog)
    return app


class RequestLog:
    """Logs each request with its status and milliseconds."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

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
            await self.app(scope, receive, watched)
        finally:
            milliseconds = round((time.perf_counter() - started) * 1000, 1)
            log.info(
                "request",
                method=scope["method"],
                path=scope["path"],
                status=status,
                milliseconds=milliseconds,
            )
