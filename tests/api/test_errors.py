"""What can't be answered: problem+json that says what is wrong, and never a failure."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any
from urllib.parse import quote

import polars as pl
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stupid_dagster import errors
from stupid_dagster.api import create_app
from stupid_dagster.api.answers import Answers
from stupid_dagster.api.errors import status_of
from stupid_dagster.project import Project
from stupid_dagster.query import SnapshotReader
from stupid_dagster.stores.snapshots import open_snapshot
from tests.api.urls import POSTS, STREAMS, URLS

HOSTILE = [
    *("'", '"', "`", "\\", "%00", "%", "%%", "%2e%2e%2f", "../", "../../../etc/passwd", "//"),
    *("日本語", "🛫", "\u202e", "a" * 8000, "'; DROP TABLE x; --", "' OR '1'='1"),
    *("MATCH (n) DETACH DELETE n", "{{7*7}}", "<script>", "${x}", "\x00", "\ud7ff", "\r\nX: y"),
    *("-1", "0", "1e309", "NaN", "null", "true", "9" * 5000, "2013-02-30", "[]", "{}", ","),
]


def problem(client: TestClient, url: str, status: int) -> dict[str, Any]:
    response = client.get(url)
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    tree = response.json()
    assert tree["status"] == status
    assert tree["type"].startswith("urn:stupid-dagster:")
    assert tree["instance"] == url.partition("?")[0]
    return tree


@pytest.mark.parametrize(
    ("url", "status", "detail"),
    [
        ("/nothing", 404, "/docs lists"),
        ("/knowledge/cluster", 404, "did you mean '/knowledge/clusters'"),
        ("/documents/2013-02-08/Departure/99999", 404, "counted from 0"),
        ("/documents/nothing", 404, "one looks like 2013-02-08/Departure/17"),
        ("/catalog/events/Depature", 404, "did you mean 'Departure'"),
        ("/graph/nodes/airport:XYZ", 404, "no entity 'airport:XYZ'"),
        ("/graph/nodes/airpot:JFK", 404, "'airpot:JFK' (did you mean 'airport:JFK'?)"),
        ("/graph/nodes/airpot:XYZ", 404, "did you mean 'airport'?"),
        ("/graph/path?source=JFK&target=airport:LAX", 404, "'JFK' (did you mean 'airport:JFK'?)"),
        ("/graph/neighbors?id=airport:XYZ", 404, "no entity 'airport:XYZ'"),
        ("/knowledge/clusters/cluster:99", 404, "have no 'cluster:99'"),
        ("/knowledge/communities/x", 404, "have no 'x'"),
        ("/documents", 422, "query.event_type"),
        ("/documents?event_type=Depature", 422, "did you mean 'Departure'"),
        ("/documents?event_type=Departure&limit=100001", 422, "from 1 to 100000 rows"),
        ("/documents?event_type=Departure&limit=0", 422, "query.limit"),
        ("/documents?event_type=Departure&limit=many", 422, "query.limit"),
        ("/documents?event_type=Departure&filter=dep_dely:gt:1", 422, "did you mean 'dep_delay'"),
        ("/documents?event_type=Departure&first_day=2013-02-30", 422, "query.first_day"),
        ("/documents?event_type=Departure&first_day=2012-02-01", 422, "isn't within the window"),
        ("/documents?event_type=Departure&first_day=2014-01-01", 422, "2014-01-01 isn't within"),
        ("/documents?event_type=Departure&last_day=2012-01-01", 422, "2012-01-01 isn't within"),
        (
            "/documents?event_type=Departure&first_day=2013-02-08&last_day=2013-02-07",
            422,
            "comes after the last",
        ),
        ("/documents?event_type=Departure&cursor=x", 422, "cursor"),
        ("/documents?event_typ=Departure", 422, "did you mean 'event_type'"),
        ("/health?verbose=1", 422, "it has none"),
        ("/search", 422, "exactly one of text and document, not by none; POST /search takes a v"),
        ("/search?text=x&document=y", 422, "not by both"),
        ("/knowledge/contrast", 422, "give one of actor, cluster, community; none was given"),
        ("/knowledge/contrast?actor=a&cluster=b", 422, "; actor and cluster was given"),
        ("/knowledge/trends/day/2013-02-08/cancellations", 404, "named <grain>/<time>/<metric>"),
        ("/knowledge/trends/day/2013-02-08/cancelations", 404, "did you mean 'cancellations'?"),
        ("/graph/neighbours?id=x", 404, "did you mean '/graph/neighbors'"),
        ("/knowlege/pagerank", 404, "did you mean '/knowledge/pagerank'"),
        ("/ws/insights", 426, "open it as a WebSocket"),
        ("/search?document=2013-02-08/Departure/99999", 404, "counted from 0"),
        ("/search?document=2013-02-08/Departure/17&mode=hybrid", 422, "needs a text"),
        ("/search?text=x&of=actors", 422, "query.of"),
        ("/search?text=x&of=events&per_text=0", 422, "query.per_text"),
        ("/search?text=", 422, "from 1 to 2000"),
        ("/search?text=x&mode=fuzzy", 422, "query.mode"),
        ("/search?text=x&limit=1000000", 422, "rows_most"),
        ("/graph/neighbors?id=airport:JFK&edge_type=Flies", 422, "no edge type 'Flies'"),
        ("/graph/traverse", 422, "query.id"),
        ("/graph/traverse?id=airprt:JFK", 404, "did you mean 'airport:JFK'"),
        ("/graph/traverse?id=airport:JFK&depth=6", 422, "query.depth"),
        ("/graph/traverse?id=airport:JFK&order=width", 422, "query.order"),
        ("/graph/path?source=airport:JFK", 422, "query.target"),
        ("/graph/path?source=airport:JFK&target=airport:XYZ", 404, "no entity 'airport:XYZ'"),
        ("/graph/path?source=airport:JFK&target=airport:LGA&max_hops=0", 422, "query.max_hops"),
        ("/graph/path?source=a&target=b&max_hops=2&weighted=true", 422, "only without weighted"),
        ("/graph/subgraph?id=airport:JFK&limit=5000", 422, "query.limit"),
        ("/graph/subgraph?id=airport:JFK&id=airport:LGA&limit=1", 422, "at most the limit, 1"),
        ("/knowledge/trends?severity=urgent", 422, "query.severity"),
        ("/knowledge/trends?metric=cancelations", 422, "did you mean 'cancellations'"),
        ("/knowledge/pagerank?type=airport", 422, "did you mean 'Airport'"),
        ("/knowledge/pagerank?sort=best", 422, "sort"),
        ("/knowledge/pagerank?offset=-1", 422, "query.offset"),
        ("/knowledge/pagerank?offset=99999999999999999999", 422, "offset"),
    ],
)
def test_what_is_wrong_is_said(client: TestClient, url: str, status: int, detail: str) -> None:
    assert detail in problem(client, url, status)["detail"]


@pytest.mark.parametrize(
    "url",
    [
        *("/knowledge/nope", "/knowledge", "/ws"),
        "/documents?event_type=Departure&filter=origin:like:x",
        "/knowledge/trends/day/2013-02-08/cancellations",
    ],
)
def test_what_is_far_is_not_hinted_at(client: TestClient, url: str) -> None:
    assert "did you mean" not in client.get(url).json()["detail"]


@pytest.mark.parametrize(
    ("method", "url", "takes"),
    [
        ("post", "/documents", "GET, HEAD"),
        ("put", "/search", "GET, HEAD, POST"),
        ("get", "/plans", "POST"),
        ("patch", "/sessions/x", "DELETE, GET, HEAD"),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(
    client: TestClient, method: str, url: str, takes: str
) -> None:
    answer = client.request(method, url)
    assert answer.status_code == 405
    assert answer.json()["detail"] == f"{url} takes {takes}, and not {method.upper()}"
    assert answer.headers["allow"] == takes


@pytest.mark.parametrize("path", [*POSTS, "/query"])
def test_a_body_that_is_not_said_to_be_json(client: TestClient, path: str) -> None:
    answer = client.post(path, content=b'{"text": "x"}')
    assert answer.status_code == 422
    assert answer.json()["detail"] == "body: send JSON, and Content-Type: application/json"


def test_every_mistake_of_a_request_is_listed(client: TestClient) -> None:
    url = "/documents?limit=x&first_day=y"
    tree = problem(client, url, 422)
    assert {mistake["where"] for mistake in tree["errors"]} == {
        "query.event_type",
        "query.limit",
        "query.first_day",
    }


@pytest.mark.parametrize(
    ("url", "wrong"),
    [
        (
            "/documents?event_type=Departure&filter=x&filter=dep_dely:gt:1&filter=dep_delay:gt:y"
            "&columns=orign&sort=-dep_dely&first_day=2012-01-01&limit=100001"
            "&since=2013-02-09T00:00:00Z&until=2013-02-08T00:00:00Z",
            ["filter", "filter", "filter", "columns", "sort", "first_day", "limit", "since"],
        ),
        ("/documents?event_type=Depature&filter=x&limit=100001", ["event_type", "filter", "limit"]),
        ("/documents?event_type=Departure&columns=orign", ["columns"]),
        (
            "/knowledge/trends?metric=canceled&metric=x&filter=valu:gt:1&sort=valu&limit=100001"
            "&first_day=2012-01-01",
            ["metric", "metric", "filter", "sort", "limit", "first_day"],
        ),
        ("/knowledge/pagerank?type=Airprt&filter=x&sort=y", ["type", "filter", "sort"]),
        ("/knowledge/tables/cluster_entities?filter=x&sort=y", ["filter", "sort"]),
        ("/knowledge/clusters?sise=1&lmit=2&sort=a&sort=b", ["sise", "lmit", "sort"]),
    ],
)
def test_every_mistake_against_the_snapshot_is_listed(
    client: TestClient, url: str, wrong: list[str]
) -> None:
    tree = problem(client, url, 422)
    found = [mistake["where"] for mistake in tree["errors"]]
    assert sorted(found) == sorted(f"query.{name}" for name in wrong)
    assert all(mistake["message"] in tree["detail"] for mistake in tree["errors"])


def test_an_actor_that_is_not_there_is_told_where_nothing_was_found(client: TestClient) -> None:
    url = "/documents?event_type=Cancellation&actor="
    meant = "no entity 'N328AA' (did you mean 'aircraft:N328AA'?)"
    assert meant in problem(client, f"{url}N328AA", 404)["detail"]
    assert "<prefix>:<key>" in problem(client, f"{url}N328AA", 404)["detail"]
    assert "no entity" in problem(client, f"{url}aircraft:NONE", 404)["detail"]
    assert "only entities of type Aircraft" in problem(client, f"{url}airport:JFK", 422)["detail"]
    # One that is there has no documents of this type on this day, which is an answer.
    answer = client.get(f"{url}aircraft:N328AA&first_day=2013-02-01&last_day=2013-02-01")
    assert (answer.status_code, answer.json()["rows"]) == (200, [])


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_nothing_can_be_written(client: TestClient, method: str) -> None:
    for path, url in URLS.items():
        response = client.request(method, url)
        assert response.status_code == (422 if method == "post" and path in POSTS else 405)
        assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", [path for path in URLS if "{" in path])
@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_paths(client: TestClient, path: str, text: str) -> None:
    prefix = path.partition("{")[0]
    for value in (quote(text), quote(text, safe=""), quote(text, safe="/%")):
        response = client.get(prefix + value)
        assert response.status_code in (200, 404, 422), response.text
        # Only what leads to another route is answered.
        assert response.status_code != 200 or text in ("//", "../", "%2e%2e%2f")


def parameters(app: FastAPI) -> list[tuple[str, str, str]]:
    return [
        (path, parameter["name"], json.dumps(parameter["schema"]))
        for path, operations in app.openapi()["paths"].items()
        for parameter in operations.get("get", {}).get("parameters", [])
        if path not in STREAMS
        if parameter["in"] == "query"
    ]


def test_hostile_parameters(app: FastAPI, client: TestClient) -> None:
    tried, known = 0, set[tuple[str, str]]()
    limited = {(path, name) for path, name, _ in parameters(app)}
    for path, name, schema in parameters(app):
        free_text = "integer" not in schema and "enum" not in schema and "format" not in schema
        url, _, rest = URLS[path].partition("?")
        given = [pair for pair in rest.split("&") if pair and not pair.startswith(f"{name}=")]
        few = ["limit=5"] if name != "limit" and (path, "limit") in limited else []
        others = [pair for pair in given if not pair.startswith("limit=")] + few
        # A parameter that others take too goes through the same code: on each route a few.
        step = 6 if (name, schema) in known else 1
        known.add((name, schema))
        for text in HOSTILE[tried % step :: step]:
            asked = "&".join([*others, f"{name}={quote(text, safe='')}"])
            response = client.get(f"{url}?{asked}")
            assert response.status_code < 500, (path, name, text, response.text)
            assert response.status_code != 200 or free_text or text in ("0", "true", "null")
            tried += 1
    assert tried > 700


@given(
    st.sampled_from(sorted(URLS)),
    st.dictionaries(
        st.sampled_from(
            [
                *("event_type", "first_day", "since", "filter", "columns", "limit", "cursor", "id"),
                *("text", "mode", "edge_type", "sort", "offset", "metric", "actor", "x"),
            ]
        ),
        st.one_of(
            st.text(max_size=30),
            st.sampled_from(["Departure", "airport:JFK", "2013-02-08", "rank", "vector", "5"]),
            st.builds(
                ":".join,
                st.tuples(
                    st.sampled_from(["dep_delay", "origin", "timestamp", "text_id", "is_test"]),
                    st.sampled_from(["eq", "in", "lt", "contains", "is_null", "starts_with"]),
                    st.text(string.printable, max_size=20),
                ),
            ),
        ),
        max_size=5,
    ),
)
@settings(
    max_examples=150,
    # One client serves all examples; it keeps nothing of them.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_whatever_is_asked_is_answered(
    client: TestClient, path: str, query: dict[str, str]
) -> None:
    response = client.get(URLS[path].partition("?")[0], params=query)
    assert response.status_code in (200, 404, 422), response.text
    json.loads(response.content, parse_constant=pytest.fail)


def test_statuses_of_all_errors() -> None:
    classes = [
        c
        for c in vars(errors).values()
        if isinstance(c, type) and issubclass(c, errors.StupidError)
    ]
    statuses = {c.__name__: status_of(c.__new__(c)) for c in classes}
    assert statuses["NotFoundError"] == 404
    assert statuses["InvalidQueryError"] == 422
    for name in ("SnapshotError", "MissingVersionError", "GraphStoreError", "EmbedderError"):
        assert statuses[name] == 503
    for name in ("StupidError", "ComputeError", "SettingsError", "EventModelError"):
        assert statuses[name] == 500


def test_nothing_published_says_what_to_do(tmp_path: Path) -> None:
    app = create_app(Project.load(tmp_path))
    with TestClient(app, raise_server_exceptions=False) as client:
        assert client.get("/health").status_code == 200
        for path in set(URLS) - {"/health"}:
            response = client.get(URLS[path])
            assert response.status_code == 503
            assert "stupid-dagster run" in response.json()["detail"]
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_is_gone_is_unavailable(flights_copy: Project) -> None:
    lake = flights_copy.lake
    folder = lake.version_path(lake.live("pagerank", "2013-02-09"))
    (folder / "part.parquet").unlink()
    with TestClient(create_app(flights_copy), raise_server_exceptions=False) as client:
        assert "materialise" in problem(client, "/knowledge/pagerank", 503)["detail"]
        assert client.get("/knowledge/degrees").status_code == 200


def test_the_unexpected_tells_nothing_of_the_inside(flights_project: Project) -> None:
    app = create_app(flights_project)

    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError("secret of the inside")

    with TestClient(app, raise_server_exceptions=False) as client:
        tree = problem(client, "/broken", 500)
        assert "secret" not in json.dumps(tree)
        assert "its log has the reason under" in tree["detail"]


def test_what_is_no_number_is_null(flights_project: Project) -> None:
    with SnapshotReader(flights_project, open_snapshot(flights_project.lake)) as reader:
        no_numbers = [float("nan"), float("inf"), 1.5]
        frame = pl.DataFrame({"x": no_numbers, "list": [no_numbers] * 3})
        response = Answers(reader).data(plain={"x": no_numbers}, frame=frame)

    tree = json.loads(bytes(response.body), parse_constant=pytest.fail)
    assert tree["plain"] == {"x": [None, None, 1.5]}
    assert [row["x"] for row in tree["frame"]] == [None, None, 1.5]
    assert tree["frame"][0]["list"] == [None, None, 1.5]


@pytest.mark.parametrize("path", ["/plans", "/query"])
def test_where_a_body_is_no_json_is_told(client: TestClient, path: str) -> None:
    body = '{"steps": [\n  {"id": "s1",}\n]}'
    answer = client.post(path, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    (mistake,) = answer.json()["errors"]
    assert mistake["where"] == "body"
    assert mistake["message"].startswith("is no JSON: ")
    assert mistake["message"].endswith(" at line 2, column 14") or "line 2" in mistake["message"]


def test_words_of_libraries_are_not_in_messages(client: TestClient) -> None:
    plain = client.post("/plans", content="steps", headers={"Content-Type": "text/plain"})
    day = client.get("/documents?event_type=Departure&first_day=8")
    for answer in (plain, day):
        assert answer.status_code == 422
        assert "Value error" not in answer.text
    assert "send JSON" in plain.json()["detail"]
    near = client.get("/graph/nodes/airport:XYZ").json()["detail"]
    assert "did you mean 'airport'" not in near, "for it says airport"
