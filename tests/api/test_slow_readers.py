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
from contextlib import ExitStack, contextmanager
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
    monkeypatch.setattr(sending, "LOOK_SECONDS", 0.3)
    # Also one that asks for more and more meanwhile.
    with asking(url, "/big") as one, asking(url, "/big", "/big", "/big") as other:
        seconds_until(lambda: is_cut_off(one) and is_cut_off(other), 5)
    assert len(httpx2.get(f"{url}/big").content) == MANY


def test_who_reads_slowly_but_reads_gets_all(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "LOOK_SECONDS", 0.2)
    with asking(url, "/big") as line:
        for _ in range(8):
            assert len(line.recv(4096)) > 0
            time.sleep(0.1)
        assert not is_cut_off(line)
        assert read_all(line) > MANY - (64 << 10)


def test_who_reads_a_little_now_and_then_is_cut_off(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "LOOK_SECONDS", 0.3)
    monkeypatch.setattr(sending, "LEAST_BYTES", 1 << 20)
    with asking(url, "/big") as line, pytest.raises(ConnectionResetError):
        for _ in range(100):
            line.recv(1_000)
            time.sleep(0.05)


def test_all_together_are_behind_with_so_much(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory that unread answers take is bounded; who came last is served."""
    monkeypatch.setattr(sending, "MOST_UNREAD", 20 << 20)
    with ExitStack() as stack:
        lines = []
        for _ in range(10):
            lines.append(stack.enter_context(asking(url, "/big")))
            time.sleep(0.05)
        seconds_until(lambda: sum(map(is_cut_off, lines)) >= 7, 5)
        assert not any(map(is_cut_off, lines[-2:]))
        assert read_all(lines[-1]) >= MANY


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
