"""The whole API, fuzzed by its own OpenAPI page, and the WebSocket, which it hasn't.

`FUZZ_CASES=2000 pytest tests/api/test_fuzz.py` makes so many cases of each route; `-rP` shows how
many there were in all. Cursors have a file of their own.
"""

from __future__ import annotations

import json
import os
import socket
from collections import Counter
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx2
import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from websockets.sync.client import connect

from stupid_dagster.api import create_app
from stupid_dagster.project import Project
from stupid_dagster.settings import Settings
from tests.api.serving import served
from tests.api.urls import STREAMS

CASES = int(os.environ.get("FUZZ_CASES", "50"))
ASKED: Counter[tuple[str, str]] = Counter()
CHECKS = [
    *(not_a_server_error, status_code_conformance, content_type_conformance),
    *(response_schema_conformance, response_headers_conformance),
]


@pytest.fixture(scope="session")
def page(
    flights_project: Project, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BaseSchema]:
    inbox = tmp_path_factory.mktemp("fuzz") / "inbox"
    project = Project.load(flights_project.settings.root, {"inbox": str(inbox), "rows_most": 500})
    app = create_app(project)
    # Opened, so that there is a snapshot to answer from.
    with TestClient(app):
        yield schemathesis.openapi.from_asgi("/openapi.json", app)


ROUTES = [
    (path, method)
    for path, operations in create_app(Project(Settings())).openapi()["paths"].items()
    for method in operations
    if path not in STREAMS | {"/query"}  # That needs a language model: test_query.py.
]


@pytest.mark.parametrize(("path", "method"), ROUTES)
def test_whatever_is_asked_is_answered_as_the_page_says(
    page: BaseSchema, path: str, method: str
) -> None:
    @given(page[path][method].as_strategy())
    @settings(
        max_examples=CASES,
        deadline=None,
        suppress_health_check=list(HealthCheck),  # pyright: ignore[reportArgumentType]
        # The same cases each time, unless many are asked for.
        derandomize="FUZZ_CASES" not in os.environ,
        database=None,
    )
    def ask(case: Case) -> None:
        ASKED[path, method] += 1
        case.call_and_validate(checks=CHECKS)

    ask()


def test_there_were_thousands_of_cases() -> None:
    if set(ASKED) != set(ROUTES):
        pytest.skip("the routes were asked elsewhere, or not at all")
    print(f"{ASKED.total()} cases of {len(ROUTES)} routes")
    assert ASKED.total() >= 2000


FRAMES = st.text(max_size=50) | st.binary(max_size=50) | st.just("[" * 100_000) | st.just(b"\0")


def test_a_socket_bears_any_message(flights_project: Project) -> None:
    project = Project.load(flights_project.settings.root, {"api_port": 0})
    with served(project) as url, connect(f"{url.replace('http', 'ws')}/ws/insights") as ws:

        @settings(max_examples=100, deadline=None, derandomize=True, database=None)
        @given(st.lists(FRAMES, max_size=4), st.booleans())
        def send(frames: list[str | bytes], fragmented: bool) -> None:
            for frame in frames:
                ws.send([frame, frame] if fragmented else frame)
            # It is still there, and reads.
            assert ws.ping().wait(20)

        send()
        assert json.loads(ws.recv(timeout=20))["event"] == "snapshot"


@pytest.mark.parametrize(
    "frame",
    [
        b"\x81\x02hi",  # Not masked, as a client's must be.
        b"\x81\x82\0\0\0\0\xff\xff",  # Text that is no UTF-8.
        b"\xf1\x80\0\0\0\0",  # Bits that mean nothing.
        b"\x83\x80\0\0\0\0",  # No such kind of frame.
        b"\x80\x80\0\0\0\0",  # Goes on with nothing.
        b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0",  # 8 EB are to come.
        b"\x88\x81\0\0\0\0x",  # An end with half a status.
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_bytes_that_are_no_messages_end_their_socket_alone(
    flights_project: Project, frame: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    project = Project.load(flights_project.settings.root, {"api_port": 0})
    with served(project) as url, connect(f"{url.replace('http', 'ws')}/ws/insights") as other:
        address = urlsplit(url).netloc
        shaken = (
            f"GET /ws/insights HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        host, port = address.split(":")
        with socket.create_connection((host, int(port)), timeout=20) as raw:
            raw.sendall(shaken.encode())
            assert raw.recv(12) == b"HTTP/1.1 101"
            raw.sendall(frame)
            while raw.recv(65536):
                pass
        assert json.loads(other.recv(timeout=20))["event"] == "snapshot"
        assert httpx2.get(f"{url}/ready").status_code == 200
    # uvicorn tells of what the client broke; the app has no part in it.
    assert not [one for one in caplog.records if "ASGI" in one.getMessage()]
