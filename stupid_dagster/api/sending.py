"""Clients that stand still: cut off, so that unread answers don't fill the memory.

uvicorn hands an answer to its connection whole, and has no limit on how long that keeps it.
"""

from __future__ import annotations

import asyncio
import fcntl
import socket
import struct
import termios
from array import array
from contextlib import suppress

import h11
import structlog
from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_SECONDS = 10.0
"""In which what comes before a request's body must come."""
MOST_CONNECTIONS = 2048
"""Connections at once, beyond which requests are refused; beyond twice as many none is made."""
LOOK_SECONDS = 10.0
"""Between two looks at a client that is behind with reading."""
LEAST_BYTES = 4 << 10
"""That such a client must take a second, or it stands still."""
PATIENCE_SECONDS, SHORT_PATIENCE_SECONDS = 120.0, 30.0
"""How long a client may stand still: where there is room, and where others need it."""
MOST_UNREAD = 256 << 20
"""Bytes that all clients together may be behind with; beyond, no more long answers are sent."""
log = structlog.get_logger(__name__)
_cut_offs = 0


class SendingProtocol(H11Protocol):
    """A connection that ends when its client stands still: with its request, or its reading.

    Of uvicorn's parsers of HTTP, h11 is the one that limits what comes before a body: to 64 KB.
    """

    _awaited: asyncio.Handle | None = None
    _timer: asyncio.Handle | None = None
    _since = 0.0
    """When the client last took anything worth mentioning."""
    _unread = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Await a request."""
        super().connection_made(transport)
        if len(self.connections) > 2 * MOST_CONNECTIONS:
            self._cut_off("there are too many connections")
        else:
            self._await_request()

    def data_received(self, data: bytes) -> None:
        """Await the rest of a request that came in part; what follows it has other limits."""
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:
            # One that is kept alive is uvicorn's to close, until something comes.
            self._await_request()
        else:
            self._stop_awaiting()

    def pause_writing(self) -> None:
        """Watch the client: there is more to send than it takes at once."""
        super().pause_writing()
        self._stop_watching()
        self._since = self.loop.time()
        _BEHIND.add(self)
        # Not now: the rest of the answer may still be on its way into the buffer.
        self._timer = self.loop.call_soon(self._watch)

    def resume_writing(self) -> None:
        """Stop watching: the client has taken nearly all."""
        super().resume_writing()
        self._stop_watching()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop watching: the client has gone."""
        super().connection_lost(exc)
        self._stop_watching()
        self._stop_awaiting()

    @property
    def unread(self) -> int:
        """Bytes that the client is behind with: in the connection's buffer and the system's."""
        # The system's empties in large steps: alone, the other would seem to stand still.
        descriptor = self.transport.get_extra_info("socket").fileno()
        queued = array("i", [0])
        with suppress(OSError, ValueError):  # It may be closed.
            fcntl.ioctl(descriptor, termios.TIOCOUTQ, queued)
        return self.transport.get_write_buffer_size() + queued[0]

    def _await_request(self) -> None:
        if self._awaited is None:
            self._awaited = self.loop.call_later(REQUEST_SECONDS, self._no_request)

    def _stop_awaiting(self) -> None:
        if self._awaited:
            self._awaited.cancel()
            self._awaited = None

    def _no_request(self) -> None:
        self._cut_off(f"no request came within {REQUEST_SECONDS:g} seconds")

    def _watch(self) -> None:
        self._unread = self.unread
        self._timer = self.loop.call_later(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        unread, now = self.unread, self.loop.time()
        # While it is behind nothing is added.
        if self._unread - unread >= LEAST_BYTES * LOOK_SECONDS:
            self._since = now
        short = unread_bytes() > MOST_UNREAD // 2
        if now - self._since >= (SHORT_PATIENCE_SECONDS if short else PATIENCE_SECONDS):
            self._cut_off("it doesn't read its answer")
            return
        self._watch()

    def _cut_off(self, why: str) -> None:
        global _cut_offs
        _cut_offs += 1
        log.warning("client cut off", why=why, client=self.client, unread_bytes=self.unread)
        self._stop_watching()
        # With a reset: else the system would keep what it has for the client.
        linger = struct.pack("ii", 1, 0)
        self.transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, linger
        )
        self.transport.abort()

    def _stop_watching(self) -> None:
        _BEHIND.discard(self)
        if self._timer:
            self._timer.cancel()
            self._timer = None


_BEHIND: set[SendingProtocol] = set()
"""Connections whose clients are behind with reading."""


def unread_bytes() -> int:
    """Return the bytes of answers that all clients together are behind with."""
    # A copy: others than the loop's thread ask too.
    return sum(one.unread for one in _BEHIND.copy())


def cut_offs() -> int:
    """Return how many clients were cut off since the process began."""
    return _cut_offs
