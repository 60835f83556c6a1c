"""Parameters: given once, and documents and values by one name each."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from stupid_dagster.query import parse_filter


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("/knowledge/pagerank?limit=1&limit=5", "limit"),
        ("/documents?event_type=Departure&event_type=Cancellation", "event_type"),
        ("/graph/neighbors?id=airport:JFK&direction=in&direction=in", "direction"),
        ("/knowledge/trends?first_day=2013-02-08&first_day=2013-02-09", "first_day"),
        ("/snapshot?as_of=2013-02-09&as_of=2013-02-09", "as_of"),
    ],
)
def test_one_value_given_twice_is_refused(client: TestClient, url: str, name: str) -> None:
    answer = client.get(url)
    assert answer.status_code == 422
    assert answer.json()["detail"] == f"{name}: given 2 times; it takes one value"


def test_lists_are_given_as_often_as_one_likes(client: TestClient, app: FastAPI) -> None:
    for url in (
        "/graph/traverse?id=carrier:HA&id=airport:JFK&edge_type=StartsAt&edge_type=EndsAt",
        "/documents?event_type=Departure&filter=origin:eq:JFK&filter=dep_delay:gt:60",
        "/knowledge/insights?severity=critical&severity=info",
    ):
        assert client.get(url).status_code == 200, url


@pytest.mark.parametrize(
    "row", ["017", "0017", "+17", "-0", "17.0", "1_7", " 17", "\u0661\u0667", "1e1"]
)
def test_a_document_has_one_id(client: TestClient, row: str) -> None:
    assert client.get("/documents/2013-02-08/Departure/17").status_code == 200
    assert client.get("/documents/2013-02-08/Departure/0").status_code == 200
    answer = client.get(f"/documents/2013-02-08/Departure/{row}")
    assert answer.status_code == 404
    assert "is no document id" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a,b", ["a", "b"]),
        (r"a\,b", ["a,b"]),
        (r"a\,b,c", ["a,b", "c"]),
        (r"a\\,b", ["a\\", "b"]),
        (r"a\\\,b", ["a\\,b"]),
        ("C:\\x,\\", ["C:\\x", "\\"]),
        ("", [""]),
        (",", ["", ""]),
    ],
)
def test_values_with_commas(text: str, values: list[str]) -> None:
    assert parse_filter(f"origin:in:{text}").value == values


def test_a_value_with_a_comma_is_found(client: TestClient) -> None:
    rows: list[dict[str, Any]] = client.get("/knowledge/clusters").json()["rows"]
    told = next(row["description"] for row in rows if "," in row["description"])
    escaped = told.replace("\\", r"\\").replace(",", r"\,")
    given = {"filter": f"description:in:{escaped},another"}
    found = client.get("/knowledge/clusters", params=given).json()["rows"]
    assert {row["description"] for row in found} == {told}
    plain = {"filter": f"description:in:{told},another"}
    assert client.get("/knowledge/clusters", params=plain).json()["rows"] == []
