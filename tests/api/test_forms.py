"""The forms of answers: JSON, CSV, Arrow; packed, kept, and without a body."""

from __future__ import annotations

import io
import json
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from stupid_dagster.api import create_app
from stupid_dagster.api.answers import Answers
from stupid_dagster.api.media import (
    ARROW,
    CSV,
    JSON,
    TABULAR,
    AnswerForm,
    choose,
    entity_tag,
    matches,
)
from stupid_dagster.project import Project
from stupid_dagster.query import Page, SnapshotReader
from stupid_dagster.stores.snapshots import open_snapshot
from tests.api.urls import URLS

DEPARTURES = "/documents?event_type=Departure&first_day=2013-02-08&limit=50"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8"


def tabular(page: dict[str, Any]) -> list[str]:
    responses = {path: page["paths"][path]["get"]["responses"]["200"] for path in URLS}
    return [path for path, said in responses.items() if CSV in said["content"]]


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        (None, JSON),
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        (BROWSER, JSON),
        (CSV, CSV),
        ("TEXT/CSV", CSV),
        ("text/*", CSV),
        (ARROW, ARROW),
        (f"{JSON};q=0.5, {CSV};q=0.8, {ARROW};q=0.7", CSV),
        (f"*/*;q=0.1, {ARROW}", ARROW),
        (f"*/*, {JSON};q=0", CSV),
        (f"{CSV};q=0.5, text/*;q=0.9", CSV),
        (f"{CSV}; charset=utf-8; q=0.4, {JSON}; q=0.3", CSV),
        (f"{CSV};q=0", None),
        ("text/html", None),
        ("image/*, text/plain", None),
        (f"{CSV};q=nonsense", CSV),
    ],
)
def test_the_form_that_is_liked_best_is_chosen(accept: str | None, media: str | None) -> None:
    assert choose(accept, TABULAR) == media


@given(st.text())
def test_any_header_is_understood_or_not_but_never_fails(text: str) -> None:
    assert choose(text, TABULAR) in (*TABULAR, None)
    assert not matches(text, entity_tag(("x", text)))


def test_a_page_is_the_same_in_all_forms(client: TestClient) -> None:
    tree = client.get(DEPARTURES).json()
    arrow = client.get(DEPARTURES, headers={"Accept": ARROW})
    csv = client.get(DEPARTURES, headers={"Accept": CSV})

    frame = pl.read_ipc_stream(io.BytesIO(arrow.content))
    assert json.loads(frame.write_json()) == tree["rows"]
    read = pl.read_csv(io.BytesIO(csv.content), schema={name: pl.String for name in frame.columns})
    assert read["doc_id"].to_list() == [row["doc_id"] for row in tree["rows"]]
    assert [float(x) if x else None for x in read["dep_delay"]] == frame["dep_delay"].to_list()
    times = read["timestamp"].str.to_datetime("%+", time_unit="ms", time_zone="UTC")
    assert times.to_list() == frame["timestamp"].to_list()
    for answer, media in ((arrow, ARROW), (csv, f"{CSV}; charset=utf-8")):
        assert answer.headers["content-type"] == media
        assert answer.headers["x-snapshot"] == tree["snapshot"]
        assert json.loads(answer.headers["x-window"]) == tree["window"]
        assert json.loads(answer.headers["x-total"]) == tree["total"]
        assert answer.headers["x-limit"] == "50"
        assert answer.headers["x-truncated"] == "true"
        assert answer.headers["x-next-cursor"] == tree["next_cursor"]
    metadata = pa.ipc.open_stream(arrow.content).schema.metadata
    assert metadata[b"snapshot"].decode() == tree["snapshot"]
    assert metadata[b"truncated"] == b"true"


