"""Servers on loopback that never come to an end: silent, or a piece now and then."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n"
EVENTS = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
LINES = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\n\r\n"


@dataclass
class Dripping:
    """A server: its port; `asked` when it got what follows `first`, `left` when its client left."""

    port: int
    asked: threading.Event = field(default_factory=threading.Event)
    left: threading.Event = field(default_factory=threading.Event)


@contextmanager
def dripping(*first: bytes, drip: bytes = b"", seconds: float = 0.05) -> Iterator[Dripping]:
    """Serve connections: one of `first` for each thing that comes, then a drip every so often."""
    with socket.create_server(("127.0.0.1", 0)) as listening, ExitStack() as opened:
        served = Dripping(listening.getsockname()[1])

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                opened.callback(connection.close)
                threading.Thread(target=talk, args=[connection], daemon=True).start()

        def talk(connection: socket.socket) -> None:
            try:
                for answer in first:
                    if not connection.recv(1 << 20):
                        raise ConnectionError
                    connection.sendall(answer)
                connection.settimeout(seconds)
                while True:
                    connection.sendall(drip)
                    try:
                        if not connection.recv(1 << 16):
                            raise ConnectionError
                        served.asked.set()
                    except TimeoutError:
                        pass
            except OSError:
                served.left.set()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield served
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


@contextmanager
def unreachable() -> Iterator[int]:
    """Yield the port of a server to which no connection comes about, nor is refused."""
    with socket.socket() as listening, ExitStack() as opened:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        # Linux drops what comes when the queue is full.
        for _ in range(3):
            one = opened.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(listening.getsockname())
        time.sleep(0.05)
        yield listening.getsockname()[1]
