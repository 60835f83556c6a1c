"""Errors as problem+json (RFC 9457); the one place where the error tree meets HTTP statuses."""

from __future__ import annotations

import http
import json
import secrets
from collections.abc import Mapping
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from stupid_dagster.errors import (
    BusyError,
    EmbedderError,
    InvalidPlanError,
    InvalidQueryError,
    LanguageModelError,
    NotFoundError,
    QueryError,
    StoreError,
    StupidError,
    TimedOutError,
    hint,
)
from stupid_dagster.query.knowledge import KNOWLEDGE_TABLES

log = structlog.get_logger(__name__)

STATUSES: dict[type[StupidError], int] = {
    NotFoundError: 404,
    InvalidQueryError: 422,
    TimedOutError: 504,
    BusyError: 503,
    QueryError: 400,
    StoreError: 503,
    EmbedderError: 503,
    LanguageModelError: 503,
}
"""Statuses of errors and what derives from them, nearest class first; all others are 500."""

_TYPES = {
    400: "unanswerable",
    401: "key-needed",
    403: "turned-off",
    404: "not-found",
    405: "method-not-allowed",
    406: "not-acceptable",
    408: "too-slow",
    413: "too-large",
    414: "too-long",
    415: "unsupported-media-type",
    421: "unknown-host",
    422: "invalid-query",
    503: "unavailable",
    504: "timed-out",
}
MEDIA_TYPE = "application/problem+json"


class NotModified(Exception):
    """The client has the answer; `headers` go with saying so."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self.headers = headers


class Mistake(BaseModel):
    """One thing that is wrong with a request."""

    where: str = Field(description="Part of the request and name.", examples=["query.limit"])
    message: str = Field(description="What is wrong.")


class Problem(BaseModel):
    """Why a request wasn't answered, and what to do."""

    type: str = Field(examples=["urn:stupid-dagster:not-found"])
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["the graph has no entity 'airport:XYZ'; ..."])
    instance: str = Field(description="Path of the request.")
    errors: list[Mistake] | None = Field(default=None, description="Every mistake of the request.")


def add_error_handlers(app: FastAPI) -> None:
    """Make the app answer every error with problem+json."""
    app.add_exception_handler(StupidError, _expected)
    app.add_exception_handler(NotModified, _not_modified)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


def status_of(error: StupidError) -> int:
    """Return the HTTP status that an error is answered with."""
    return next((STATUSES[c] for c in type(error).__mro__ if c in STATUSES), 500)


def problem(
    request: HTTPConnection,
    status: int,
    detail: str,
    *,
    errors: list[dict[str, str]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return the answer to a request that failed."""
    content = problem_content(request, status, detail)
    if errors:
        content["errors"] = errors
    return Response(json.dumps(content), status, headers, MEDIA_TYPE)


def problem_content(request: HTTPConnection, status: int, detail: str) -> dict[str, Any]:
    """Return what an answer, or a stream's `error` event, says of what went wrong."""
    return {
        "type": f"urn:stupid-dagster:{_TYPES.get(status, 'failure')}",
        "title": http.HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": request.url.path,
    }


def failure(request: HTTPConnection, error: Exception) -> dict[str, Any]:
    """Return what a stream's `error` event says of an error: what an answer would; logs it."""
    if isinstance(error, StupidError) and (status := status_of(error)) != 500:
        return problem_content(request, status, str(error))
    return problem_content(request, 500, _logged(request, error, exc_info=error))


def _expected(request: Request, error: Exception) -> Response:
    assert isinstance(error, StupidError)
    status = status_of(error)
    if status == 500:
        return _unexpected(request, error)
    if status > 500:
        log.warning("can't answer", path=request.url.path, problem=str(error))
    mistakes = None
    if isinstance(error, InvalidPlanError):
        mistakes = [{"where": where, "message": what} for where, what in error.problems]
    headers = {"Retry-After": "10"} if isinstance(error, BusyError) else None
    return problem(request, status, str(error), errors=mistakes, headers=headers)


def _not_modified(request: Request, error: Exception) -> Response:
    assert isinstance(error, NotModified)
    return Response(None, 304, error.headers)


def _malformed(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [_mistake(mistake, error.body) for mistake in error.errors()]
    detail = "; ".join(f"{mistake['where']}: {mistake['message']}" for mistake in errors)
    return problem(request, 422, detail, errors=errors)


def _mistake(mistake: Mapping[str, Any], body: Any) -> dict[str, str]:
    """Return where a mistake is and what, in plain words."""
    if mistake["type"] == "json_invalid":
        # FastAPI gives the place as a number of characters.
        before = str(body)[: mistake["loc"][-1]]
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        what = f"is no JSON: {mistake['ctx']['error']} at line {line}, column {column}"
        return {"where": "body", "message": what}
    where = ".".join(str(part) for part in mistake["loc"])
    return {"where": where, "message": mistake["msg"].removeprefix("Value error, ")}


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = error.detail
    if error.status_code == 404:
        path = request.url.path
        pages = request.app.openapi()["paths"]
        near = hint(path[:200], pages)
        table = path.removeprefix("/knowledge/")
        if table in KNOWLEDGE_TABLES:
            near = f": /knowledge/tables/{table} has that table"
        detail = f"there is no {path[:200]}{near}; /docs lists what there is"
    return problem(request, error.status_code, detail, headers=error.headers)


def _unexpected(request: Request, error: Exception) -> Response:
    # Without the traceback: what isn't a StupidError goes on to the server, which logs it whole.
    return problem(request, 500, _logged(request, error))


def _logged(request: HTTPConnection, error: Exception, **more: Any) -> str:
    """Log an error that nobody expected; return what its client is told."""
    reference = secrets.token_hex(4)
    log.error(
        "request failed", path=request.url.path, reference=reference, error=repr(error), **more
    )
    return f"the server failed; its log has the reason under {reference}"