def test_the_link_leads_to_the_next_page(client: TestClient) -> None:
    first = client.get(DEPARTURES, headers={"Accept": CSV})
    following = str(first.url.join(first.links["next"]["url"]))
    second = client.get(following, headers={"Accept": CSV})
    third = str(second.url.join(second.links["next"]["url"]))

    whole = client.get(DEPARTURES.replace("limit=50", "limit=150")).json()["rows"]
    pages = [
        pl.read_csv(page.content)
        for page in (first, second, client.get(third, headers={"Accept": CSV}))
    ]
    assert [i for page in pages for i in page["doc_id"]] == [row["doc_id"] for row in whole]


def test_every_page_comes_in_all_its_forms(app: FastAPI, client: TestClient) -> None:
    paths = tabular(app.openapi())
    # All others are one thing each, if one of parts: an entity, a path, a drawing.
    assert set(URLS) - set(paths) == {
        *("/health", "/ready", "/snapshot", "/catalog", "/documents/{doc_id}"),
        *("/catalog/events/{event_type}", "/catalog/entities/{entity_type}"),
        *("/graph/nodes/{entity_id}", "/graph/path", "/graph/subgraph"),
        *("/knowledge/patterns/{pattern_id}", "/knowledge/anomalies/{actor}"),
        *("/knowledge/insights/{insight_id}", "/knowledge/trends/{trend}"),
        "/knowledge/insights/digest",
    }
    for path in URLS:
        for media in (CSV, ARROW):
            answer = client.get(URLS[path], headers={"Accept": media})
            if path not in paths:
                # These two state nothing of a snapshot, and come as they are.
                assert answer.status_code == (200 if path == "/health" else 406), path
                continue
            assert answer.status_code == 200, path
            rows = client.get(URLS[path]).json()["rows"]
            read = pl.read_csv if media == CSV else pl.read_ipc_stream
            assert read(io.BytesIO(answer.content)).height == len(rows)


def test_what_isnt_to_be_had_is_refused_with_what_is(client: TestClient) -> None:
    answer = client.get(DEPARTURES, headers={"Accept": "application/xml"})
    assert answer.status_code == 406
    assert answer.headers["content-type"] == "application/problem+json"
    assert all(media in answer.json()["detail"] for media in TABULAR)
    assert client.get("/catalog", headers={"Accept": CSV}).status_code == 406


def test_nested_and_odd_values(flights_project: Project) -> None:
    frame = pl.DataFrame(
        {
            "text": ["=1+1", None, "", 'a"b,\n'],
            "number": [float("nan"), float("inf"), 1.5, None],
            "list": [[1.5, float("nan")], None, [], [2.0]],
            "struct": [{"x": 1, "y": "}"}, None, {"x": None, "y": ""}, {"x": 2, "y": "ü"}],
        }
    )
    page = Page(frame, 10, truncated=False)
    with SnapshotReader(flights_project, open_snapshot(flights_project.lake)) as reader:
        served: list[int] = []
        csv = Answers(reader, AnswerForm(CSV), served.append).page(page, entity_id="x").body
        arrow = Answers(reader, AnswerForm(ARROW), served.append).page(page).body
        Answers(reader, served=served.append).page(page)
        Answers(reader, served=served.append).data(status="ready")

    assert served == [4, 4, 4, 0]
    read = pl.read_csv(io.BytesIO(bytes(csv)))
    assert read["text"].to_list() == ["=1+1", None, "", 'a"b,\n']
    assert read["number"].to_list() == [None, None, 1.5, None]
    assert read["list"].to_list() == ["[1.5,null]", None, "[]", "[2.0]"]
    assert [v and json.loads(v) for v in read["struct"]] == frame["struct"].to_list()
    assert_frame_equal(pl.read_ipc_stream(io.BytesIO(bytes(arrow))), frame)


@pytest.mark.parametrize("media", TABULAR)
def test_what_a_client_has_isnt_sent_again(client: TestClient, media: str) -> None:
    first = client.get(DEPARTURES, headers={"Accept": media})
    tag = first.headers["etag"]
    assert tag.startswith('W/"')
    assert first.headers["cache-control"] == "no-cache"
    assert {"Accept", "Accept-Encoding"} <= {v.strip() for v in first.headers["vary"].split(",")}

    for given_tag in (tag, tag.removeprefix("W/"), f'"other", {tag}'):
        again = client.get(DEPARTURES, headers={"Accept": media, "If-None-Match": given_tag})
        assert again.status_code == 304, given_tag
        assert again.content == b""
        assert again.headers["etag"] == tag
        assert "vary" in again.headers
        assert "content-type" not in again.headers


