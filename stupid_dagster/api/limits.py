"""What no request may exceed, refused before a route sees it; each is answered problem+json."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

import anyio
from fastapi.requests import HTTPConnection
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stupid_dagster.api import sending
from stupid_dagster.api.errors import NOT_ALLOWED, problem

MOST_BODY = 1 << 20
"""Bytes of a request's body."""
MOST_URL = 16 << 10
"""Bytes of a path and its query."""
BODY_SECONDS = 30.0
"""Time in which a body must come."""
MOST_QUESTIONS = 8
"""Questions in plain words that are answered at a time."""
MOST_HANDED_IN = 8
"""Requests that hand in events at a time: they must leave threads to those that ask."""
WAIT_SECONDS = 10.0
"""Time that a heavy request waits for others to be done."""
MOST_WAITING = 256
"""Requests that wait so for places of a kind; more are refused at once."""
LONG_ANSWER = 1 << 20
"""Bytes of an answer from which on it must wait until clients have read others."""

# Routes that scan, search, walk or plan; all others are look-ups of some milliseconds.
_HEAVY = (
    *("/search", "/actors", "/plans", "/query", "/knowledge/contrast"),
    *("/graph/traverse", "/graph/path", "/graph/subgraph"),
)


class SizeLimit:
    """Refuses URLs and bodies that are too long, and bodies that are too slow to come.

    A body is counted as it comes, for its stated length may be none or a lie. It is read whole
    before the app is called, so that a slow client holds nothing but its connection.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if len(scope["raw_path"]) + len(scope["query_string"]) > MOST_URL:
            await _refuse(scope, receive, send, 414, f"an URL has at most {MOST_URL} bytes")
            return
        headers = Headers(scope=scope)
        length = headers.get("content-length", "0")
        if length == "0" and "transfer-encoding" not in headers:
            await self.app(scope, receive, send)
            return
        too_large = f"a body has at most {MOST_BODY} bytes; send it in parts"
        if not length.isdecimal() or len(length) > 18 or int(length) > MOST_BODY:
            await _refuse(scope, receive, send, 413, too_large)
            return
        body = bytearray()
        with anyio.move_on_after(BODY_SECONDS) as patience:
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    return  # The client has gone.
                body += message.get("body", b"")
                if len(body) > MOST_BODY:
                    await _refuse(scope, receive, send, 413, too_large)
                    return
                if not message.get("more_body", False):
                    break
        if patience.cancelled_caught:
            slow = f"the body didn't come within {BODY_SECONDS:.0f} seconds"
            await _refuse(scope, receive, send, 408, slow)
            return
        whole: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

        async def replay() -> Message:
            return whole.pop() if whole else await receive()

        await self.app(scope, replay, send)


class HeavyLimit:
    """Lets so many heavy requests be worked on at once; others wait, and at last are refused.

    A place is free again when the answer begins, for it is ready then; that of a stream, which
    is worked on while it is sent, when it ends. Questions have places of their own: they wait for
    language models most of the time, which must keep nobody else waiting. So has the handing in of
    events, which waits for the disk. Deadlines begin with the work: waiting takes nothing off them.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self.app = app
        self._places = anyio.Semaphore(most)
        own = {"/query": MOST_QUESTIONS, "/events": MOST_HANDED_IN}
        self._own = {path: anyio.Semaphore(places) for path, places in own.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "").rstrip("/")
        if scope["type"] != "http" or not (is_heavy(path) or path in self._own):
            await self.app(scope, receive, send)
            return
        places = self._own.get(path, self._places)
        if places.statistics().tasks_waiting >= MOST_WAITING:
            await _refuse_busy(scope, receive, send, f"{MOST_WAITING} others wait already")
            return
        with anyio.move_on_after(WAIT_SECONDS) as patience:
            await places.acquire()
        if patience.cancelled_caught:
            busy = f"others were still being answered after {WAIT_SECONDS:.0f} seconds"
            await _refuse_busy(scope, receive, send, busy)
            return
        held = True

        async def watched(message: Message) -> None:
            nonlocal held
            if held and message["type"] == "http.response.start" and _is_whole(message):
                held = False
                places.release()
            await send(message)

        try:
            await self.app(scope, receive, watched)
        finally:
            if held:
                places.release()


class UnreadLimit:
    """Refuses long answers while clients are behind with reading others: these stay in memory."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] == "HEAD":
            await self.app(scope, receive, send)
            return
        refused = False

        async def watched(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start" and _too_long(message):
                refused = True
                await _refuse_busy(scope, receive, send, "clients have too much to read yet")
            elif not refused:
                await send(message)

        await self.app(scope, receive, watched)


class HostCheck:
    """Refuses requests that name another host than the server's.

    A page from elsewhere can make its own name lead to 127.0.0.1 (DNS rebinding); its requests
    still say what it's called.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self.app = app
        self._hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            host = _name(Headers(scope=scope).get("host", ""))
            if host not in self._hosts:
                known = ", ".join(sorted(self._hosts))
                await _refuse(
                    scope, receive, send, 421, f"no host {host[:80]!r} is served here, but {known}"
                )
                return
        await self.app(scope, receive, send)


def is_heavy(path: str) -> bool:
    """Return whether a path is of a route that scans, searches, walks or plans."""
    path = path.rstrip("/")
    return path == "/documents" or any(
        path == heavy or path.startswith(f"{heavy}/") for heavy in _HEAVY
    )


def _is_whole(start: Message) -> bool:
    return "content-length" in Headers(raw=start.get("headers", []))


def _too_long(start: Message) -> bool:
    """Return whether there is no room for an answer; one has it where there is no other."""
    length = int(Headers(raw=start.get("headers", [])).get("content-length", "0"))
    if length < LONG_ANSWER:
        return False
    unread = sending.unread_bytes()
    return unread > 0 and unread + length > sending.MOST_UNREAD


def _name(host: str) -> str:
    """Return the name in a Host header, without its port and brackets."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


async def _refuse_busy(scope: Scope, receive: Receive, send: Send, why: str) -> None:
    again = {"Retry-After": f"{WAIT_SECONDS:.0f}"}
    await _refuse(scope, receive, send, 503, f"{why}; ask again", again)


async def _refuse(
    scope: Scope,
    receive: Receive,
    send: Send,
    status: int,
    detail: str,
    headers: dict[str, str] | None = None,
) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": NOT_ALLOWED, "reason": detail[:100]})
        return
    # What is left of a body isn't read.
    closing = {"Connection": "close"} if status in (408, 413) else {}
    response = problem(HTTPConnection(scope), status, detail, headers=closing | (headers or {}))
    await response(scope, receive, send)
