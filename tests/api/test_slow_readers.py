"""Clients that don't read what they asked for, over raw sockets."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from fastapi import Response

from stupid_dagster.api import create_app, sending
from stupid_dagster.api.server import bound_socket
from stupid_dagster.project import Project
from tests.api.serving import seconds_until, served_app
from tests.api.test_server import wait_for_answer

MANY = 8 << 20


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """A server with an answer of 8 MB, more than sockets keep for clients."""
    project = Project.load(tmp_path, {"api_port": 0})
    app = create_app(project)
    app.add_api_route("/big", lambda: Response(bytes(MANY), media_type="image/png"))
    with served_app(app, project) as found:
        yield found


@contextmanager
def asking(url: str, *paths: str) -> Iterator[socket.socket]:
    """Ask without reading; the client takes little at once."""
    with socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.settimeout(10)
        # A server that cuts it off at once may be faster than the client sees that it is connected.
        with suppress(ConnectionResetError):
            line.connect(("127.0.0.1", urlsplit(url).port or 0))
        for path in paths:
            line.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        yield line


def is_cut_off(line: socket.socket) -> bool:
    """Return whether the server has reset a connection."""
    poll = select.poll()
    poll.register(line, 0)
    return bool(poll.poll(0))


def read_all(line: socket.socket) -> int:
    """Return how many bytes come until 8 MB or the end."""
    got = 0
    while got < MANY and (part := line.recv(1 << 20)):
        got += len(part)
    return got


def test_who_does_not_read_is_cut_off(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(sending, "PATIENCE_SECONDS", 0.3)
    # Also one that asks for more and more meanwhile.
    with asking(url, "/big") as one, asking(url, "/big", "/big", "/big") as other:
        seconds_until(lambda: is_cut_off(one) and is_cut_off(other), 5)
    assert len(httpx2.get(f"{url}/big").content) == MANY


def test_who_reads_slowly_but_reads_gets_all(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "LOOK_SECONDS", 0.2)
    monkeypatch.setattr(sending, "PATIENCE_SECONDS", 0.2)
    with asking(url, "/big") as line:
        for _ in range(8):
            assert len(line.recv(4096)) > 0
            time.sleep(0.1)
        assert not is_cut_off(line)
        assert read_all(line) > MANY - (64 << 10)


def test_who_reads_a_little_now_and_then_is_cut_off(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(sending, "PATIENCE_SECONDS", 0.3)
    monkeypatch.setattr(sending, "LEAST_BYTES", 1 << 20)
    with asking(url, "/big") as line, pytest.raises(ConnectionResetError):
        for _ in range(100):
            line.recv(1_000)
            time.sleep(0.05)


def test_a_pause_is_borne_until_others_need_the_room(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(sending, "SHORT_PATIENCE_SECONDS", 0.3)
    before = sending.cut_offs()
    with asking(url, "/big") as line:
        time.sleep(1)
        assert not is_cut_off(line)
        assert sending.unread_bytes() > MANY // 2
        monkeypatch.setattr(sending, "MOST_UNREAD", MANY)
        seconds_until(lambda: is_cut_off(line), 5)
    assert sending.cut_offs() == before + 1
    told = httpx2.get(f"{url}/metrics").text
    assert f"stupid_clients_cut_off_total {before + 1}.0" in told
    assert "stupid_unread_bytes 0.0" in told


def test_all_together_are_behind_with_so_much(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory that unread answers take is bounded, and nobody who reads is cut off for it."""
    monkeypatch.setattr(sending, "MOST_UNREAD", 20 << 20)
    monkeypatch.setattr(sending, "LOOK_SECONDS", 0.3)
    with ExitStack() as stack:
        lines = [stack.enter_context(asking(url, "/big")) for _ in range(2)]
        seconds_until(lambda: sending.unread_bytes() > 12 << 20)
        refused = httpx2.get(f"{url}/big")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "10")
        assert refused.headers["content-type"] == "application/problem+json"
        assert httpx2.head(f"{url}/big").status_code == 200
        # Short ones are answered.
        told = httpx2.get(f"{url}/metrics").text
        assert 'stupid_requests_total{method="GET",route="/big",status="503"} 1.0' in told
        for _ in range(10):
            time.sleep(0.1)
            assert all(len(line.recv(65536)) > 0 for line in lines)
        assert all(read_all(line) > MANY - (1 << 20) for line in lines)
    assert len(httpx2.get(f"{url}/big").content) == MANY


