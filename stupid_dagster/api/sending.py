"""Clients that don't read their answers: cut off, so that unread answers don't fill the memory.

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

import structlog
from uvicorn.protocols.http.h11_impl import H11Protocol

LOOK_SECONDS = 30.0
"""Between two looks at a client that is behind with reading."""
LEAST_BYTES = 4 << 10
"""That such a client must take a second."""
MOST_UNREAD = 256 << 20
"""Bytes that all clients together may be behind with; beyond, who is behind longest goes first."""
log = structlog.get_logger(__name__)


class SendingProtocol(H11Protocol):
    """A connection that is cut off when its client reads too slowly, or others need the room.

    Of uvicorn's parsers of HTTP, h11 is the one that limits what comes before a body: to 64 KB.
    """

    _timer: asyncio.Handle | None = None
    _since = 0.0
    _unread = 0

    def pause_writing(self) -> None:
        """Watch the client: there is more to send than it takes at once."""
        super().pause_writing()
        self._stop_watching()
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

    @property
    def unread(self) -> int:
        """Bytes that the client is behind with: in the connection's buffer and the system's."""
        # The system's empties in large steps: alone, the other would seem to stand still.
        descriptor = self.transport.get_extra_info("socket").fileno()
        queued = array("i", [0])
        with suppress(OSError):
            fcntl.ioctl(descriptor, termios.TIOCOUTQ, queued)
        return self.transport.get_write_buffer_size() + queued[0]

    def _watch(self) -> None:
        self._since = self.loop.time()
        self._unread = self.unread
        self._timer = self.loop.call_later(LOOK_SECONDS, self._look)
        self._make_room()

    def _look(self) -> None:
        unread = self.unread
        # While it is behind nothing is added.
        if self._unread - unread < LEAST_BYTES * LOOK_SECONDS:
            self._cut_off("it reads too slowly")
            return
        self._unread = unread
        self._timer = self.loop.call_later(LOOK_SECONDS, self._look)

    def _make_room(self) -> None:
        behind = [one for one in self.connections if isinstance(one, SendingProtocol)]
        behind = [one for one in behind if one._timer and one is not self]
        sizes = {one: one.unread for one in behind}
        too_much = sum(sizes.values()) + self._unread - MOST_UNREAD
        for one in sorted(behind, key=lambda one: one._since):
            if too_much <= 0:
                return
            too_much -= sizes[one]
            one._cut_off("others need the room")

    def _cut_off(self, why: str) -> None:
        log.warning("client cut off", why=why, unread_bytes=self.unread)
        self._stop_watching()
        # With a reset: else the system would keep what it has for the client.
        linger = struct.pack("ii", 1, 0)
        self.transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, linger
        )
        self.transport.abort()

    def _stop_watching(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
