"""The query API as a FastAPI app."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI
from fastapi.concurrency import run_in_threadpool

from stupid_dagster import __version__
from stupid_dagster.api.dependencies import check_key, check_parameters
from stupid_dagster.api.errors import Problem, add_error_handlers
from stupid_dagster.api.feed import InsightFeed
from stupid_dagster.api.limits import HeavyLimit, HostCheck, SizeLimit, UnreadLimit
from stupid_dagster.api.metrics import Metrics, ModelTokens
from stupid_dagster.api.observing import HeadAsGet, Observed
from stupid_dagster.api.packing import Packed
from stupid_dagster.api.page import DescribedApp
from stupid_dagster.api.routes import (
    actors,
    catalog,
    docs,
    documents,
    events,
    graph,
    health,
    insights,
    knowledge,
    knowledge_items,
    plans,
    query,
    search,
    snapshot,
)
from stupid_dagster.ingest.inbox import Inbox
from stupid_dagster.project import Project
from stupid_dagster.query import KeptSnapshots
from stupid_dagster.query.questions.asking import Questions
from stupid_dagster.query.questions.shared_sessions import sessions_of

_DESCRIPTION = """
What the pipeline learnt from the window's events: the published snapshot, read-only, or with
`as_of` that of an earlier window; `/snapshot` lists which are kept.

Every answer states the `snapshot` and the `window` that it speaks of, and whether it was
`truncated`. Entities are `<prefix>:<key>`, documents `<day>/<event type>/<row>`, texts 16
hexadecimal digits. Times are ISO 8601 in UTC; days are those of the event model's timezone.
Answers of many rows come as JSON, CSV or an Arrow stream, by `Accept`; the last two have the rows
alone, and state the rest in headers (`X-Snapshot`, `X-Total`, `X-Truncated`, `X-Next-Cursor`).
Errors are `application/problem+json`, and say what to do. Examples are of the flights sample.
"""
_PROBLEMS = {
    401: "The key is missing or wrong.",
    404: "There is no such thing in the snapshot.",
    406: "The answer has none of the forms that `Accept` takes.",
    413: "The body is too large.",
    414: "The URL is too long.",
    422: "The request is malformed.",
    503: "Nothing is published, a store of the snapshot can't be read, or too many others ask.",
    504: "The answer takes longer than the setting `step_seconds` allows.",
}


def create_app(project: Project, hosts: Collection[str] | None = None) -> FastAPI:
    """Return the API over a project's kept snapshots, which it follows while it runs.

    Requests must name one of the `hosts`, if any are given.
    """
    snapshots = KeptSnapshots(project)
    metrics = Metrics(snapshots)
    metrics.registry.register(ModelTokens(project))
    feed = InsightFeed(snapshots)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.openapi()  # Every request looks something up on it; the first shouldn't make it.
        await run_in_threadpool(snapshots.start)
        feed.start()
        try:
            yield
        finally:
            await run_in_threadpool(snapshots.close)
            await run_in_threadpool(app.state.questions.close)

    app = DescribedApp(
        title="stupid-dagster",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=lifespan,
        # Its own pages load their scripts from the internet: routes/docs.py has ours.
        docs_url=None,
        redoc_url=None,
        # What generated clients call their methods.
        generate_unique_id_function=lambda route: route.name,
        responses={
            status: {"model": Problem, "description": text} for status, text in _PROBLEMS.items()
        },
    )
    app.state.project = project
    app.state.snapshots = snapshots
    app.state.metrics = metrics
    app.state.insights = feed
    app.state.questions = Questions(project, sessions_of(project.lake))
    app.state.inbox = Inbox(project.inbox) if project.inbox else None
    add_error_handlers(app)
    app.include_router(docs.router)
    app.include_router(health.router)
    for module in (
        snapshot,
        catalog,
        documents,
        search,
        graph,
        knowledge,
        plans,
        knowledge_items,
        events,
        query,
        insights,
        actors,
    ):
        guards = [Depends(check_key), Depends(check_parameters)]
        app.include_router(module.router, dependencies=guards)
    # It lets in by itself: what guards routes reads requests.
    app.include_router(insights.sockets)
    # The last one added is met first.
    app.add_middleware(HeavyLimit, most=project.settings.api_concurrency)
    app.add_middleware(SizeLimit)
    app.add_middleware(Packed)
    if hosts:
        app.add_middleware(HostCheck, hosts=hosts)
    app.add_middleware(HeadAsGet)
    app.add_middleware(UnreadLimit)
    app.add_middleware(Observed, metrics=metrics)
    return app
