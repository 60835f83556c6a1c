"""Every route: its place on the OpenAPI page, the shape of its answer, and what is in it."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime
from typing import Any

import httpx2
import jsonschema
import polars as pl
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from stupid_dagster.project import Project
from stupid_dagster.query import SnapshotReader
from stupid_dagster.stores.snapshots import open_snapshot
from tests.api.urls import OTHERS, POSTS, QUESTIONS, ROUTES, STREAMS, URLS
from tests.query.landing import landing

ITEMS = {
    "/knowledge/patterns/{pattern_id}",
    "/knowledge/anomalies/{actor}",
    "/knowledge/insights/{insight_id}",
    "/knowledge/insights/digest",
    "/knowledge/trends/{trend}",
}


@pytest.fixture(scope="session")
def page(app: FastAPI) -> dict[str, Any]:
    return app.openapi()


def ask(client: TestClient, method: str, path: str) -> httpx2.Response:
    """Return the answer to these tests' request to a route."""
    if method == "get":
        return client.get(URLS[path])
    url, body = POSTS[path]
    return client.post(url, json=body)


def get(client: TestClient, url: str) -> dict[str, Any]:
    response = client.get(url)
    assert response.status_code == 200, response.text
    return response.json()


def test_every_route_is_known_to_these_tests(page: dict[str, Any]) -> None:
    assert set(page["paths"]) == set(URLS) | set(POSTS) | STREAMS | QUESTIONS | OTHERS
    operations = [operation for found in page["paths"].values() for operation in found.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_route_is_described(page: dict[str, Any], method: str, path: str) -> None:
    methods = {one for one, known in ROUTES if known == path}
    assert set(page["paths"][path]) == methods, "a method that these tests don't know"
    operation = page["paths"][path][method]
    assert len(operation["description"]) > 10
    assert {"401", "404", "422", "503"} <= set(operation["responses"])
    for parameter in operation.get("parameters", []):
        assert parameter.get("description"), parameter["name"]
        if parameter["in"] == "path":
            assert parameter["schema"].get("examples") or parameter.get("example")


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_answer_is_as_the_page_says(
    client: TestClient, page: dict[str, Any], method: str, path: str
) -> None:
    """Nothing is in an answer that the page doesn't have, and the other way round."""
    answer = ask(client, method, path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    content = page["paths"][path][method]["responses"]["200"]["content"]["application/json"]
    # A row may lack columns where `columns` is asked by: here it isn't, so it has them all.
    shapes = {
        name: shape | {"required": [*shape["properties"]]} if name.endswith("Row") else shape
        for name, shape in page["components"]["schemas"].items()
    }
    schema = content["schema"] | {"components": {"schemas": shapes}}
    validator = jsonschema.Draft202012Validator(schema)
    tree = json.loads(answer.content, parse_constant=pytest.fail)
    assert [error.message for error in validator.iter_errors(tree)] == []
    if "example" in content:
        assert [error.message for error in validator.iter_errors(content["example"])] == []


@pytest.mark.parametrize(("method", "path"), [one for one in ROUTES if one[1] != "/health"])
def test_every_answer_states_snapshot_and_window(
    client: TestClient, flights_project: Project, method: str, path: str
) -> None:
    answer = ask(client, method, path).json()
    assert answer["snapshot"] == open_snapshot(flights_project.lake).manifest.id
    assert answer["window"] == {"first_day": "2013-01-11", "last_day": "2013-02-09", "days": 4}


@pytest.mark.parametrize(
    "path",
    [
        path
        for path in URLS
        if (path.startswith("/knowledge/") and path not in ITEMS)
        or path in ("/documents", "/graph/neighbors", "/graph/traverse")
    ],
)
def test_many_rows_come_in_parts_that_say_so(client: TestClient, path: str) -> None:
    url = URLS[path].replace("&limit=50", "")
    whole = get(client, url)
    assert not whole["truncated"] or whole["total"] is None
    assert len(whole["rows"]) >= 2
    joint = "&" if "?" in url else "?"
    part = get(client, f"{url}{joint}limit=1")
    assert part["truncated"] is True
    assert part["limit"] == 1
    assert part["rows"] == whole["rows"][:1]


def test_documents_page_by_page(client: TestClient, flights_project: Project) -> None:
    raw = landing(flights_project, "Departure", "2013-02-08")
    day = "/documents?event_type=Departure&first_day=2013-02-08&last_day=2013-02-08"
    rows, cursor = [], None
    while not rows or cursor:
        answer = get(client, f"{day}&limit=200" + (f"&cursor={cursor}" if cursor else ""))
        rows += answer["rows"]
        cursor = answer["next_cursor"]

    assert get(client, day)["total"] == len(rows) == raw.height
    found = {(r["carrier"], r["flight"], r["origin"], r["dest"]) for r in rows}
    assert found == set(raw.select("carrier", "flight", "origin", "dest").iter_rows())
    assert {len(row["text_id"]) for row in rows} == {16}
    assert all(datetime.fromisoformat(row["timestamp"]).tzinfo for row in rows)
    assert len({row["doc_id"] for row in rows}) == len(rows)


def test_documents_by_filters_actor_and_columns(
    client: TestClient, flights_project: Project
) -> None:
    raw = landing(flights_project, "Departure")
    late = raw.filter(
        pl.col("dep_delay").cast(pl.Float64) > 60, pl.col("origin").is_in(["JFK", "LGA"])
    )
    url = "/documents?event_type=Departure&filter=dep_delay:gt:60&filter=origin:in:JFK,LGA"

    rows = get(client, f"{url}&columns=tailnum,dep_delay")["rows"]

    assert sorted(row["tailnum"] for row in rows) == sorted(late["tailnum"])
    assert set(rows[0]) == {"doc_id", "tailnum", "dep_delay"}
    tail = rows[0]["tailnum"]
    of_it = get(client, f"/documents?event_type=Departure&actor=aircraft:{tail}")["rows"]
    assert len(of_it) == raw.filter(tailnum=tail).height


def test_a_document_and_its_text_in_the_search(client: TestClient) -> None:
    nearest = get(client, URLS["/search"])["rows"][0]

    answer = get(client, f"/documents/{nearest['example']}")

    assert answer["text"] == nearest["text"]
    assert answer["document"]["text_id"] == nearest["text_id"]


def test_search_by_event_type_and_day(client: TestClient) -> None:
    url = "/search?text=snow&event_type=WeatherReport&event_type=Departure&last_day=2013-02-06"
    rows = get(client, url)["rows"]

    assert len(rows) == 10
    assert {row["event_type"] for row in rows} <= {"WeatherReport", "Departure"}
    assert all("2013-02-06" in row["days"] for row in rows)


def test_knowledge_by_parameters(client: TestClient) -> None:
    airports = get(client, "/knowledge/pagerank?type=Airport&limit=3")
    assert [row["type_rank"] for row in airports["rows"]] == [1, 2, 3]
    assert airports["total"] == 95
    one = get(client, "/knowledge/degrees?entity_id=airport:JFK")["rows"]
    assert [row["entity_id"] for row in one] == ["airport:JFK"]

    url = "/knowledge/trends?metric=cancellations&dimension=&first_day=2013-02-08"
    assert [row["value"] for row in get(client, url)["rows"]] == [472, 393]
    split = get(client, "/knowledge/trends?dimension=origin&member=EWR&metric=departures")["rows"]
    assert len(split) == 4
    assert {row["member"] for row in split} == {"EWR"}
    severities = get(client, "/knowledge/trends?severity=critical&severity=significant")["rows"]
    assert {row["severity"] for row in severities} <= {"critical", "significant"}

    kinds = get(client, "/knowledge/insights?kind=community")["rows"]
    assert {row["kind"] for row in kinds} == {"community"}
    assert isinstance(kinds[0]["evidence"], dict)
    large = get(client, "/knowledge/communities?min_size=100&sort=size")["rows"]
    sizes = [row["size"] for row in large]
    assert sizes == sorted(sizes)
    assert min(sizes) >= 100


def test_answers_are_the_readers(client: TestClient, flights_project: Project) -> None:
    with SnapshotReader(flights_project, open_snapshot(flights_project.lake)) as reader:
        segment, members = reader.cluster("cluster:0")
        answer = get(client, URLS["/knowledge/clusters/{cluster_id}"])
        assert answer["cluster"] == segment
        assert answer["rows"] == members.rows.to_dicts()
        assert get(client, "/catalog")["catalog"] == reader.catalog()
        neighbors = reader.neighbors("airport:JFK", limit=100).rows
        rows = get(client, URLS["/graph/neighbors"])["rows"]
        assert [row["neighbor"] for row in rows] == neighbors["neighbor"].to_list()
        assert [datetime.fromisoformat(row["last_seen"]) for row in rows] == neighbors[
            "last_seen"
        ].to_list()


def test_the_snapshot_says_what_it_consists_of(
    client: TestClient, flights_project: Project
) -> None:
    answer = get(client, "/snapshot")

    manifest = open_snapshot(flights_project.lake).manifest
    assert answer["embedder_id"] == flights_project.embedder.model_id
    assert answer["days"] == manifest.days
    documents = answer["tables"]["documents"]
    assert documents["partitions"] == 4
    assert documents["rows"] == sum(v.rows for v in manifest.of("documents").values())


def test_a_timeline_states_fields_as_json_in_json_and_as_text_elsewhere(
    client: TestClient,
) -> None:
    url = "/actors/aircraft:N328AA/timeline?first_day=2013-01-11"
    rows = get(client, url)["rows"]
    assert rows and rows[0]["fields"]["tailnum"] == "N328AA"
    answer = client.get(url, headers={"Accept": "text/csv"})
    texts = [row["fields"] for row in csv.DictReader(io.StringIO(answer.text))]
    assert [json.loads(text) for text in texts] == [row["fields"] for row in rows]
    assert get(client, f"{url}&event_type=WeatherReport")["rows"] == []


def test_who_has_no_timeline_is_told_so(client: TestClient) -> None:
    answer = client.get("/actors/carrier:UA/timeline")
    assert answer.status_code == 422
    assert "only entities of type Aircraft" in answer.json()["detail"]
    assert client.get("/actors/carrier:ua/timeline").status_code == 404


def test_unknown_tables_are_not_found_and_others_say_where_they_are(client: TestClient) -> None:
    other = client.get("/knowledge/cluster_members")
    assert other.status_code == 404
    assert "/knowledge/tables/cluster_members has that table" in other.json()["detail"]
    unknown = client.get("/knowledge/tables/cluster_member")
    assert unknown.status_code == 404
    assert "did you mean 'cluster_members'" in unknown.json()["detail"]


def test_knowledge_by_filters_on_any_column(client: TestClient) -> None:
    rows = get(client, "/knowledge/pagerank?filter=type:eq:Airport&filter=type_rank:le:3")["rows"]
    assert [row["type_rank"] for row in rows] == [1, 2, 3]
    keyed = get(
        client, "/knowledge/tables/cluster_members?filter=cluster_id:in:cluster:0,cluster:1"
    )
    assert {row["cluster_id"] for row in keyed["rows"]} <= {"cluster:0", "cluster:1"}
    assert keyed["total"] > 0
    started = get(client, "/knowledge/degrees?filter=entity_id:starts_with:carrier:")
    assert {row["type"] for row in started["rows"]} == {"Carrier"}
    wrong = client.get("/knowledge/pagerank?filter=type_rank:le:x&filter=tpe:eq:Airport")
    assert wrong.status_code == 422
    assert "did you mean 'type'" in wrong.json()["detail"]
    assert "whole number" in wrong.json()["detail"]


@pytest.mark.parametrize(
    ("path", "columns"),
    [
        ("/knowledge/insights", ["title", "rank"]),
        ("/knowledge/insights", ["plan", "title"]),
        ("/knowledge/clusters", ["label", "size"]),
        ("/knowledge/tables/text_clusters", None),
    ],
)
def test_rows_have_the_columns_that_are_asked_for(
    client: TestClient, path: str, columns: list[str] | None
) -> None:
    whole = get(client, path)
    columns = columns or [*whole["rows"][0]][1:3]
    asked = f"{path}?columns={columns[0]},%20{columns[1]},{columns[0]}"
    found = get(client, asked)
    assert [[*row] for row in found["rows"]] == [columns] * len(found["rows"])
    assert found["rows"] == [{name: row[name] for name in columns} for row in whole["rows"]]
    assert found["total"] == whole["total"]
    as_csv = client.get(f"{asked}&limit=1", headers={"Accept": "text/csv"})
    assert as_csv.text.startswith(",".join(columns) + "\n")
    assert as_csv.headers["X-Total"] == str(whole["total"])
    filtered = get(client, f"{asked}&sort={next(iter(whole['rows'][0]))}&limit=1")
    assert [*filtered["rows"][0]] == columns
    wrong = client.get(f"{path}?columns={columns[0]},{columns[1]}s")
    assert wrong.status_code == 422
    assert f"has no column '{columns[1]}s' (did you mean '{columns[1]}'" in wrong.json()["detail"]


def test_contrasts_are_the_same_asked_either_way(client: TestClient) -> None:
    asked = get(client, "/knowledge/contrast?cluster=cluster:0&limit=5")
    members = {
        "table": "cluster_members",
        "filters": [{"field": "cluster_id", "op": "eq", "value": "cluster:0"}],
    }
    as_text = members | {"filters": ["cluster_id:eq:cluster:0"]}
    for question in ({"cluster": "cluster:0"}, members, as_text):
        answer = client.post("/knowledge/contrast?limit=5", json=question)
        assert answer.status_code == 200
        assert answer.json() == asked
    assert len(asked["rows"]) == 5 and asked["truncated"]
    assert asked["actors"] + asked["rest"] > asked["actors"] > 0
    both = client.post("/knowledge/contrast", json={**members, "cluster": "cluster:0"})
    assert both.status_code == 422


def test_the_page_says_what_an_insights_status_and_since_mean(page: dict[str, Any]) -> None:
    row = page["components"]["schemas"]["InsightsRow"]["properties"]
    assert "Against the previous window" in row["status"]["description"]
    assert "not the day it happened on" in row["since"]["description"]
