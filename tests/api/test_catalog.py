"""The catalog's parts, against the landing files and each other."""

from __future__ import annotations

import json
from typing import Any

import polars as pl
from fastapi.testclient import TestClient

from stupid_dagster.project import Project
from tests.query.landing import landing


def get(client: TestClient, url: str) -> dict[str, Any]:
    response = client.get(url)
    assert response.status_code == 200, response.text
    return response.json()


def test_parts_are_those_of_the_whole(client: TestClient) -> None:
    whole = get(client, "/catalog")["catalog"]
    for part, kind in (
        ("events", "event_type"),
        ("entities", "entity_type"),
        ("knowledge", "table"),
    ):
        page = get(client, f"/catalog/{part}")
        assert {row.pop(kind): row for row in page["rows"]} == whole[part]
        assert page["total"] == len(whole[part]) and not page["truncated"]
    for part, kind in (("events", "event_type"), ("entities", "entity_type")):
        for name, told in whole[part].items():
            answer = get(client, f"/catalog/{part}/{name}")
            assert answer.pop(kind) == name
            assert {key: answer[key] for key in told} == told
            assert answer.keys() - told.keys() == {"snapshot", "window"}


def test_lists_are_frames_too(client: TestClient) -> None:
    for part, nested in (
        ("events", "fields"),
        ("entities", "properties"),
        ("knowledge", "parameters"),
    ):
        rows = get(client, f"/catalog/{part}")["rows"]
        for media, read in (
            ("text/csv", pl.read_csv),
            ("application/vnd.apache.arrow.stream", pl.read_ipc_stream),
        ):
            answer = client.get(f"/catalog/{part}", headers={"Accept": media})
            frame = read(answer.content)
            assert frame[:, 0].to_list() == [next(iter(row.values())) for row in rows]
            assert [json.loads(text) for text in frame[nested]] == [row[nested] for row in rows]
    assert frame["columns"].to_list() == [row["columns"] for row in rows]


def test_an_event_type_is_what_its_landing_files_hold(
    client: TestClient, flights_project: Project
) -> None:
    raw = landing(flights_project, "Cancellation")
    told = get(client, "/catalog/events/Cancellation")

    assert told["documents"] == raw.height
    for field, found in told["fields"].items():
        values = raw.select(pl.col(field).cast(pl.String)).to_series()
        values = values.filter(values != "NA")
        assert found["missing"] == (raw.height - len(values)) / raw.height, field
        if found["distinct_is_exact"]:
            assert found["distinct"] == values.n_unique(), field
        counts = dict(values.value_counts().iter_rows())
        if found["type"] == "string":
            assert all(t["at_least"] <= counts[t["value"]] for t in found["top_values"]), field
            assert found["top_values"], field


def test_an_entity_type_is_what_its_landing_files_hold(
    client: TestClient, flights_project: Project
) -> None:
    raw = pl.concat(
        landing(flights_project, name).select("origin", "dest")
        for name in ("Departure", "Cancellation")
    )
    airports = pl.concat([raw["origin"], raw["dest"]]).value_counts().sort("count", descending=True)
    told = get(client, "/catalog/entities/Airport")

    assert (told["prefix"], told["nodes"]) == ("airport", airports.height)
    assert told["examples"][:3] == [f"airport:{key}" for key in airports["origin"].head(3)]
    assert "StartsAt" in told["edges"] and "FlownBy" not in told["edges"]
    for example in told["examples"]:
        assert get(client, f"/graph/nodes/{example}")["node"]["type"] == "Airport"


def test_types_that_are_not_there(client: TestClient) -> None:
    for url, said in {
        "/catalog/entities/airport": "did you mean 'Airport'",
        "/catalog/entities/..%2F..": "there is no entity type",
        "/catalog/events/Depature": "did you mean 'Departure'",
    }.items():
        answer = client.get(url)
        assert answer.status_code == 404
        assert said in answer.json()["detail"]
    assert client.get("/catalog/events?event_type=Departure").status_code == 422
