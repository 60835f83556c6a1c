"""A server process, and clients that cost little: plain sockets that are kept open."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

from benchmarks.child import BenchmarkError

_START_SECONDS = 120.0


@dataclass(frozen=True)
class Request:
    """A request, and its body where it is a POST of JSON."""

    target: str
    body: bytes | None = None
    accept: str = "application/json"


@dataclass
class Reply:
    """An answer, and the seconds from the request's first byte to the answer's last.

    `snapshot` is what the headers say of an Arrow stream; JSON says it itself.
    """

    status: int
    content: bytes
    seconds: float
    snapshot: str | None = None


@dataclass
class Load:
    """What several clients at once got: seconds of each answer, and how many were no 200."""

    seconds: list[float] = field(default_factory=list)
    errors: int = 0
    wall: float = 0.0


class Server:
    """A process that serves HTTP on a port of this machine."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = process
        self.port = port

    def connect(self) -> http.client.HTTPConnection:
        """Return a connection that is kept from request to request."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def cpu_seconds(self) -> float:
        """Return the CPU seconds that the process has used; 0 where the system doesn't say."""
        try:
            text = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii")
        except OSError:
            return 0.0
        user, system = text.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


@contextmanager
def serving(command: Sequence[str], ready: str) -> Iterator[Server]:
    """Run `python -m command... PORT` until the block ends; waits until `ready` answers 200."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", *command, str(port)], stdout=subprocess.DEVNULL
    )
    server = Server(process, port)
    try:
        _wait(server, ready)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def ask(connection: http.client.HTTPConnection, request: Request) -> Reply:
    """Send a request and read its answer."""
    headers = {"Accept": request.accept}
    if request.body is not None:
        headers["Content-Type"] = "application/json"
    started = time.perf_counter()
    method = "GET" if request.body is None else "POST"
    connection.request(method, request.target, request.body, headers)
    response = connection.getresponse()
    content = response.read()
    seconds = time.perf_counter() - started
    return Reply(response.status, content, seconds, response.getheader("X-Snapshot"))


def one_by_one(server: Server, requests: Sequence[Request]) -> list[Reply]:
    """Return the answers to requests that one client sends one after the other."""
    connection = server.connect()
    try:
        return [ask(connection, request) for request in requests]
    finally:
        connection.close()


def at_once(server: Server, requests: Sequence[Request], clients: int, seconds: float) -> Load:
    """Return what so many clients get who ask for so long, each as soon as it is answered.

    Each asks once at least.
    """
    load = Load()
    started = time.perf_counter()

    def goes_on() -> bool:
        return time.perf_counter() - started < seconds

    threads = [
        threading.Thread(
            target=_keep_asking, args=(server, [*requests[n:], *requests[:n]], load, goes_on)
        )
        for n in range(clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    load.wall = time.perf_counter() - started
    return load


def _keep_asking(
    server: Server, requests: Sequence[Request], load: Load, goes_on: Callable[[], bool]
) -> None:
    connection = server.connect()
    for request in cycle(requests):
        try:
            reply = ask(connection, request)
        except (OSError, http.client.HTTPException):
            load.errors += 1
            connection.close()
        else:
            load.seconds.append(reply.seconds)
            load.errors += reply.status != 200
        if not goes_on():
            break
    connection.close()


def _wait(server: Server, ready: str) -> None:
    started = time.monotonic()
    while time.monotonic() - started < _START_SECONDS:
        if server.process.poll() is not None:
            break
        with suppress(OSError):
            if one_by_one(server, [Request(ready)])[0].status == 200:
                return
        time.sleep(0.1)
    raise BenchmarkError(f"the server did not answer {ready} within {_START_SECONDS:g} s")
