"""Questions whose clients leave: the work ends, the model is told, the place is free."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from stupid_dagster.api import create_app, limits
from stupid_dagster.api.routes import query
from stupid_dagster.api.server import allowed_hosts
from stupid_dagster.client import Client
from stupid_dagster.project import Project
from tests.api.serving import seconds_until, served_app
from tests.api.test_metrics import samples
from tests.llm.servers import Act, Hang, Say, Served, model_server
from tests.questions.scripted import with_model

ASKED = {"question": "How many clusters are there?"}
FORMS = ("application/json", "text/event-stream")
PLAN = {"steps": [{"id": "s1", "op": "knowledge.read", "params": {"table": "clusters"}}]}
PLANNED = Say(json.dumps({"plan": PLAN, "unanswerable": None}))
UNANSWERABLE = Say(json.dumps({"plan": None, "unanswerable": "Nobody knows."}))


def leave(url: str, form: str, asked: threading.Event) -> None:
    """Ask, and leave while the model thinks."""
    server, body = urlsplit(url), json.dumps(ASKED)
    request = [
        "POST /query HTTP/1.1",
        f"Host: {server.netloc}",
        f"Accept: {form}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "",
        body,
    ]
    # A client of httpx waits for its answer, and can't leave when something else happens.
    with socket.create_connection((server.hostname or "", server.port or 0)) as connection:
        connection.sendall("\r\n".join(request).encode())
        assert asked.wait(30)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("before", [[], [PLANNED]], ids=["planning", "telling"])
def test_a_client_that_leaves_takes_its_work_and_its_place_along(
    flights_project: Project, monkeypatch: pytest.MonkeyPatch, form: str, before: list[Act]
) -> None:
    monkeypatch.setattr(limits, "MOST_QUESTIONS", 1)
    monkeypatch.setattr(limits, "WAIT_SECONDS", 5)
    hang = Hang(threading.Event(), threading.Event(), "Of clusters, ")
    with model_server("openai", [*before, hang, UNANSWERABLE]) as model:
        project = with_model(flights_project, model, {"api_port": 0})
        app = create_app(project, allowed_hosts(project.settings))
        with served_app(app, project) as url:
            leave(url, form, hang.asked)
            assert hang.left.wait(5), "the model goes on"
            # Another question: the plan of the first may be known.
            second = httpx2.post(f"{url}/query", json={"question": "And nobody?"}, timeout=30)
            with httpx2.Client(base_url=url) as client:
                seconds_until(lambda: samples(client)["stupid_requests_in_flight"] == 1)
                found = samples(client)
            assert project.language_model and not project.language_model.failures
    assert "Nobody knows." in second.text, "the place wasn't free"
    assert len(model.requests) == len(before) + 2, "asked for nobody"
    if form != FORMS[-1]:
        assert found["stupid_requests_total{method=POST,route=/query,status=499}"] == 1
        assert found["stupid_request_timeouts_total"] == 0


@pytest.fixture
def thoughtful(
    flights_project: Project, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, Served]]:
    """A server whose model takes its time, and tells that it goes on ten times a second."""
    monkeypatch.setattr(query, "KEEP_ALIVE_SECONDS", 0.1)

    def answer(request: dict[str, Any]) -> Say:
        time.sleep(0.5)
        return Say("There are some.") if request.get("stream") else PLANNED

    with model_server("openai", answer) as model:
        project = with_model(flights_project, model, {"api_port": 0})
        with served_app(create_app(project), project) as url:
            yield url, model


def test_comments_keep_the_line_open_while_the_model_thinks(
    thoughtful: tuple[str, Served],
) -> None:
    url, _ = thoughtful
    headers = {"Accept": "text/event-stream"}
    with httpx2.stream("POST", f"{url}/query", json=ASKED, headers=headers, timeout=0.4) as answer:
        blocks = "".join(answer.iter_text()).split("\n\n")
    kinds = [block.split("\n")[0] for block in blocks if block]
    comments = [at for at, kind in enumerate(kinds) if kind.startswith(":")]
    assert len(comments) >= 4
    assert comments[0] == 0 < kinds.index("event: plan") < comments[-1] < len(kinds) - 1
    assert kinds[-1] == "event: done"
    with Client(url) as api:
        names = [event.name for event in api.ask_stream(ASKED["question"])]
    assert names == ["plan", "progress", "render", "text", "done"]
