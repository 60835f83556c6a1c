"""Questions over HTTP: a planner that follows a script, the real client, real stores."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx2
import jsonschema
import polars as pl
import pytest
from fastapi.testclient import TestClient

from stupid_dagster.api import create_app, limits
from stupid_dagster.llm.protocol import Usage
from stupid_dagster.project import Project
from tests.api.serving import served
from tests.api.test_metrics import samples
from tests.api.urls import QUESTIONS
from tests.llm.servers import COMPLETION_TOKENS, PROMPT_TOKENS, Say, Served, model_server
from tests.query.landing import landing
from tests.questions.scripted import scripted, with_model

QUESTION = "Which carriers cancelled most flights on 8 February?"
STREAM = {"Accept": "text/event-stream"}
TOLD = PLANNED, REPAIRED, SUMMED_UP = 0, 1, 2
WEATHER = (5,)
"""Numbers of exchanges of the script (conversation.yaml)."""


@contextmanager
def asked(project: Project, *exchanges: int) -> Iterator[tuple[TestClient, Served]]:
    with (
        scripted(project, *exchanges) as (told, server),
        TestClient(create_app(told), raise_server_exceptions=False) as client,
    ):
        yield client, server


def events(text: str) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for block in text.strip().split("\n\n"):
        name, data = block.split("\n")
        found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


@pytest.fixture(scope="module")
def cancelled(flights_project: Project) -> dict[str, int]:
    """Cancellations of 8 February by carrier, the most first, from the landing files."""
    raw = landing(flights_project, "Cancellation", "2013-02-08")
    counted = raw.group_by("carrier_name").len().sort("len", descending=True)
    return dict(counted.iter_rows())


def test_a_question_is_planned_repaired_run_and_told(
    flights_project: Project, cancelled: dict[str, int]
) -> None:
    with asked(flights_project, *TOLD) as (client, server):
        answer = client.post("/query", json={"question": QUESTION})
        assert answer.status_code == 200, answer.text
        told = answer.json()

    most = [*cancelled.items()][:3]
    assert [(row["carrier_name"], row["count"]) for row in told["rows"]] == most
    assert (told["total"], told["truncated"]) == (len(cancelled), True)
    assert told["repairs"] == 1
    assert told["cached"] is False
    assert told["model"] == told["text_by"] == "openai/scripted"
    assert [step["count"] for step in told["steps"]] == [sum(cancelled.values()), 3]
    assert told["plan"]["steps"][0]["params"]["event_type"] == "Cancellation"
    # The sentence with a number that stands nowhere is gone, the others are there.
    assert told["sentences_removed"] == 1
    assert told["text"] == (
        f"On 8 February 2013 {most[0][0]} cancelled most, {most[0][1]} flights. "
        "There were 472 cancellations in all."
    )
    assert told["usage"] == {
        "prompt_tokens": 3 * PROMPT_TOKENS,
        "completion_tokens": 3 * COMPLETION_TOKENS,
    }
    assert told["seconds"]["total"] >= told["seconds"]["plan"] > 0
    # The model was told all mistakes at once, and nothing but the catalog and the question.
    problems = server.requests[1]["messages"][-1]["content"]
    assert "steps[0].params.event_type" in problems
    assert "did you mean 'Cancellation'?" in problems
    assert "steps[1].params.rows.ref" in problems
    assert server.requests[0]["messages"][-1]["content"] == QUESTION
    assert "Departure" in server.requests[0]["messages"][0]["content"]


def test_the_same_in_events(flights_project: Project, cancelled: dict[str, int]) -> None:
    with asked(flights_project, *TOLD) as (client, _):
        answer = client.post("/query", json={"question": QUESTION}, headers=STREAM)
        assert answer.headers["content-type"].startswith("text/event-stream")
        found = events(answer.text)

    names = [name for name, _ in found]
    assert names == ["plan", "progress", "progress", "render", "text", "text", "done"]
    by_name = dict(found)
    assert by_name["plan"]["repairs"] == 1
    assert by_name["render"]["rows"][0]["count"] == max(cancelled.values())
    assert by_name["render"]["render"]["step"] == "s2"
    pieces = [data["text"] for name, data in found if name == "text"]
    assert "".join(pieces).strip() == by_name["done"]["text"]
    assert by_name["done"]["sentences_removed"] == 1
    assert Usage(**by_name["done"]["usage"]) == Usage(3 * PROMPT_TOKENS, 3 * COMPLETION_TOKENS)


def test_a_conversation(flights_project: Project, cancelled: dict[str, int]) -> None:
    with asked(flights_project) as (client, server):
        begun = client.post("/sessions").json()["session"]
        assert begun["turns"] == []
        body = {"question": QUESTION, "session": begun["id"]}
        assert client.post("/query", json=body).json()["session"] == begun["id"]
        body["question"] = "How did those develop on the 9th?"
        second = client.post("/query", json=body).json()
        context = server.requests[3]["messages"][1]["content"]
        session = client.get(f"/sessions/{begun['id']}").json()["session"]
        listed = client.get("/sessions")
        body["question"] = "What will the weather be tomorrow?"
        unanswerable = client.post("/query", json=body)
        gone = [client.delete(f"/sessions/{begun['id']}").status_code for _ in range(2)]
        no_session = client.post("/query", json=body)

    # "Those" are known by what was found.
    assert all(json.dumps(name) in context for name in [*cancelled][:3])
    assert QUESTION in context
    assert [turn["question"] for turn in session["turns"]] == [QUESTION, second["question"]]
    assert session["turns"][0]["found"]["carrier_name"] == [*cancelled][:3]
    assert (listed.json()["sessions"], listed.json()["most"]) == (1, 1000)
    assert begun["id"] not in listed.text, "who knows an id can read what others asked"
    # All that the model said was made up: the rule tells instead.
    assert second["text_by"] == "rule"
    assert second["sentences_removed"] == 1
    assert second["text"].startswith("Cancellations on 9 February: 3 rows. The first: ")
    raw = landing(flights_project, "Cancellation", "2013-02-09")
    wanted = raw.filter(pl.col("carrier_name").is_in([*cancelled][:3])).height
    assert sum(row["count"] for row in second["rows"]) == wanted
    assert unanswerable.status_code == 400
    assert "the data can't answer this: The data are of the past." in unanswerable.json()["detail"]
    assert gone == [204, 404]
    assert no_session.status_code == 404


def test_answers_and_examples_are_as_the_page_says(flights_project: Project) -> None:
    with asked(flights_project, *TOLD) as (client, _):
        begun = client.post("/sessions")
        session = begun.json()["session"]["id"]
        body = {"question": QUESTION, "session": session}
        answers = {
            ("/query", "post"): client.post("/query", json=body),
            ("/sessions", "post"): begun,
            ("/sessions", "get"): client.get("/sessions"),
            ("/sessions/{session_id}", "get"): client.get(f"/sessions/{session}"),
        }
        page = client.get("/openapi.json").json()
    for (path, method), answer in answers.items():
        operation = page["paths"][path][method]
        assert len(operation["description"]) > 10
        content = operation["responses"]["200"]["content"]["application/json"]
        schema = content["schema"] | {"components": page["components"]}
        for tree in (answer.json(), content["example"]):
            assert [*jsonschema.Draft202012Validator(schema).iter_errors(tree)] == []
    assert "text/event-stream" in page["paths"]["/query"]["post"]["responses"]["200"]["content"]
    assert {path for path, _ in answers} == QUESTIONS


def test_a_plan_is_made_once(flights_project: Project) -> None:
    with asked(flights_project, *TOLD, SUMMED_UP) as (client, server):
        first = client.post("/query", json={"question": QUESTION}).json()
        again = client.post("/query", json={"question": f"  {QUESTION} "}).json()
        planned = [request for request in server.requests if "response_format" in request]

    assert again["cached"] is True
    assert len(planned) == 2, "the plan and its repair"
    assert again["text"] == first["text"]
    assert again["usage"] == {
        "prompt_tokens": PROMPT_TOKENS,
        "completion_tokens": COMPLETION_TOKENS,
    }


@pytest.mark.parametrize(
    ("accept", "status", "media"),
    [
        (None, 200, "application/json"),
        ("*/*", 200, "application/json"),
        ("application/*", 200, "application/json"),
        ("text/event-stream", 200, "text/event-stream"),
        ("TEXT/event-stream; charset=utf-8", 200, "text/event-stream"),
        ("text/*", 200, "text/event-stream"),
        ("text/event-stream;q=0.5, application/json", 200, "application/json"),
        ("text/event-stream;q=0, */*", 200, "application/json"),
        ("application/json;q=0.1, text/event-stream;q=0.2", 200, "text/event-stream"),
        ("text/event-streams", 406, "application/problem+json"),
        ("text/csv", 200, "text/csv"),
        ("image/png", 406, "application/problem+json"),
    ],
)
def test_what_is_accepted_is_given(
    flights_project: Project, accept: str | None, status: int, media: str
) -> None:
    with asked(flights_project, *TOLD) as (client, server):
        del client.headers["accept"]
        headers = {"Accept": accept} if accept else {}
        answer = client.post("/query", json={"question": QUESTION}, headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"].split(";")[0] == media
    if status == 200:
        assert "Accept" in answer.headers["vary"]
        if media == "text/csv":
            assert answer.text.splitlines()[0] == "carrier_name,count"
    else:
        assert "application/json or text/event-stream or text/csv" in answer.json()["detail"]
        assert server.requests == []


def test_what_is_taken_is_counted_and_connections_are_closed(flights_project: Project) -> None:
    with asked(flights_project, *TOLD) as (client, _):
        bare = samples(client)
        client.post("/query", json={"question": QUESTION})
        found = samples(client)
        model = client.app.state.project.language_model  # type: ignore[attr-defined]
        used = model.models[0]._connected.client
        assert not used.is_closed()
    assert not [name for name in bare if "tokens" in name]
    label = "model=scripted,provider=openai"
    tokens = "stupid_language_model_tokens_total"
    assert found[f"{tokens}{{kind=prompt,{label}}}"] == 3 * PROMPT_TOKENS
    assert found[f"{tokens}{{kind=completion,{label}}}"] == 3 * COMPLETION_TOKENS
    assert found["stupid_requests_total{method=POST,route=/query,status=200}"] == 1
    assert found["stupid_rows_served_total"] == 3
    assert used.is_closed(), "with the app"


def test_what_it_costs_is_counted_where_there_is_a_price(flights_project: Project) -> None:
    prices = {"openai/scripted": (1.0, 10.0)}
    with scripted(flights_project, *TOLD) as (told, server):
        priced = with_model(told, server, {"llm_prices": prices})
        with TestClient(create_app(priced)) as client:
            client.post("/query", json={"question": QUESTION})
            found = samples(client)
    cost = 3 * (PROMPT_TOKENS + 10 * COMPLETION_TOKENS) / 1e6
    name = "stupid_language_model_dollars_total{model=scripted,provider=openai}"
    assert found[name] == pytest.approx(cost)


def test_questions_wait_for_their_own_kind_alone(
    flights_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MOST_QUESTIONS", 1)
    monkeypatch.setattr(limits, "WAIT_SECONDS", 0.5)
    begun, end = threading.Event(), threading.Event()

    def answer(_: dict[str, Any]) -> Say:
        begun.set()
        end.wait(20)
        return Say(json.dumps({"plan": None, "unanswerable": "Nobody knows."}))

    with model_server("openai", answer) as model, ThreadPoolExecutor(1) as thread:
        project = with_model(flights_project, model, {"api_port": 0, "api_concurrency": 1})
        with served(project) as url:
            first = thread.submit(
                httpx2.post, f"{url}/query", json={"question": QUESTION}, timeout=30
            )
            assert begun.wait(10)
            second = httpx2.post(f"{url}/query", json={"question": QUESTION})
            search = httpx2.get(f"{url}/search?text=snow&limit=1", timeout=30)
            end.set()
            assert first.result(30).status_code == 400
            third = httpx2.post(f"{url}/query", json={"question": QUESTION}, timeout=30)
    assert second.status_code == 503
    assert second.headers["retry-after"]
    assert search.status_code == 200, "others go on meanwhile"
    assert third.status_code == 400, "the place is free again"


def test_without_a_model_it_is_told_what_to_set(client: TestClient) -> None:
    for headers in ({}, STREAM):
        answer = client.post("/query", json={"question": QUESTION}, headers=headers)
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"
        assert "llm = " in answer.json()["detail"]
        assert "POST /plans" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"question": ""}, 422),
        ({"question": "   "}, 422),
        ({"question": "x" * 2001}, 422),
        ({"question": "Who?", "sesion": "x"}, 422),
        ({"question": "Who?", "session": "nobody's"}, 404),
        ({"question": "Who?", "as_of": "2013-01-01"}, 404),
        ({"question": "Who?", "as_of": 86_400}, 422),  # A number is no day, in seconds of 1970.
    ],
)
def test_bad_questions(flights_project: Project, body: dict[str, Any], status: int) -> None:
    with asked(flights_project) as (client, server):
        answer = client.post("/query", json=body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert server.requests == []


def test_a_model_that_fails_is_a_503_and_an_error_event(flights_project: Project) -> None:
    with asked(flights_project, *WEATHER) as (client, _):
        answer = client.post("/query", json={"question": QUESTION})
        found = events(client.post("/query", json={"question": QUESTION}, headers=STREAM).text)
    assert answer.status_code == 503
    assert "openai/scripted: HTTP 400: " in answer.json()["detail"]
    assert "that is not in the script" in answer.json()["detail"]
    assert [name for name, _ in found] == ["error"]
    assert found[0][1]["status"] == 503


def test_what_was_found_in_a_snapshot_that_is_gone_is_forgotten(
    flights_project: Project,
) -> None:
    with asked(flights_project, *TOLD) as (client, server):
        questions = client.app.state.questions  # type: ignore[attr-defined]
        begun = client.post("/sessions").json()["session"]["id"]
        client.post("/query", json={"question": QUESTION, "session": begun})
        assert len(questions.sessions.find(begun).turns) == len(questions.plans) == 1
        questions.keep_only({"another snapshot"})
        assert client.get(f"/sessions/{begun}").json()["session"]["turns"] == []
        assert client.get(f"/sessions/{begun}").json()["session"]["forgotten"] == 1
        assert len(questions.plans) == 0
        client.post("/query", json={"question": "And those?", "session": begun})
        _, forgotten, last = server.requests[-1]["messages"]
    assert "results are forgotten" in forgotten["content"]
    assert last["content"] == "And those?"
