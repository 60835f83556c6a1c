"""Requests to the query API: the key, problems as errors, answers kept by their ETag, streams."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import httpx2

from stupid_dagster.client.answers import Event
from stupid_dagster.errors import ApiError

MOST_KEPT_BYTES = 32 * 2**20
"""Bytes of answers that are kept to be asked for again by their ETag."""

Parameters = Mapping[str, Any]


@dataclass(frozen=True)
class Reply:
    """An answer's body, and the headers that came with it."""

    content: bytes
    headers: httpx2.Headers

    @property
    def media_type(self) -> str:
        """The body's media type, without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def json(self) -> Any:
        """Return the body as JSON; raises ApiError."""
        try:
            return httpx2.Response(200, content=self.content).json()
        except ValueError as error:
            raise ApiError(
                f"the answer is {self.media_type or 'of no type'} and no JSON: is it a stupid-"
                "dagster server that the URL names?"
            ) from error


class Connection:
    """One server, over connections that are kept; any number of threads may use it."""

    def __init__(self, url: str, key: str | None, timeout: float) -> None:
        # Servers read headers as Latin-1: a key goes as the bytes that it is in UTF-8.
        headers = {b"X-API-Key": key.encode()} if key else {}
        self._url = url
        self._http = httpx2.Client(base_url=url, headers=headers, timeout=timeout)
        self._timeout = timeout
        self._kept: OrderedDict[tuple[str, str], Reply] = OrderedDict()
        self._kept_bytes = 0
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the connections, and forget the answers that were kept."""
        self._http.close()
        with self._lock:
            self._kept.clear()
            self._kept_bytes = 0

    def get(
        self, path: str, parameters: Parameters | None = None, accept: str = "application/json"
    ) -> Reply:
        """Return the answer to a GET: the one that was kept where the server says it still holds.

        Raises ApiError.
        """
        request = self._http.build_request(
            "GET", path, params=query_of(parameters or {}), headers={"Accept": accept}
        )
        place = (str(request.url), accept)
        with self._lock:
            kept = self._kept.get(place)
            if kept:
                self._kept.move_to_end(place)
        if kept:
            request.headers["If-None-Match"] = kept.headers["etag"]
        response = self._send(request)
        if kept and response.status_code == 304:
            return kept
        reply = Reply(response.content, response.headers)
        if "etag" in response.headers:
            self._keep(place, reply)
        return reply

    def post(
        self,
        path: str,
        body: Any,
        *,
        parameters: Parameters | None = None,
        accept: str = "application/json",
        quiet_seconds: float | None = None,
    ) -> Reply:
        """Return the answer to a POST of JSON, which may have days and times; raises ApiError."""
        request = self._http.build_request(
            "POST",
            path,
            content=None if body is None else json.dumps(body, default=_in_json),
            params=query_of(parameters or {}),
            headers={"Accept": accept, "Content-Type": "application/json"},
            timeout=self._patient(quiet_seconds),
        )
        response = self._send(request)
        return Reply(response.content, response.headers)

    def events(
        self,
        method: str,
        path: str,
        *,
        parameters: Parameters | None = None,
        body: Any = None,
        quiet_seconds: float | None = None,
    ) -> Generator[Event, None, None]:
        """Yield server-sent events until the server ends the stream; raises ApiError.

        `quiet_seconds` is how long nothing may come; unset: the client's timeout.
        """
        try:
            with self._http.sse(
                path,
                method=method,
                params=query_of(parameters or {}),
                json=body,
                timeout=self._patient(quiet_seconds),
                max_event_size=None,
            ) as source:
                if source.response.is_error:
                    source.response.read()
                    raise _problem(source.response)
                for event in source:
                    yield Event(event.event, event.data, event.id)
        except httpx2.HTTPError as error:
            raise self._unreachable(error) from error

    def _patient(self, quiet_seconds: float | None) -> httpx2.Timeout:
        return httpx2.Timeout(self._timeout, read=quiet_seconds or self._timeout)

    def _send(self, request: httpx2.Request) -> httpx2.Response:
        try:
            response = self._http.send(request)
        except httpx2.HTTPError as error:
            raise self._unreachable(error) from error
        if response.is_error:
            raise _problem(response)
        return response

    def _keep(self, place: tuple[str, str], reply: Reply) -> None:
        with self._lock:
            former = self._kept.pop(place, None)
            self._kept_bytes -= len(former.content) if former else 0
            if len(reply.content) > MOST_KEPT_BYTES:
                return
            self._kept[place] = reply
            self._kept_bytes += len(reply.content)
            while self._kept_bytes > MOST_KEPT_BYTES:
                _, dropped = self._kept.popitem(last=False)
                self._kept_bytes -= len(dropped.content)

    def _unreachable(self, error: httpx2.HTTPError) -> ApiError:
        if isinstance(error, httpx2.TimeoutException):
            return ApiError(
                f"{self._url} did not answer within {self._timeout:g} s; ask for less, or give "
                "the client a longer timeout"
            )
        return ApiError(
            f"{self._url} can't be reached ({error}); is `stupid-dagster serve` running there?"
        )


def query_of(parameters: Parameters) -> httpx2.QueryParams:
    """Return the query: what is None left out, a list's values each on their own."""
    query = httpx2.QueryParams()
    for name, value in parameters.items():
        if value is not None:
            values = value if isinstance(value, list | tuple) else [value]
            for one in values:
                query = query.add(name, parameter(one))
    return query


def parameter(value: Any) -> str:
    """Return a value as a query parameter has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, date | datetime) else str(value)


def _in_json(value: Any) -> str:
    if isinstance(value, date | datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} can't be sent as JSON: {value!r}")


def _problem(response: httpx2.Response) -> ApiError:
    status = response.status_code
    try:
        problem = response.json()
        mistakes = problem.get("errors") or []
        return ApiError(
            problem["detail"],
            status=status,
            type=problem["type"],
            errors=[(mistake["where"], mistake["message"]) for mistake in mistakes],
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        # Not of our server, but of something before it.
        return ApiError(response.text[:500] or response.reason_phrase, status=status)