def test_tags_differ_where_answers_do(client: TestClient, flights_project: Project) -> None:
    few = create_app(Project.load(flights_project.settings.root, {"rows_default": 7}))
    with TestClient(few) as other:
        tags = [
            client.get(DEPARTURES).headers["etag"],
            client.get(DEPARTURES, headers={"Accept": CSV}).headers["etag"],
            client.get(DEPARTURES + "1").headers["etag"],
            client.get("/knowledge/pagerank").headers["etag"],
            other.get("/knowledge/pagerank").headers["etag"],
        ]
    assert len(set(tags)) == len(tags)
    tag = tags[0]
    assert client.get("/knowledge/pagerank", headers={"If-None-Match": tag}).status_code == 200
    assert client.get("/documents?limit=x", headers={"If-None-Match": tag}).status_code == 422
    assert client.get(DEPARTURES, headers={"If-None-Match": "*"}).status_code == 200
    for url in ("/health", "/ready", "/metrics", "/snapshot"):
        assert "etag" not in client.get(url).headers


def test_a_tag_is_compared_before_any_work(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    tag = client.get(DEPARTURES).headers["etag"]

    def work(*_: Any, **__: Any) -> None:
        raise AssertionError("it was asked again")

    monkeypatch.setattr(SnapshotReader, "documents", work)
    assert client.get(DEPARTURES, headers={"If-None-Match": tag}).status_code == 304
    assert client.get(DEPARTURES).status_code == 500


def test_a_locked_answer_needs_the_key_also_when_it_is_kept(flights_project: Project) -> None:
    project = Project.load(flights_project.settings.root, {"api_key": "k"})
    with TestClient(create_app(project)) as locked:
        tag = locked.get(DEPARTURES, headers={"X-API-Key": "k"}).headers["etag"]
        assert locked.get(DEPARTURES, headers={"If-None-Match": tag}).status_code == 401


@pytest.mark.parametrize("path", [*URLS, "/metrics"])
def test_head_is_get_without_the_body(client: TestClient, path: str) -> None:
    url = URLS.get(path, path)
    got, head = client.get(url), client.head(url)
    assert head.status_code == got.status_code == 200
    assert head.content == b""
    volatile = {"content-length"} if path == "/metrics" else set()
    assert {k: v for k, v in head.headers.items() if k not in volatile} == {
        k: v for k, v in got.headers.items() if k not in volatile
    }
    assert client.head("/nothing").status_code == 404


@pytest.mark.parametrize("media", TABULAR)
@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_what_an_answer_differs_by_is_said_once(
    client: TestClient, media: str, encoding: str
) -> None:
    headers = {"Accept": media, "Accept-Encoding": encoding}
    answers = [
        client.get(url, headers=headers) for url in (DEPARTURES, DEPARTURES + "&columns=dest")
    ]
    tag = answers[0].headers["etag"]
    answers.append(client.get(DEPARTURES, headers=headers | {"If-None-Match": tag}))
    assert [answer.status_code for answer in answers] == [200, 200, 304]
    for answer in answers:
        assert answer.headers.get_list("vary") == ["Accept, Accept-Encoding"]
    assert client.get("/metrics", headers=headers).headers["vary"] == "Accept-Encoding"


def test_long_answers_are_packed_and_short_ones_not(client: TestClient) -> None:
    plain = client.get(DEPARTURES, headers={"Accept-Encoding": "identity"})
    packed = client.get(DEPARTURES, headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 4
    assert packed.json() == plain.json()
    assert packed.headers["etag"] == plain.headers["etag"]
    short = client.get("/health", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in short.headers
