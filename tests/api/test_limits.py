"""What no request may exceed, over real sockets where the server has a part in it."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import httpx2
import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from fastapi.testclient import TestClient

from stupid_dagster.api import create_app, limits
from stupid_dagster.api.limits import MOST_BODY, MOST_URL, is_heavy
from stupid_dagster.api.server import allowed_hosts
from stupid_dagster.project import Project
from stupid_dagster.settings import Settings
from tests.api.serving import served, served_app

TEXT = {"Content-Type": "application/json"}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.load(tmp_path, {"inbox": "inbox", "api_port": 0, "partitions_end": "2013-02-09"})


@pytest.fixture
def url(project: Project) -> Iterator[str]:
    with served(project) as found:
        yield found


def is_problem(answer: httpx2.Response, status: int) -> bool:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.json()["status"] == status


def raw(url: str, request: bytes, *more: bytes) -> bytes:
    """Return what a server sends to bytes that no client would send."""
    with socket.create_connection(("127.0.0.1", urlsplit(url).port or 0), timeout=20) as line:
        line.sendall(request)
        for part in more:
            line.sendall(part)
        found = b""
        while part := line.recv(65536):
            found += part
            if b"\r\n\r\n" in found and b"chunked" not in found.lower():
                break
        return found


def test_a_body_has_at_most_a_mebibyte(url: str) -> None:
    fits = httpx2.post(f"{url}/events", content=b" " * MOST_BODY, headers=TEXT)
    assert fits.status_code == 422
    assert is_problem(httpx2.post(f"{url}/events", content=b" " * (MOST_BODY + 1)), 413)

    def chunks(count: int) -> Iterator[bytes]:
        for _ in range(count):
            yield b" " * (MOST_BODY // 4)

    assert httpx2.post(f"{url}/events", content=chunks(4), headers=TEXT).status_code == 422
    assert is_problem(httpx2.post(f"{url}/events", content=chunks(5), headers=TEXT), 413)
    # Also where no body is expected.
    big = httpx2.request("GET", f"{url}/health", content=b" " * (MOST_BODY + 1))
    assert is_problem(big, 413)


def test_a_length_that_is_a_lie(url: str) -> None:
    head = b"POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    # More than is allowed is stated: refused before any of it came.
    assert raw(url, head + b"Content-Length: 9999999999\r\n\r\n{}").startswith(b"HTTP/1.1 413")
    # Less is stated than comes: the rest is another request, and no good one.
    short = raw(url, head + b"Content-Length: 2\r\n\r\n[]" + b"x" * 2_000)
    assert short.startswith(b"HTTP/1.1 422")
    for length in (b"-1", b"x", b"1e9", b"9" * 400):
        answer = raw(url, head + b"Content-Length: " + length + b"\r\n\r\n{}")
        assert answer[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 413"), length
    assert httpx2.get(f"{url}/health").status_code == 200


def test_a_body_that_doesnt_come(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BODY_SECONDS", 0.3)
    head = b"POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{"
    assert raw(url, head).startswith(b"HTTP/1.1 408")
    # One that goes away meanwhile is nobody's trouble.
    with socket.create_connection(("127.0.0.1", urlsplit(url).port or 0)) as line:
        line.sendall(head)
    assert httpx2.get(f"{url}/health").status_code == 200


def test_long_urls_and_headers(url: str) -> None:
    assert is_problem(httpx2.get(f"{url}/search?text={'a' * MOST_URL}"), 414)
    assert httpx2.get(f"{url}/health/{'a' * (MOST_URL - 20)}").status_code == 404
    huge = b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"a" * 1_000_000 + b"\r\n\r\n"
    assert raw(url, huge).startswith(b"HTTP/1.1 4")
    endless = b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert raw(url, endless).startswith(b"HTTP/1.1 4")
    assert httpx2.get(f"{url}/health").status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil", "", "[", "a@b:1", "[::1"]
)
def test_another_hosts_name_is_refused(url: str, host: str) -> None:
    answer = raw(url, f"GET /health HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 421")
    assert b"application/problem+json" in answer


@pytest.mark.parametrize("host", ["[", "a@b:1", "[::1", "a:b", "", "x]"])
def test_a_malformed_host_breaks_nothing_where_any_is_served(project: Project, host: str) -> None:
    """With a key the name isn't checked, and answers say nothing of it."""
    locked = Project.load(project.settings.root, {"api_port": 0, "api_key": "k"})
    with served(locked) as url:
        for path, status in (("/health", 200), ("/snapshot", 401), ("/nothing", 404)):
            answer = raw(url, f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            assert answer.startswith(f"HTTP/1.1 {status}".encode()), answer[:300]


def test_this_hosts_names_are_answered(url: str) -> None:
    for host in ("localhost", "127.0.0.1", "LocalHost:80", "[::1]:8000", "[::1]"):
        answer = raw(url, f"GET /health HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 200"), host


def test_the_name_is_checked_where_no_key_is_needed() -> None:
    assert "127.0.0.1" in (allowed_hosts(Settings()) or ())
    assert "127.0.0.2" in (allowed_hosts(Settings(api_host="127.0.0.2")) or ())
    assert allowed_hosts(Settings(api_key="k")) is None
    assert allowed_hosts(Settings(api_host="0.0.0.0", api_key="k")) is None


def test_no_other_page_may_read(client: TestClient) -> None:
    answer = client.get("/health", headers={"Origin": "https://evil.example"})
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_which_routes_are_heavy() -> None:
    heavy = ("/documents", "/documents/", "/search", "/graph/path", "/plans/validate", "/query")
    assert all(is_heavy(path) for path in heavy)
    light = ("/documents/2013-02-08/Departure/17", "/graph/nodes/a", "/health", "/searching", "/")
    assert not any(is_heavy(path) for path in light)


def slow_app(project: Project) -> FastAPI:
    """Return the API with heavy routes that take a second or never end."""
    app = create_app(project)

    @app.get("/search/slow")
    def slow() -> dict[str, str]:
        time.sleep(1)
        return {}

    @app.get("/search/endless")
    async def endless() -> StreamingResponse:
        async def ticks() -> AsyncIterator[bytes]:
            while True:
                yield b"tick\n"
                await anyio.sleep(0.05)

        return StreamingResponse(ticks(), media_type="text/event-stream")

    return app


def test_heavy_requests_wait_for_each_other_and_stop_nobody_else(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "WAIT_SECONDS", 0.5)
    project = Project.load(project.settings.root, {"api_port": 0, "api_concurrency": 2})
    with (
        served_app(slow_app(project), project) as url,
        httpx2.Client(base_url=url, timeout=20) as client,
        ThreadPoolExecutor(5) as pool,
    ):
        started = time.monotonic()
        slow = [pool.submit(client.get, "/search/slow") for _ in range(5)]
        quick = 0
        while not all(one.done() for one in slow):
            asked = time.monotonic()
            assert client.get("/health").status_code == 200
            assert time.monotonic() - asked < 0.5
            quick += 1
        assert time.monotonic() - started < 1.9
        answers = [one.result() for one in slow]
        refused = [answer for answer in answers if answer.status_code != 200]
        assert quick > 5
        assert len(refused) == 3
        assert all(is_problem(answer, 503) for answer in refused)
        assert all(int(answer.headers["retry-after"]) >= 0 for answer in refused)
        # The places are free again.
        assert client.get("/search/slow").status_code == 200
        text = client.get("/metrics").text
    assert 'stupid_requests_total{method="GET",route="/search/slow",status="200"} 3.0' in text


def test_a_stream_has_its_place_to_its_end(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "WAIT_SECONDS", 0.3)
    project = Project.load(project.settings.root, {"api_port": 0, "api_concurrency": 1})
    with served_app(slow_app(project), project) as url:
        with httpx2.stream("GET", f"{url}/search/endless", timeout=20) as stream:
            lines = stream.iter_lines()
            assert [next(lines), next(lines)] == ["tick", "tick"]
            assert "content-encoding" not in stream.headers
            assert is_problem(httpx2.get(f"{url}/search/slow"), 503)
        monkeypatch.setattr(limits, "WAIT_SECONDS", 10)
        assert httpx2.get(f"{url}/search/slow", timeout=20).status_code == 200
        # HEAD of what never ends does.
        assert httpx2.head(f"{url}/search/endless", timeout=5).status_code == 200
        assert httpx2.get(f"{url}/search/slow", timeout=20).status_code == 200


def test_a_failure_gives_its_place_back(project: Project) -> None:
    app = create_app(Project.load(project.settings.root, {"api_concurrency": 1}))

    @app.get("/search/broken")
    def broken() -> None:
        raise RuntimeError("broken")

    with TestClient(app, raise_server_exceptions=False) as client:
        for _ in range(3):
            assert json.loads(client.get("/search/broken").content)["status"] == 500
