"""The client's methods for timelines, walks, contrasts, plans and what is told as it happens."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import polars as pl
import pytest

from stupid_dagster.client import ApiError, Client
from stupid_dagster.client.reading import fields_of
from stupid_dagster.project import Project
from stupid_dagster.query.knowledge import KNOWLEDGE_TABLES
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
    departures = found.filter(event_type="Departure")
    first = departures.row(0, named=True)
    document = api.document(first["doc_id"])["document"]
    assert first["fields"]["origin"] == document["origin"]
    assert first["fields"]["dep_delay"] == document["dep_delay"]
    assert api.timeline(actor, last_day="2013-02-09", event_types=["WeatherReport"]).is_empty()


def test_fields_that_come_nested_are_left_as_they_are() -> None:
    nested = pl.DataFrame({"fields": [{"origin": "JFK", "seats": 1}]})
    assert fields_of(nested).equals(nested)
    told = pl.DataFrame({"fields": ['{"origin": "JFK", "seats": 1}']})
    assert fields_of(told).equals(nested)


def test_every_knowledge_table_is_read_by_its_name(api: Client) -> None:
    members = api.knowledge("cluster_members", filters="cluster_id:eq:cluster:0", limit=5)
    assert members["cluster_id"].unique().to_list() == ["cluster:0"] and members.height == 5
    for table in KNOWLEDGE_TABLES:
        assert api.knowledge(table, limit=1).width
    with pytest.raises(ApiError, match=r"there is no /knowledge/tables/\.\./health"):
        api.knowledge("../health")
    with pytest.raises(ApiError, match="did you mean 'cluster_members'"):
        api.knowledge("cluster_member")


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
    assert not api.contrast(actors[0], limit=5).is_empty()


def test_a_contrast_is_asked_for_as_over_http(api: Client) -> None:
    by_cluster = api.contrast(cluster="cluster:0", limit=5)
    assert by_cluster.height == 5
    whole = api.get("/knowledge/contrast", cluster="cluster:0", limit=5)["rows"]
    assert by_cluster["name"].to_list() == [row["name"] for row in whole]
    conditions = ("cluster_id:eq:cluster:0", [("cluster_id", "in", ["cluster:0"])])
    for filters in conditions:
        found = api.contrast(table="cluster_members", filters=filters, limit=5)
        assert found.equals(by_cluster)
    community = api.knowledge("communities", limit=1)["community_id"].item()
    assert not api.contrast(community=community).is_empty()
    with pytest.raises(ApiError, match="did you mean 'eq'"):
        api.contrast(table="cluster_members", filters="cluster_id:equ:cluster:0")
    with pytest.raises(ApiError, match="give one of actors, cluster, community, table"):
        api.contrast()


def test_one_condition_or_column_is_no_list_of_letters(api: Client) -> None:
    found = api.documents("Departure", filters="origin:eq:JFK", columns="origin", limit=5)
    assert found.columns == ["doc_id", "origin"]
    assert found["origin"].to_list() == ["JFK"] * 5
    ranks = api.knowledge("pagerank", filters=["type:eq:Airport"], columns=["rank"], limit=3)
    assert ranks.columns == ["rank"] and ranks.height == 3
    assert api.knowledge("insights", columns="title", limit=2).columns == ["title"]
    https_name: dict[str, Any] = {"filter": "origin:eq:JFK"}
    for ask in (api.documents, api.knowledge):
        with pytest.raises(TypeError, match="give filters"):
            ask("Departure", **https_name)


def test_commas_in_the_values_of_a_condition_part_nothing(api: Client) -> None:
    title = next(t for t in api.knowledge("insights")["title"] if "," in t)
    found = api.knowledge("insights", filters=[("title", "in", [title, "none\\, of them"])])
    assert found["title"].to_list() == [title]


def test_the_server_says_that_it_is_there(api: Client, flights_project: Project) -> None:
    assert api.health() and api.ready()["snapshot"] == api.snapshot()["snapshot"]
    assert "# HELP" in api.metrics()


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


def test_rows_of_plans_have_the_types_of_the_documents(api: Client) -> None:
    scan = {"event_type": "Departure", "limit": 5, "columns": ["timestamp", "origin", "dep_delay"]}
    steps = [
        {"id": "found", "op": "documents.scan", "params": scan},
        {
            "id": "none",
            "op": "table.filter",
            "params": {
                "rows": {"ref": "found"},
                "filters": [{"field": "origin", "op": "eq", "value": "XYZ"}],
            },
        },
        {
            "id": "days",
            "op": "table.timeline",
            "params": {"rows": {"ref": "found"}, "time": "timestamp", "every": "1d"},
        },
        {"id": "kept", "op": "knowledge.read", "params": {"table": "history", "limit": 3}},
    ]
    plan = {"steps": steps, "render": {"type": "table", "step": "found"}}
    answer = api.plan(plan)
    by_arrow = api.documents("Departure", columns=scan["columns"], limit=5)
    assert answer.rows.equals(by_arrow.select(answer.rows.columns))
    assert answer.rows.schema["timestamp"] == pl.Datetime("ms", "UTC")
    none = answer.tables["none"]
    assert none.is_empty() and none.schema == answer.rows.schema
    assert answer.tables["days"].schema["timestamp"] == pl.Datetime("ms", "UTC")
    kept = api.knowledge("history", limit=3, sort=None)
    assert answer.tables["kept"].schema == kept.schema


def test_questions_without_a_language_model_say_what_to_set(api: Client) -> None:
    with pytest.raises(ApiError) as refused:
        api.ask("how many flights were cancelled?")
    assert refused.value.status == 503


def test_the_digest_names_its_insights(api: Client) -> None:
    found = api.digest()
    named = {name for sentence in found["digest"]["sentences"] for name in sentence["insights"]}
    assert named == {row["insight_id"] for row in found["insights"]}
    assert all(f"[{row['rank']}]" in found["digest"]["text"] for row in found["insights"])


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
