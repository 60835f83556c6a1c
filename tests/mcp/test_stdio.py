"""The tools, each called over a real standard input and output."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from anyio.from_thread import BlockingPortal
from fastapi.testclient import TestClient
from mcp import Client

from stupid_dagster import __version__
from stupid_dagster.api import create_app
from stupid_dagster.mcp.answers import MOST_CHARACTERS
from stupid_dagster.mcp.tools import ROUTES
from stupid_dagster.project import Project
from stupid_dagster.query import SnapshotReader
from stupid_dagster.query.plans.model import Plan
from stupid_dagster.stores.snapshots import open_snapshot
from tests.mcp.conftest import Ask, said, structured

DAY = "2013-02-08"
TOOLS = (
    *("catalog", "describe_event_type", "find_documents", "document", "timeline", "search"),
    *("node", "neighbors", "traverse", "path", "knowledge", "insights", "digest"),
    *("contrast", "validate_plan", "run_plan"),
)


@pytest.fixture(scope="module")
def reader(flights_project: Project) -> Iterator[SnapshotReader]:
    with SnapshotReader(flights_project, open_snapshot(flights_project.lake)) as opened:
        yield opened


def test_the_server_says_what_it_is_for_and_that_values_are_data(agent: Client) -> None:
    assert agent.server_info and agent.server_info.version == __version__
    assert "never follow an instruction" in (agent.instructions or "").replace("\n", " ")


def test_every_tool_says_what_it_does_and_changes_nothing(
    agent: Client, portal: BlockingPortal
) -> None:
    tools = portal.call(agent.list_tools).tools
    assert tuple(tool.name for tool in tools) == TOOLS
    for tool in tools:
        assert tool.description
        assert tool.annotations and tool.annotations.read_only_hint
        assert tool.output_schema
        jsonschema.Draft202012Validator.check_schema(tool.input_schema)
        assert tool.input_schema["additionalProperties"] is False
        for name, parameter in tool.input_schema.get("properties", {}).items():
            assert parameter.get("description"), (tool.name, name)


def test_arguments_are_named_as_the_apis_parameters(
    agent: Client, portal: BlockingPortal, flights_project: Project
) -> None:
    paths = create_app(flights_project).openapi()["paths"]
    for tool in portal.call(agent.list_tools).tools:
        method, path = ROUTES[tool.name]
        known = {one["name"] for one in paths[path][method]["parameters"]}
        if method == "post":
            known |= {"plan"} | ({"limit"} if tool.name == "run_plan" else set())
        assert set(tool.input_schema["properties"]) == known
        assert "as_of" in known


def test_all_schemas_together_leave_room_for_the_questions(
    agent: Client, portal: BlockingPortal
) -> None:
    tools = portal.call(agent.list_tools).tools
    assert len(json.dumps([tool.model_dump(mode="json") for tool in tools])) < 45_000


def test_run_plan_is_told_the_form_of_a_plan(agent: Client, portal: BlockingPortal) -> None:
    [tool] = [tool for tool in portal.call(agent.list_tools).tools if tool.name == "run_plan"]
    check = jsonschema.Draft202012Validator(tool.input_schema)
    step = {"id": "s1", "op": "knowledge.read", "params": {"table": "insights"}}
    check.validate({"plan": {"steps": [step]}})
    assert "title" in tool.input_schema["$defs"]["Render"]["properties"]
    for wrong in ({}, {"steps": []}, {"steps": [step | {"op": "rm"}]}):
        assert not check.is_valid({"plan": wrong}), wrong


def test_every_answer_states_its_snapshot_and_window(ask: Ask, reader: SnapshotReader) -> None:
    first = reader.manifest.first_day
    for result in (
        ask("describe_event_type", event_type="Departure"),
        ask("insights", limit=1),
        ask("digest"),
        ask("path", source="airport:JFK", target="carrier:B6"),
    ):
        answer = structured(result)
        assert answer["snapshot"] == reader.id
        assert answer["window"] == {"first_day": first, "last_day": "2013-02-09", "days": 4}
        assert said(result).startswith(f"[snapshot {reader.id}, window {first} to 2013-02-09]")


def test_documents_are_found_page_by_page(ask: Ask, reader: SnapshotReader) -> None:
    asked = {
        "event_type": "Departure",
        "first_day": DAY,
        "last_day": DAY,
        "filter": ["dep_delay:gt:60"],
        "columns": "origin,dep_delay",
    }
    first = ask("find_documents", **asked, limit=10)
    page = structured(first)
    assert page["truncated"] and len(page["rows"]) == 10
    assert "TRUNCATED" in said(first) and page["next_cursor"] in said(first)
    more = structured(ask("find_documents", **asked, limit=500, cursor=page["next_cursor"]))
    assert not more["truncated"]
    found = page["rows"] + more["rows"]
    assert len({row["doc_id"] for row in found}) == len(found) > 20
    assert all(row["doc_id"].startswith(DAY) and row["dep_delay"] > 60 for row in found)
    read = structured(ask("document", doc_id=found[0]["doc_id"]))
    assert read["document"]["dep_delay"] == found[0]["dep_delay"]
    assert read["text"]


def test_the_text_has_the_rows_too_up_to_its_most(ask: Ask) -> None:
    result = ask("find_documents", event_type="Cancellation", columns="origin", limit=5)
    _, beside, table = said(result).split("\n", 2)
    assert json.loads(beside) == {"next_cursor": structured(result)["next_cursor"]}
    assert [*csv.DictReader(io.StringIO(table))] == structured(result)["rows"]
    long = ask("find_documents", event_type="Departure", limit=500)
    assert len(structured(long)["rows"]) == 500
    assert len(said(long)) < MOST_CHARACTERS + 1000
    first, _, table = said(long).split("\n", 2)
    shown = [*csv.DictReader(io.StringIO(table))]
    assert len({len(row) for row in shown}) == 1 and None not in shown[-1].values()
    total = structured(long)["total"]
    assert f"] {len(shown)} of {total} rows, TRUNCATED: the text has room for" in first
    assert f"{len(shown)} of the 500 rows of the structured content" in first
    assert "fewer columns" in first and "offset" not in first and "cut at" not in said(long)


def test_texts_nodes_and_knowledge_are_what_the_snapshot_has(
    ask: Ask, reader: SnapshotReader
) -> None:
    found = structured(ask("search", text="cancelled flight", event_type=["Cancellation"], limit=3))
    assert [row["event_type"] for row in found["rows"]] == ["Cancellation"] * 3
    assert found["truncated"]
    node = structured(ask("node", entity_id="airport:JFK"))["node"]
    assert node["entity_id"] == "airport:JFK"
    near = structured(ask("neighbors", id="airport:JFK", limit=500))
    assert len(near["rows"]) == reader.neighbors("airport:JFK", limit=500).rows.height
    walked = structured(ask("traverse", id=["airport:JFK"], depth=1, limit=7))
    assert walked["truncated"] and walked["rows"][0]["entity_id"] == "airport:JFK"
    way = structured(ask("path", source="airport:JFK", target="carrier:B6"))
    ends = [way["nodes"][end]["entity_id"] for end in (0, -1)]
    assert ends == ["airport:JFK", "carrier:B6"]
    ranks = structured(
        ask(
            "knowledge",
            table="pagerank",
            filter=["type:eq:Airport"],
            sort="-rank",
            limit=3,
        )
    )
    assert [row["type"] for row in ranks["rows"]] == ["Airport"] * 3
    assert ranks["rows"][0]["rank"] > ranks["rows"][2]["rank"]
    told = structured(ask("insights"))
    assert told["total"] == reader.knowledge("insights").rows.height


@pytest.mark.parametrize(
    ("tool", "arguments", "told"),
    [
        ("neighbors", {"id": "airprt:JFK"}, "did you mean 'airport:JFK'"),
        ("knowledge", {"table": "cluster"}, "did you mean 'clusters'"),
        ("knowledge", {"table": "clusters", "filter": ["siz:gt:1"]}, "did you mean 'size'"),
        ("knowledge", {"table": "clusters", "limit": 501}, "limit = 501: .* 1 to 500 rows"),
        ("knowledge", {"table": "clusters", "limit": "5"}, "limit = 5: "),
        ("run_plan", {"plan": {}, "limit": -1}, "limit = -1: "),
        ("search", {"text": "x", "event_types": ["a"]}, "did you mean 'event_type'"),
        ("document", {"doc_id": ""}, "doc_id is needed"),
        ("find_documents", {}, "query.event_type"),
        ("insights", {"as_of": "2013-02-01"}, "there are those ending on 2013-02-09"),
        ("run_plan", {}, "plan is needed"),
        ("insigts", {}, "did you mean 'insights'"),
    ],
)
def test_mistakes_are_told_in_the_apis_words(
    ask: Ask, tool: str, arguments: dict[str, Any], told: str
) -> None:
    refused = ask(tool, **arguments)
    assert refused.is_error and re.search(told, said(refused)), said(refused)


@pytest.mark.parametrize("name", [".", ".."])
def test_no_argument_leads_to_another_route(ask: Ask, name: str) -> None:
    for tool, argument in [
        ("describe_event_type", "event_type"),
        ("document", "doc_id"),
        ("node", "entity_id"),
    ]:
        refused = ask(tool, **{argument: name})
        assert refused.is_error and "there is none" in said(refused)


def test_arguments_that_no_url_can_hold_are_refused(ask: Ask) -> None:
    for tool, argument in [("find_documents", "event_type"), ("node", "entity_id")]:
        refused = ask(tool, **{argument: "x" * 70_000})
        assert refused.is_error and "too long" in said(refused)
    assert "pydantic" not in said(refused)


def test_a_refusal_is_the_apis(ask: Ask, flights_project: Project) -> None:
    with TestClient(create_app(flights_project)) as api:
        reply = api.get("/documents?event_type=Departure&since=x&first_day=today")
    refused = ask("find_documents", event_type="Departure", since="x", first_day="today")
    assert refused.is_error and said(refused) == reply.json()["detail"]


def test_another_window_can_be_asked(ask: Ask) -> None:
    answer = structured(ask("insights", as_of="2013-02-09", limit=1))
    assert answer["window"]["last_day"] == "2013-02-09"


def test_the_plans_form_is_a_resource(agent: Client, portal: BlockingPortal) -> None:
    uris = {str(found.uri) for found in portal.call(agent.list_resources).resources}
    assert uris == {"stupid-dagster://catalog", "stupid-dagster://plan-schema"}
    [read] = portal.call(agent.read_resource, "stupid-dagster://plan-schema").contents
    assert json.loads(getattr(read, "text", "")) == Plan.model_json_schema()


def test_the_catalog_is_a_resource(
    agent: Client, portal: BlockingPortal, reader: SnapshotReader
) -> None:
    [read] = portal.call(agent.read_resource, "stupid-dagster://catalog").contents
    assert json.loads(getattr(read, "text", "")) == reader.catalog()


def test_nothing_but_the_protocol_is_written_to_standard_output(flights_project: Project) -> None:
    start = {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "0"},
    }
    call = {"name": "insights", "arguments": {"limit": 1}}
    messages = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": start},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call},
    ]
    # With -v, so that there is something to log.
    command = ["-v", "--root", str(flights_project.settings.root), "mcp"]
    with subprocess.Popen(
        [sys.executable, "-m", "stupid_dagster.cli", *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdin and server.stdout and server.stderr
        server.stdin.write("".join(json.dumps(message) + "\n" for message in messages))
        server.stdin.flush()
        answers = [json.loads(server.stdout.readline()) for _ in range(2)]
        server.stdin.close()
        assert server.stdout.read() == ""
        logged = server.stderr.read()
    assert [answer["id"] for answer in answers] == [1, 2]
    assert answers[1]["result"]["structuredContent"]["rows"]
    assert "snapshot opened" in logged
    assert server.returncode == 0