def test_many_who_read_steadily_get_all(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was begun is sent to its end, however many read it at once."""
    monkeypatch.setattr(sending, "MOST_UNREAD", 30 << 20)

    def read(_: int) -> str:
        try:
            with socket.create_connection(("127.0.0.1", urlsplit(url).port or 0), 20) as line:
                line.sendall(b"GET /big HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                first = line.recv(1 << 10)
                got = len(first)
                while part := line.recv(1 << 16):
                    got += len(part)
                    time.sleep(0.005)
        except OSError as error:
            return type(error).__name__
        return "refused" if b" 503 " in first[:20] else "all" if got > MANY else "short"

    with ThreadPoolExecutor(8) as pool:
        ends = [*pool.map(read, range(8))]
    assert set(ends) == {"all", "refused"}
    assert ends.count("all") >= 3


def test_a_request_must_come(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a request keeps a connection no longer than nothing, the first one or a later one."""
    monkeypatch.setattr(sending, "REQUEST_SECONDS", 0.4)
    with asking(url) as silent, asking(url) as half, asking(url, "/health") as second:
        half.sendall(b"GET / HT")
        assert second.recv(1 << 16).startswith(b"HTTP/1.1 200")
        second.sendall(b"GET / HT")
        lines = (silent, half, second)

        def all_cut_off() -> bool:
            with suppress(OSError):
                half.sendall(b"T")  # Something now and then doesn't help.
            return all(map(is_cut_off, lines))

        # uvicorn itself gives a connection that is kept alive 5 seconds, until something comes.
        assert seconds_until(all_cut_off, 5) < 3


def test_what_waits_for_its_answer_or_the_next_request_is_left_alone(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "REQUEST_SECONDS", 0.2)
    with asking(url, "/insights/stream") as stream, asking(url, "/health") as idle:
        time.sleep(0.8)
        assert not is_cut_off(stream)
        assert idle.recv(1 << 16).startswith(b"HTTP/1.1 200")
        idle.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert idle.recv(1 << 16).startswith(b"HTTP/1.1 200")


def test_connections_are_bounded(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "MOST_CONNECTIONS", 5)
    with ExitStack() as stack:
        lines = [stack.enter_context(asking(url)) for _ in range(12)]
        seconds_until(lambda: sum(map(is_cut_off, lines)) == 2, 5)
        assert not any(map(is_cut_off, lines[:10]))
    seconds_until(lambda: httpx2.get(f"{url}/health").status_code == 200)


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_server_ends_though_clients_do_not_read(
    flights_project: Project, stop: signal.Signals
) -> None:
    root = flights_project.settings.root
    with bound_socket(Project.load(root, {"api_port": 0}).settings) as listener:
        port = listener.getsockname()[1]
    url, environment = f"http://127.0.0.1:{port}", {**os.environ, "STUPID_API_PORT": str(port)}
    command = [sys.executable, "-m", "stupid_dagster.cli", "--root", str(root), "serve"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            wait_for_answer(url, process)
            big = "/documents?event_type=Departure&limit=10000"
            with asking(url, "/insights/stream"), asking(url, big, big, big):
                time.sleep(1)
                started = time.monotonic()
                process.send_signal(stop)
                process.wait(15)
            assert time.monotonic() - started < 9
        finally:
            process.kill()
