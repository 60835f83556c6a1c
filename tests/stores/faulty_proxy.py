"""An HTTP proxy on loopback that does to chosen requests what networks and busy servers do."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

_ANSWERS = {
    "503": ("503 Slow Down", "SlowDown"),
    "409": ("409 Conflict", "ConditionalRequestConflict"),
    "404": ("404 Not Found", "NoSuchKey"),
    "no bucket": ("404 Not Found", "NoSuchBucket"),
    "400": ("400 Bad Request", "InvalidRequest"),
    "denied": ("403 Forbidden", "SignatureDoesNotMatch"),
    "501": ("501 Not Implemented", "NotImplemented"),
    "301": ("301 Moved Permanently", "PermanentRedirect"),
}
_TAKEN = b'HTTP/1.1 200 OK\r\nETag: "0"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'


@dataclass
class Faults:
    """What is done to the next `times` requests that match.

    `drop body`: an answer breaks off after `after` bytes; `drop request`: the connection does,
    before a request is passed on; `lost answer`: the server does what it is asked, and nobody
    hears of it; `hang`: no answer for `after` seconds; `unconditional`: what
    isn't met by a condition seems to be. Others are answers of their own.
    """

    name: str = ""
    times: int = 0
    matches: Callable[[str, str], bool] = lambda method, path: True
    after: float = 0
    requests: list[tuple[str, str]] = field(default_factory=list)
    hits: int = 0
    sent: int = 0
    """Bytes of answers that were passed on."""


class FaultyProxy:
    """A proxy in front of one server; a context manager that stops it."""

    def __init__(self, server: tuple[str, int]) -> None:
        self._server = server
        self._lock = threading.Lock()
        self._clients: set[socket.socket] = set()
        self.faults = Faults()
        self._listen(0)
        self._port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"

    def _listen(self, port: int) -> None:
        self._socket = socket.create_server(("127.0.0.1", port), backlog=200)
        threading.Thread(target=self._accept, args=(self._socket,), daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.go_away()

    def go_away(self) -> None:
        """Refuse every connection, and end those that there are, as a server does that ends."""
        with suppress(OSError):
            # Closing alone wakes nobody who waits in accept().
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        with self._lock:
            for client in self._clients:
                with suppress(OSError):
                    client.shutdown(socket.SHUT_RDWR)

    def come_back(self) -> None:
        """Listen again, where it did."""
        self._listen(self._port)

    def set(
        self,
        name: str,
        times: int = 1,
        matches: Callable[[str, str], bool] = lambda method, path: True,
        after: float = 0,
    ) -> Faults:
        """Begin with a fault, and return the record of what it was done to."""
        with self._lock:
            self.faults = Faults(name, times, matches, after)
            return self.faults

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                self._clients.add(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            try:
                while self._serve_one(client):
                    pass
            except OSError:
                pass
            with self._lock:
                self._clients.discard(client)

    def _serve_one(self, client: socket.socket) -> bool:
        """Serve a request; return whether the connection lives on."""
        received = b""
        while b"\r\n\r\n" not in received:
            received += _some(client)
        head, body = received.split(b"\r\n\r\n", 1)
        lines = head.split(b"\r\n")
        method, path, _ = lines[0].decode().split(" ", 2)
        fields = [line.split(b":", 1) for line in lines[1:]]
        headers = {name.lower(): value.strip() for name, value in fields}
        fault = self._next(method, path)
        length = int(headers.get(b"content-length", 0))
        while len(body) < length:
            body += _some(client)
        if fault is None:
            return self._pass_on(client, lines, body, "", 0)
        if fault.name in _ANSWERS:
            client.sendall(_answer(fault.name, with_body=method != "HEAD"))
            return True
        if fault.name == "hang":
            time.sleep(fault.after)
        if fault.name in {"hang", "drop request"}:
            _reset(client)
            return False
        return self._pass_on(client, lines, body, fault.name, int(fault.after))

    def _next(self, method: str, path: str) -> Faults | None:
        with self._lock:
            faults = self.faults
            faults.requests.append((method, path))
            if faults.hits >= faults.times or not faults.matches(method, path):
                return None
            faults.hits += 1
            return faults

    def _pass_on(
        self, client: socket.socket, lines: list[bytes], body: bytes, fault: str, most: int
    ) -> bool:
        kept = [line for line in lines if not line.lower().startswith(b"connection:")]
        with socket.create_connection(self._server) as server:
            server.sendall(b"\r\n".join(kept) + b"\r\nConnection: close\r\n\r\n" + body)
            sent = 0
            while block := server.recv(1 << 18):
                if fault == "lost answer":
                    continue
                if fault == "unconditional" and block.startswith(b"HTTP/1.1 412"):
                    client.sendall(_TAKEN)
                    return False
                if fault == "drop body" and sent + len(block) > most:
                    client.sendall(block[: max(0, most - sent)])
                    time.sleep(0.05)
                    break
                sent += len(block)
                # Before the client can have it, and look.
                with self._lock:
                    self.faults.sent += len(block)
                client.sendall(block)
        if fault in {"lost answer", "drop body"}:
            _reset(client)
        return False


def _some(client: socket.socket) -> bytes:
    block = client.recv(1 << 20)
    if not block:
        raise ConnectionError("the client has gone")
    return block


def _reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def _answer(name: str, *, with_body: bool) -> bytes:
    status, code = _ANSWERS[name]
    body = f"<Error><Code>{code}</Code><Message>made up</Message></Error>".encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + (body if with_body else b"")
