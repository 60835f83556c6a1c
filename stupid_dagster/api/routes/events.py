"""Events, handed in over HTTP."""

from __future__ import annotations

import json
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from stupid_dagster.api.errors import Problem, problem
from stupid_dagster.api.models.service import Accepted, AcceptedEvents
from stupid_dagster.ingest.inbox import Event, Inbox, check_events
from stupid_dagster.project import Project

MOST_KEYS = 2_000
"""Different fields that the events of a request have together."""
MOST_PARTS = 100
"""Different pairs of event type and day of a request: each is a file of its own, and synced."""
MOST_TOLD = 100
"""Mistakes of a request that are listed."""
_LINES = ("application/x-ndjson", "application/jsonl", "application/x-jsonlines")
_MEDIA = ("application/json", *_LINES)
_OFF = (
    'this server takes no events: set `inbox` (a folder: inbox = "data/inbox" in stupid.toml, or '
    "STUPID_INBOX; or s3://bucket/prefix) and start it again"
)
_SHAPE = {"type": "object", "additionalProperties": True, "minProperties": 1}
_EXAMPLE = {
    "event_type": "Departure",
    "scheduled_at": "2013-02-09T17:45:00-05:00",
    "carrier": "B6",
    "flight": "1783",
    "tailnum": "N535JB",
    "origin": "JFK",
    "dest": "MCO",
    "dep_delay": 12,
}
_BODY = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "anyOf": [_SHAPE, {"type": "array", "items": _SHAPE, "minItems": 1}],
            },
            "example": [_EXAMPLE],
        },
        **{media: {"schema": {"type": "string"}} for media in _LINES},
    },
}
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    403: {"model": Problem, "description": "The setting `inbox` isn't set."},
    408: {"model": Problem, "description": "The body didn't come."},
    415: {"model": Problem, "description": "The body is neither JSON nor JSON Lines."},
}
log = structlog.get_logger(__name__)
router = APIRouter(tags=["events"])


@router.post(
    "/events",
    status_code=202,
    response_model=Accepted,
    responses=_PROBLEMS,
    openapi_extra={"requestBody": _BODY},
)
async def post_events(
    request: Request,
    event_type: Annotated[
        str | None,
        Query(
            description="Type of the events that state none (in the model's column for it, or in "
            "`event_type`).",
            examples=["Departure"],
        ),
    ] = None,
) -> Response:
    """Take one event (an object), several (a list), or an event a line (JSON Lines).

    All of them or, with every mistake told, none. What was accepted survives a crash; documents
    are made of it by the next run of its days, which the sensor `arrivals` asks for. The same
    event again is known by the event model's `duplicate_key`.
    """
    inbox: Inbox | None = request.app.state.inbox
    if inbox is None:
        raise HTTPException(403, _OFF)
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    # A page from elsewhere may send what a form can have, but not these, without being allowed to.
    if media not in _MEDIA:
        raise HTTPException(415, f"Content-Type: send one of {', '.join(_MEDIA)}")
    body = await request.body()
    return await run_in_threadpool(_take, request, inbox, body, event_type, lines=media in _LINES)


def _take(
    request: Request, inbox: Inbox, body: bytes, event_type: str | None, *, lines: bool
) -> Response:
    project: Project = request.app.state.project
    events, mistakes = _parse(body, lines=lines)
    if not mistakes:
        checked = check_events(project.model, events, event_type, project.partition_range)
        mistakes = [(f"body.{place}", what) for place, what in checked.mistakes]
        if len(checked.lines) > MOST_PARTS:
            what = (
                f"the events are of {len(checked.lines)} different pairs of event type and day; at "
                f"most {MOST_PARTS} are taken at once: send some days' events at a time"
            )
            mistakes.append(("body", what))
    if mistakes:
        told = [{"where": where, "message": what} for where, what in mistakes[:MOST_TOLD]]
        detail = f"mistakes: {len(mistakes)}, and nothing was kept; the first: {mistakes[0][1]}"
        return problem(request, 422, detail, errors=told)
    name = inbox.add(checked.lines)
    parts = [
        AcceptedEvents.model_validate({"event_type": kind, "day": day, "events": len(found)})
        for (kind, day), found in sorted(checked.lines.items())
    ]
    log.info("events accepted", id=name, events=len(events))
    accepted = Accepted(id=name, accepted=len(events), parts=parts)
    return Response(accepted.model_dump_json(), 202, media_type="application/json")


def _parse(body: bytes, *, lines: bool) -> tuple[list[Event], list[tuple[str, str]]]:
    """Return the events in a body, and where it has something else."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return [], [("body", f"it is no UTF-8: {error.reason} at byte {error.start}")]
    if lines:
        found = [_loads(line) for line in text.split("\n") if line.strip()]
    else:
        tree = _loads(text)
        if isinstance(tree, _NoJson):
            return [], [("body", str(tree))]
        found = tree if isinstance(tree, list) else [tree]
    mistakes = [
        (f"body.{place}", str(event) if isinstance(event, _NoJson) else "an event is an object")
        for place, event in enumerate(found)
        if not isinstance(event, dict)
    ]
    if not found:
        mistakes.append(("body", "there is no event in it"))
    if not mistakes and len(keys := {key for event in found for key in event}) > MOST_KEYS:
        mistakes.append(("body", f"{len(keys)} different fields; at most {MOST_KEYS} are taken"))
    return found, mistakes


class _NoJson(ValueError):
    """A text isn't JSON, or is nested too deeply to be written again."""


def _loads(text: str) -> Any:
    """Return what a text says; a _NoJson where it says nothing."""
    try:
        tree = json.loads(text, parse_constant=_no_number)
        json.dumps(tree, allow_nan=False)
    except (ValueError, RecursionError) as error:
        return _NoJson(f"it is no JSON: {error}")
    return tree


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no number of JSON")
