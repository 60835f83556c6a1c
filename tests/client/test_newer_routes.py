"""The client's methods for timelines, walks, contrasts, plans and what is told as it happens."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import polars as pl
import pytest

from stupid_dagster.client import ApiError, Client
from stupid_dagster.project import Project
from tests.api.serving import served

STEP = {"id": "s1", "op": "knowledge.read", "params": {"table": "insights", "limit": 2}}


@pytest.fixture(scope="module")
def api(flights_project: Project) -> Iterator[Client]:
    project = Project.load(flights_project.settings.root, {"api_port": 0})
    with served(project) as url, Client(url) as client:
        yield client


def test_tables_come_with_their_types(api: Client) -> None:
    found = api.table("/documents", event_type="Departure", limit=3)
    assert found.rows.schema["timestamp"] == pl.Datetime("ms", "UTC")
    assert found.snapshot == api.snapshot()["snapshot"]
    assert found.truncated and found.next_cursor and found.total
    pages = [*islice(api.iter_documents("Departure", page_rows=3), 2)]
    assert pages[0].equals(found.rows) and pages[1].height == 3


def test_what_is_asked_again_is_not_sent_again(api: Client) -> None:
    first = api._connection.get("/catalog")
    assert "etag" in first.headers
    assert api._connection.get("/catalog") is first


def test_an_actors_timeline(api: Client) -> None:
    actor = api.documents("Departure", columns=["actor"], limit=1)["actor"].item()
    found = api.timeline(actor, limit=50)
    assert not found.is_empty()
    assert found["timestamp"].is_sorted()


def test_a_document_finds_its_like(api: Client) -> None:
    found = api.search(document="2013-02-08/Departure/17", of="events", limit=3)
    assert found.height == 3
    assert "2013-02-08/Departure/17" not in found["doc_id"].to_list()


def test_walks_paths_and_subgraphs(api: Client) -> None:
    walked = api.traverse("airport:JFK", depth=1, limit=20)
    assert walked["entity_id"].to_list()[0] == "airport:JFK"
    assert api.path("airport:JFK", "carrier:B6")
    part = api.subgraph("airport:JFK")
    assert "airport:JFK" in part.nodes["id"].to_list()
    assert not part.links.is_empty()


def test_a_contrast_of_actors(api: Client) -> None:
    actors = api.knowledge_item("clusters", "cluster:0", limit=20).rows["actor"].to_list()
    assert not api.contrast(actors, limit=5).is_empty()


def test_plans_are_checked_explained_and_run(api: Client) -> None:
    plan = {"steps": [STEP]}
    assert api.validate(plan)["valid"]
    assert api.explain(plan)["steps"]
    answer = api.plan(plan)
    assert answer.rows.height == 2 and answer.truncated
    assert answer.tables["s1"].equals(answer.rows)
    assert [step["status"] for step in answer.steps] == ["ok"]
    wrong = {"steps": [STEP | {"params": {"table": "insight"}}]}
    checked = api.validate(wrong)
    assert not checked["valid"] and "insights" in str(checked["problems"])
    with pytest.raises(ApiError) as refused:
        api.plan(wrong)
    assert refused.value.status == 422
    assert refused.value.errors


def test_questions_without_a_language_model_say_what_to_set(api: Client) -> None:
    with pytest.raises(ApiError) as refused:
        api.ask("how many flights were cancelled?")
    assert refused.value.status == 503


def test_the_insights_stream_begins_with_the_current_ones(api: Client) -> None:
    stream = api.insights_stream()
    first = next(stream)
    assert first.data
    stream.close()


def test_segments(api: Client) -> None:
    assert api.segments()["snapshot"]


def test_events_are_refused_unless_enabled(api: Client) -> None:
    with pytest.raises(ApiError) as refused:
        api.send_events({"event_type": "Departure"})
    assert refused.value.status in (403, 404)
