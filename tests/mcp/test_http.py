"""The same tools over HTTP, and who is let in."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress

import httpx2
import pytest
from anyio.from_thread import BlockingPortal
from click.testing import CliRunner
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from stupid_dagster.api.limits import MOST_BODY
from stupid_dagster.api.server import bound_socket
from stupid_dagster.cli.main import main
from stupid_dagster.cli.mcp import mcp
from stupid_dagster.cli.serve import serve
from stupid_dagster.project import Project
from stupid_dagster.settings import load_settings
from tests.api.serving import seconds_until
from tests.mcp.conftest import said

KEY = "schlüssel-7"


@pytest.fixture(scope="module")
def server(flights_project: Project) -> Iterator[tuple[str, int]]:
    """Return where a server runs that may have few files open at first, and its process."""
    root = flights_project.settings.root
    with bound_socket(load_settings(root, overrides={"api_port": 0})) as free:
        port = free.getsockname()[1]
    command = ["-v", "--root", str(root), "mcp", "--http"]
    limited = ["sh", "-c", 'ulimit -Sn 256 && exec "$@"', "sh"]
    with subprocess.Popen(
        [*limited, sys.executable, "-m", "stupid_dagster.cli", *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"STUPID_API_KEY": KEY, "STUPID_API_PORT": str(port)},
    ) as server:
        assert server.stderr
        url = f"http://127.0.0.1:{port}/mcp"
        assert f"MCP: {url}\n" in server.stderr
        assert httpx2.get(url).status_code == 401, "it was told before it answered"
        yield url, server.pid
        server.send_signal(signal.SIGINT)
        server.communicate(timeout=20)


@pytest.fixture(scope="module")
def url(server: tuple[str, int]) -> str:
    return server[0]


def test_it_may_have_as_many_files_open_as_the_system_allows(server: tuple[str, int]) -> None:
    soft, hard = resource.prlimit(server[1], resource.RLIMIT_NOFILE)
    assert soft == hard > 256


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {b"X-API-Key": b"wrong"},
        {b"Authorization": b"Bearer wrong"},
        {b"Authorization": b"Basic " + KEY.encode()},
    ],
)
def test_nobody_is_let_in_without_the_key(url: str, headers: dict[bytes, bytes]) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    refused = httpx2.post(url, json=body, headers=headers)
    assert refused.status_code == 401
    assert refused.headers["content-type"] == "application/problem+json"
    assert "X-API-Key" in refused.json()["detail"]


@pytest.mark.parametrize(
    "headers",
    [{b"X-API-Key": KEY.encode()}, {b"Authorization": b"Bearer " + KEY.encode()}],
)
def test_the_key_opens_the_tools(
    url: str, headers: dict[bytes, bytes], portal: BlockingPortal
) -> None:
    async def call() -> str:
        async with (
            httpx2.AsyncClient(headers=headers) as http,
            Client(streamable_http_client(url, http_client=http)) as client,
        ):
            return said(await client.call_tool("neighbors", {"id": "airport:JFK"}))

    assert "airport:JFK" in portal.call(call)


def test_a_page_of_another_site_is_not_let_in(url: str) -> None:
    """Browsers can be made to ask what is on this machine: a foreign Host or Origin is refused."""
    headers = {b"X-API-Key": KEY.encode(), b"Origin": b"https://evil.example"}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    assert httpx2.post(url, json=body, headers=headers).status_code == 403


def test_a_body_that_is_too_large_is_refused(url: str) -> None:
    large = {"content": b" " * (MOST_BODY + 1), "headers": {b"X-API-Key": KEY.encode()}}
    assert httpx2.post(url, **large).status_code == 413


def test_it_is_bound_as_serve_is(flights_project: Project) -> None:
    """The same options with the same help and defaults, and the same refusals."""
    options = [
        {one.name: one.to_info_dict() for one in command.params if one.name in ("host", "port")}
        for command in (mcp, serve)
    ]
    assert options[0] == options[1] and len(options[0]) == 2
    root = ["--root", str(flights_project.settings.root)]
    for command in (["mcp", "--http"], ["serve"]):
        for address, told in (
            (["--host", "0.0.0.0"], "api_key isn't set"),
            (["--port", "70000"], "at most 65535"),
        ):
            refused = CliRunner().invoke(main, [*root, *command, *address])
            assert refused.exit_code and told in refused.output


@pytest.mark.parametrize("command", [["mcp", "--http"], ["serve"]])
def test_where_it_would_have_been_is_not_told(flights_project: Project, command: list[str]) -> None:
    root = flights_project.settings.root
    with bound_socket(load_settings(root, overrides={"api_port": 0})) as taken:
        taken.listen()
        address = ["--port", str(taken.getsockname()[1])]
        refused = CliRunner().invoke(main, ["--root", str(root), *command, *address])
    assert refused.exit_code and "can't be bound to" in refused.output
    assert "http://" not in refused.output


def test_an_address_without_http_is_refused(flights_project: Project) -> None:
    root = ["--root", str(flights_project.settings.root)]
    refused = CliRunner().invoke(main, [*root, "mcp", "--port", "8001"])
    assert refused.exit_code == 2 and "--http" in refused.output


@pytest.mark.slow
def test_the_server_ends_though_a_client_does_not_read(flights_project: Project) -> None:
    root = flights_project.settings.root
    with bound_socket(load_settings(root, overrides={"api_port": 0})) as free:
        port = free.getsockname()[1]
    command = ["-m", "stupid_dagster.cli", "--root", str(root), "mcp", "--http", "--port"]
    hello = {
        **{"jsonrpc": "2.0", "id": 1, "method": "initialize"},
        "params": {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        },
    }
    url = f"http://127.0.0.1:{port}/mcp"
    with subprocess.Popen(
        [sys.executable, *command, str(port)], stderr=subprocess.DEVNULL
    ) as server:
        try:
            with httpx2.Client(timeout=30) as client:
                seconds_until(lambda: _is_there(port), 60)
                accept = {"Accept": "application/json, text/event-stream"}
                answer = client.post(url, json=hello, headers=accept)
                session = {"Mcp-Session-Id": answer.headers["mcp-session-id"]}
                ask = client.build_request(
                    "POST", url, json=hello | {"method": "tools/list"}, headers=accept | session
                )
            head = "".join(f"{name}: {value}\r\n" for name, value in ask.headers.items())
            with socket.create_connection(("127.0.0.1", port)) as line:
                line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                line.sendall((f"POST /mcp HTTP/1.1\r\n{head}\r\n".encode() + ask.content) * 300)
                time.sleep(4)
                started = time.monotonic()
                server.send_signal(signal.SIGTERM)
                server.wait(20)
                assert time.monotonic() - started < 9
        finally:
            server.kill()


def _is_there(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
