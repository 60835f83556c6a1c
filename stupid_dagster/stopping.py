"""Requests to providers' servers that are given up: nobody awaits them, or they take too long.

The clients wait for an answer in `recv`, which neither closing them nor an exception in another
thread ends; shutting the connection down does. Which connection it is, httpx tells by its `trace`
extension (https://www.python-httpx.org/advanced/extensions/#trace), when it is opened.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, TypeVar

from stupid_dagster.deadline import Stop, Stopped, current_stop, inner_stop, stoppable

T = TypeVar("T")
CONNECT_SECONDS = 10.0
"""A connection that is being opened can't be given up before."""


class TookTooLongError(Exception):
    """A request took longer than it may, however much its server said until then."""


class Limit:
    """How long a request may take in all; a server may drip a byte now and then for ever."""

    def __init__(self, seconds: float, stop: Stop) -> None:
        self.seconds = seconds
        self._stop = stop
        self._outer = current_stop()

    @contextmanager
    def working(self) -> Iterator[None]:
        """Let what is done inside be given up; raises TookTooLongError, or Stopped with the work.

        A generator must not yield inside: who reads it would be stopped as well.
        """
        try:
            with stoppable(self._stop):
                yield
        except Stopped:
            if self._outer is not None:
                self._outer.check()
            raise TookTooLongError from None


@contextmanager
def limited(seconds: float) -> Iterator[Limit]:
    """Yield what lets a request take so many seconds at most, from now on."""
    with inner_stop() as stop:
        timer = threading.Timer(seconds, stop.stop)
        timer.daemon = True
        timer.start()
        try:
            yield Limit(seconds, stop)
        finally:
            timer.cancel()


def in_thread(name: str, stop: Stop, work: Callable[[], T]) -> Future[T]:
    """Return what comes of work in a thread of its own, which `stop` stops.

    A daemon, so that the process ends whatever a server does; those of an executor are waited for.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            with stoppable(stop):
                future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name=f"{name}_asks", daemon=True).start()
    return future


def _prepare(request: Any) -> None:
    """Have a request (httpx's, or httpx2's) given up with the work that it is part of, if any can.

    Raises Stopped where the work was stopped before.
    """
    # A connection of its own: that of one which is kept for the next isn't told.
    request.headers["Connection"] = "close"
    waits = request.extensions.get("timeout") or {}
    if (waits.get("connect") or CONNECT_SECONDS) >= CONNECT_SECONDS:
        waits = {**waits, "connect": CONNECT_SECONDS}
    request.extensions = {**request.extensions, "timeout": waits}
    if stop := current_stop():
        stop.check()
        request.extensions = {**request.extensions, "trace": _Connection(stop)}


STOPPED_WITH_WORK: dict[str, list[Any]] = {"request": [_prepare]}
"""`event_hooks` of the clients."""


class _Connection:
    """Takes note of a request's connection; raises Stopped wherever one is that was stopped.

    What its connection's end looks like, the failure of a model or the end of its answer, isn't
    true.
    """

    def __init__(self, stop: Stop) -> None:
        self._stop = stop
        self._socket: socket.socket | None = None
        self._copy: socket.socket | None = None

    def __call__(self, event: str, info: dict[str, Any]) -> None:
        # A proxy's begin otherwise than `connection.`
        if event.endswith(".start_tls.started") and self._socket is not None:
            # The handshake takes the socket, and tells its own when it is done.
            self._copy = self._socket.dup()
            self._watch(self._copy)
        elif event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            self._socket = info["return_value"].get_extra_info("socket")
            self._watch(self._socket)
        if self._copy and event.endswith((".start_tls.complete", ".start_tls.failed")):
            self._copy.close()
        failure = info.get("exception")
        # Neither while httpx tidies up, nor where who reads the answer wants no more of it.
        tidies = event.startswith("http11.response_closed")
        if not tidies and (failure is None or isinstance(failure, Exception)):
            self._stop.check()

    def _watch(self, connection: Any) -> None:
        self._stop.then(partial(_shut_down, connection))


def _shut_down(connection: socket.socket) -> None:
    with suppress(OSError):  # It is closed, or one with TLS has taken its place.
        # Not TLS's own, which would take away what the thread that waits works with.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
