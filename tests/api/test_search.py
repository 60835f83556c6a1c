"""Searches over HTTP: how many there are is known, not guessed."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from fastapi.testclient import TestClient

DAY = {"first_day": "2013-02-09", "last_day": "2013-02-09"}


@pytest.mark.parametrize("of", ["texts", "events"])
@pytest.mark.parametrize("mode", ["text", "vector", "hybrid"])
def test_truncated_says_whether_there_are_more(client: TestClient, of: str, mode: str) -> None:
    def asked(limit: int) -> dict[str, Any]:
        params = {"text": "Honolulu", "mode": mode, "of": of, "limit": limit, "per_text": 1, **DAY}
        params["event_type"] = "Departure"
        return client.get("/search", params=params).json()

    whole = asked(5000)
    there = len(whole["rows"])
    assert 1 < there < 5000
    assert (whole["truncated"], whole["total"]) == (False, there)
    exact, less = asked(there), asked(there - 1)
    assert (exact["truncated"], exact["total"], len(exact["rows"])) == (False, there, there)
    assert (less["truncated"], less["total"], len(less["rows"])) == (True, None, there - 1)
    if mode == "text":
        assert exact["rows"] == whole["rows"]


def test_as_many_as_an_answer_may_have_can_be_asked_for(client: TestClient) -> None:
    answer = client.get("/search?text=Honolulu&mode=text&limit=100000")
    assert answer.status_code == 200
    assert client.get("/search?text=Honolulu&mode=text&limit=100001").status_code == 422


@pytest.mark.parametrize("of", ["texts", "events"])
def test_hits_are_a_frame(client: TestClient, of: str) -> None:
    body = {"text": "cancelled flight from Newark", "of": of, "limit": 4}
    told = client.post("/search", json=body).json()
    media = "application/vnd.apache.arrow.stream"
    for answer in (
        client.get("/search", params=body, headers={"Accept": media}),
        client.post("/search", json=body, headers={"Accept": media}),
    ):
        frame = pl.read_ipc_stream(answer.content)
        assert frame.columns == [*told["rows"][0]]
        assert frame["text"].to_list() == [row["text"] for row in told["rows"]]
        assert answer.headers["x-truncated"] == "true"


def test_an_empty_text_beside_a_document_is_told_as_both(client: TestClient) -> None:
    answer = client.get("/search?text=&document=2013-02-08/Departure/17")
    assert answer.status_code == 422
    assert "not by both" in answer.json()["detail"]
