"""Plans over HTTP: run, checked, explained; every mistake at once."""

from __future__ import annotations

import io
import time
from typing import Any

import polars as pl
import pytest
from fastapi.testclient import TestClient

from stupid_dagster.api.examples.plans import PLAN_BODY
from stupid_dagster.api.routes import plans
from stupid_dagster.deadline import deadline
from stupid_dagster.errors import NotFoundError
from stupid_dagster.query import Page
from stupid_dagster.query.plans import ops

WRONG = {
    "steps": [
        {"id": "a", "op": "documents.scan", "params": {"event_type": "Departur", "limit": 0}},
        {"id": "b", "op": "table.aggregate", "params": {"rows": {"ref": "c"}}},
    ]
}
PLACES = ["steps[0].params.limit", "steps[0].params.event_type", "steps[1].params.rows.ref"]


def test_the_shown_steps_rows_alone_or_those_of_all(client: TestClient) -> None:
    shown = client.post("/plans", json=PLAN_BODY).json()
    everything = client.post("/plans?steps=all", json=PLAN_BODY).json()

    assert shown["rows"] == everything["rows"] == everything["steps"][2]["rows"]
    assert shown["render"]["x"] in shown["rows"][0]
    assert shown["total"] == len(shown["rows"]) > 1
    assert all("rows" not in step for step in shown["steps"])
    assert [len(step["rows"]) for step in everything["steps"]] == [
        step["count"] for step in shown["steps"]
    ]
    assert shown["steps"][0]["truncated"]
    assert shown["steps"][2]["partial"]


@pytest.mark.parametrize("path", ["/plans", "/plans/explain"])
def test_all_mistakes_come_as_one_problem(client: TestClient, path: str) -> None:
    response = client.post(path, json=WRONG)

    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    errors = response.json()["errors"]
    assert [error["where"] for error in errors] == PLACES
    assert "did you mean 'Departure'?" in errors[1]["message"]


def test_a_check_tells_them_as_its_answer(client: TestClient) -> None:
    wrong = client.post("/plans/validate", json=WRONG).json()
    right = client.post("/plans/validate", json=PLAN_BODY).json()

    assert not wrong["valid"]
    assert [problem["where"] for problem in wrong["problems"]] == PLACES
    assert right["valid"]
    assert right["problems"] == []
    assert right["plan"]["steps"][1]["depends_on"] == ["unusual"]
    assert client.post("/plans/validate", json=right["plan"]).json()["plan"] == right["plan"]


def test_an_explanation_reads_no_documents(client: TestClient) -> None:
    steps = client.post("/plans/explain", json=PLAN_BODY).json()["steps"]

    assert [step["level"] for step in steps] == [1, 2, 3]
    assert steps[1]["files"] == 2
    assert 0 < steps[1]["estimated_rows"] < steps[1]["stored_rows"]
    assert "actor unusual.actor" in steps[1]["pushed_down"]
    assert steps[2]["columns"] == ["origin", "count", "dep_delay_mean"]


def test_the_shown_steps_rows_as_csv_and_arrow(client: TestClient) -> None:
    rows = client.post("/plans", json=PLAN_BODY).json()["rows"]

    csv = client.post("/plans", json=PLAN_BODY, headers={"Accept": "text/csv"})
    arrow = client.post(
        "/plans", json=PLAN_BODY, headers={"Accept": "application/vnd.apache.arrow.stream"}
    )

    assert pl.read_csv(io.BytesIO(csv.content)).to_dicts() == rows
    assert pl.read_ipc_stream(io.BytesIO(arrow.content)).to_dicts() == rows


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", "application/json"),
        (b"{", "application/json"),
        (b"[" * 50_000, "application/json"),
        (b"3", "application/json"),
        (b'{"steps": []}', "application/json"),
        (b'{"steps": [{"id": "a", "op": ["x"], "params": 1}]}', "application/json"),
        (b'{"steps": [{"id": "\\ud800", "op": "x"}]}', "application/json"),
        (b'{"steps": [' + b"1" * 5_000 + b"]}", "application/json"),
        (b"steps: []", "application/yaml"),
    ],
)
def test_what_is_no_plan_is_refused(client: TestClient, body: bytes, content_type: str) -> None:
    response = client.post("/plans", content=body, headers={"Content-Type": content_type})

    assert response.status_code in (400, 422), response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["detail"]
    assert ("Content-Type" in response.json()["detail"]) == (content_type != "application/json")


def test_a_failed_step_is_told_in_json_and_refused_as_csv(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Page:
        raise NotFoundError("it isn't there")

    monkeypatch.setitem(ops._OPS, "documents.scan", fail)

    answer = client.post("/plans", json=PLAN_BODY)
    assert answer.status_code == 200
    assert [step["status"] for step in answer.json()["steps"]] == ["ok", "failed", "skipped"]
    assert answer.json()["status"] == "skipped"
    assert answer.json()["rows"] == []
    refused = client.post("/plans", json=PLAN_BODY, headers={"Accept": "text/csv"})
    assert refused.status_code == 400
    assert "late" in refused.json()["detail"]


def test_answers_have_a_bound_of_bytes(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = client.post("/plans?steps=all", json=PLAN_BODY).json()
    monkeypatch.setattr(plans, "MOST_BYTES", 20)
    monkeypatch.setattr(plans, "MOST_BYTES_A_STEP", 300)

    cut = client.post("/plans?steps=all", json=PLAN_BODY).json()

    assert 0 < len(cut["rows"]) < len(whole["rows"])
    assert cut["truncated"] and not whole["truncated"]
    for step, before in zip(cut["steps"], whole["steps"], strict=True):
        assert step["count"] == before["count"]
        assert step["rows"] == before["rows"][: len(step["rows"])]
    assert 0 < len(cut["steps"][1]["rows"]) < len(whole["steps"][1]["rows"])


def test_long_lists_do_not_make_answers_huge(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = pl.DataFrame({"n": range(1_000), "ids": [["x" * 50] * 2_000] * 1_000})
    monkeypatch.setitem(ops._OPS, "documents.scan", lambda *_: Page(rows, 1_000, False, 1_000))
    body = {"steps": [PLAN_BODY["steps"][0], PLAN_BODY["steps"][1]]}

    answer = client.post("/plans?steps=all", json=body)

    assert len(answer.content) < plans.MOST_BYTES + 3 * plans.MOST_BYTES_A_STEP
    step = answer.json()["steps"][1]
    assert step["count"] == 1_000
    assert 0 < len(step["rows"]) <= 20
    assert step["rows"][0] == {"n": 0, "ids": ["x" * 50] * 2_000}


def test_no_time_is_left_for_writing(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans, "_fitting", lambda rows, _: (time.sleep(0.05), rows)[1])
    monkeypatch.setattr(plans, "deadline", lambda seconds: deadline(min(seconds, 0.01)))
    for path in ("/plans", "/plans?steps=all"):
        answer = client.post(path, json=PLAN_BODY)
        assert answer.status_code == 504
