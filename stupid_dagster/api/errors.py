"""Errors as problem+json (RFC 9457); the one place where the error tree meets HTTP statuses."""

from __future__ import annotations

import http
import json
import re
import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
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
    426: "upgrade-needed",
    503: "unavailable",
    504: "timed-out",
}
NOT_ALLOWED = 1008
"""Status of a WebSocket's end, policy violation (RFC 6455, 7.4.1)."""
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


def mistakes_told(
    error: RequestValidationError | WebSocketRequestValidationError, body: Any = None
) -> tuple[str, list[dict[str, str]]]:
    """Return what is wrong with a request's form, in words and mistake by mistake."""
    errors = [_mistake(mistake, body) for mistake in error.errors()]
    return "; ".join(f"{one['where']}: {one['message']}" for one in errors), errors


def add_error_handlers(app: FastAPI) -> None:
    """Make the app answer every error with problem+json."""
    app.add_exception_handler(StupidError, _expected)
    app.add_exception_handler(NotModified, _not_modified)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(WebSocketRequestValidationError, _malformed_socket)  # type: ignore[arg-type]
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
    if isinstance(error, InvalidQueryError):
        # Of a plan, they have their places in it.
        base = "" if isinstance(error, InvalidPlanError) else "query."
        mistakes = [{"where": f"{base}{where}", "message": what} for where, what in error.problems]
    headers = {"Retry-After": "10"} if isinstance(error, BusyError) else None
    return problem(request, status, str(error), errors=mistakes, headers=headers)


def _not_modified(request: Request, error: Exception) -> Response:
    assert isinstance(error, NotModified)
    return Response(None, 304, error.headers)


def _malformed(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    detail, errors = mistakes_told(error, error.body)
    return problem(request, 422, detail, errors=errors)


async def _malformed_socket(websocket: WebSocket, error: WebSocketRequestValidationError) -> None:
    """Tell it over the socket: a browser shows its page nothing of a socket that is refused."""
    detail, errors = mistakes_told(error)
    data = problem_content(websocket, 422, detail) | {"errors": errors}
    with suppress(WebSocketDisconnect, RuntimeError):  # It has left.
        await websocket.accept()
        await websocket.send_text(json.dumps({"event": "error", "id": None, "data": data}))
        await websocket.close(NOT_ALLOWED, detail[:100])


def _mistake(mistake: Mapping[str, Any], body: Any) -> dict[str, str]:
    """Return where a mistake is and what, in plain words."""
    if mistake["type"] == "json_invalid":
        # FastAPI gives the place as a number of characters.
        before = str(body)[: mistake["loc"][-1]]
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        what = f"is no JSON: {mistake['ctx']['error']} at line {line}, column {column}"
        return {"where": "body", "message": what}
    where = ".".join(str(part) for part in mistake["loc"])
    if isinstance(body, bytes) and mistake["loc"] == ("body",):
        # FastAPI leaves what isn't sent as JSON as it came.
        return {"where": where, "message": "send JSON, and Content-Type: application/json"}
    return {"where": where, "message": mistake["msg"].removeprefix("Value error, ")}


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail, path = error.detail, request.url.path
    if error.status_code == 405:
        allow = ", ".join(_methods(request, (error.headers or {}).get("Allow", "")))
        detail = f"{path[:200]} takes {allow}, and not {request.method[:20]}"
        return problem(request, 405, detail, headers={"Allow": allow})
    if error.status_code == 404:
        near = _near(path[:200], request.app.openapi()["paths"])
        table = path.removeprefix("/knowledge/")
        if table in KNOWLEDGE_TABLES:
            near = f": /knowledge/tables/{table} has that table"
        detail = f"there is no {path[:200]}{near}; /docs lists what there is"
    return problem(request, error.status_code, detail, headers=error.headers)


def _methods(request: Request, allowed: str) -> list[str]:
    """Return the methods that a path takes: those `allowed` by one route, and the others'."""
    found = {method for method in allowed.split(", ") if method}
    for page, operations in request.app.openapi()["paths"].items():
        pattern = "[^/].*".join(re.escape(part) for part in re.split(r"{\w+}", page))
        if re.fullmatch(pattern, request.url.path):
            found |= {method.upper() for method in operations}
    return sorted(found | {"HEAD"} if "GET" in found else found)


def _near(path: str, pages: Iterable[str]) -> str:
    """Return a hint to the page whose path has one part that is spelt otherwise."""
    parts = path.strip("/").split("/")
    for page in pages:
        wanted = page.strip("/").split("/")
        if len(wanted) == len(parts):
            wrong = [
                (part, right)
                for part, right in zip(parts, wanted, strict=True)
                if part != right and "{" not in right
            ]
            if len(wrong) == 1 and hint(wrong[0][0], [wrong[0][1]]):
                return f" (did you mean {page!r}?)"
    return ""


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
