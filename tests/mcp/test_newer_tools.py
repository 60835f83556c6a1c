"""The tools over what is newer: the catalog's summary, timelines, contrasts, plans."""

from __future__ import annotations

import csv
import io
import json
import re

from anyio.from_thread import BlockingPortal
from mcp import Client

from stupid_dagster.mcp.answers import MOST_CHARACTERS, answer_of
from tests.mcp.conftest import Ask, said, structured

STEPS = [
    {
        "id": "s1",
        "op": "documents.scan",
        "params": {"event_type": "Cancellation", "columns": ["origin"]},
    },
    {
        "id": "s2",
        "op": "table.aggregate",
        "params": {"rows": {"ref": "s1"}, "by": ["origin"]},
        "depends_on": ["s1"],
    },
]


def test_the_catalog_is_summed_up(ask: Ask) -> None:
    result = ask("catalog")
    assert "Departure" in structured(result)["summary"]
    assert "Departure" in said(result)


def test_a_timeline_is_in_order_of_time(ask: Ask) -> None:
    found = structured(ask("find_documents", event_type="Departure", limit=1, columns="actor"))
    result = structured(ask("timeline", actor_id=found["rows"][0]["actor"], limit=5))
    times = [row["timestamp"] for row in result["rows"]]
    assert times and times == sorted(times)


def test_a_contrast_says_what_sets_actors_apart(ask: Ask) -> None:
    members = structured(
        ask("knowledge", table="cluster_members", filter=["cluster_id:eq:cluster:0"], limit=20)
    )
    actors = [row["actor"] for row in members["rows"]]
    result = structured(ask("contrast", actor=actors, limit=5))
    assert len(result["rows"]) == 5 and result["truncated"]


def test_plans_are_checked_and_run(ask: Ask) -> None:
    plan = {"steps": STEPS}
    assert structured(ask("validate_plan", plan=plan))["valid"]
    result = ask("run_plan", plan=plan, steps="all", limit=2)
    answer = structured(result)
    assert answer["render"]["step"] == "s2"
    first, second = answer["steps"]
    assert first["status"] == second["status"] == "ok"
    assert first["truncated"] and len(first["rows"]) == 2 < first["count"]
    assert "\norigin,count" in said(result) and "TRUNCATED" in said(result)
    assert "rows" not in structured(ask("run_plan", plan=plan))["steps"][0]


def test_every_mistake_of_a_plan_is_told(ask: Ask) -> None:
    wrong = {"steps": [STEPS[0] | {"params": {"event_type": "Cancelation"}}, STEPS[0]]}
    checked = structured(ask("validate_plan", plan=wrong))
    assert not checked["valid"] and len(checked["problems"]) >= 2
    refused = ask("run_plan", plan=wrong)
    assert refused.is_error and "did you mean 'Cancellation'" in said(refused)


def test_insights_come_without_what_is_bulky_unless_it_is_asked_for(ask: Ask) -> None:
    told = ask("insights")
    rows = structured(told)["rows"]
    assert {"title", "text", "severity"} <= set(rows[0])
    assert not {"evidence", "plan", "series"} & set(rows[0])
    _, table = said(told).split("\n", 1)
    assert len([*csv.DictReader(io.StringIO(table))]) == len(rows) == structured(told)["total"]
    assert "TRUNCATED" not in said(told)
    asked = structured(ask("insights", columns="title,plan", limit=2))["rows"]
    assert [[*row] for row in asked] == [["title", "plan"]] * 2
    same = structured(ask("knowledge", table="insights", limit=2))["rows"]
    assert [[*row] for row in same] == [[*rows[0]]] * 2
    wrong = ask("knowledge", table="pagerank", columns="rnk")
    assert wrong.is_error and "did you mean 'rank'" in said(wrong)


def test_a_text_without_room_has_whole_rows_and_says_so_first(ask: Ask) -> None:
    told = ask("insights", columns="title,text,evidence,plan,series")
    rows = structured(told)["rows"]
    first, table = said(told).split("\n", 1)
    shown = [*csv.DictReader(io.StringIO(table))]
    assert 0 < len(shown) < len(rows)
    assert f"] {len(shown)} of {len(rows)} rows, TRUNCATED: " in first
    assert json.loads(shown[-1]["plan"]) == rows[len(shown) - 1]["plan"]
    assert "give fewer columns, or give a higher offset" in first


def test_what_is_advised_are_parameters_of_the_tool(ask: Ask) -> None:
    near = said(ask("neighbors", id="airport:JFK", limit=2)).split("\n")[0]
    assert "TRUNCATED: there are more; narrow the question, or give a higher limit" in near
    assert "offset" not in near and "cursor" not in near
    ranks = said(ask("knowledge", table="pagerank", limit=2)).split("\n")[0]
    assert re.search(r"\] 2 of \d+ rows, TRUNCATED: there are more; ", ranks)
    assert "give a higher offset, or give a higher limit" in ranks
    most = said(ask("find_documents", event_type="Departure", limit=500, columns="origin"))
    assert "give a lower limit, and page on by cursor" in most and "higher limit" not in most
    page = said(ask("find_documents", event_type="Departure", limit=2, columns="origin"))
    assert "give next_cursor as cursor, or give a higher limit" in page


def test_a_description_that_is_long_is_shortened_to_valid_json(ask: Ask) -> None:
    told = said(ask("describe_event_type", event_type="Departure"))
    *_, text = told.split("\n") if "SHORTENED" in told else told.split("] ", 1)
    assert len(text) <= MOST_CHARACTERS
    assert json.loads(text)["event_type"] == "Departure"


def test_any_answer_has_valid_json_and_a_row_at_least() -> None:
    window = {"first_day": "2013-02-08", "last_day": "2013-02-09", "days": 2}
    head = {"snapshot": "s", "window": window}
    fields = [{"name": f"f{n}", "top": [f"value {m}" for m in range(90)]} for n in range(40)]
    described = answer_of("describe_event_type", head | {"fields": fields}, None, (), None)
    first, text = said(described).split("\n")
    assert "SHORTENED" in first and len(text) <= MOST_CHARACTERS
    assert json.loads(text)["fields"][0]["top"][-1] == "... 70 more"
    many = {f"field {n}": n for n in range(9000)}
    _, text = said(answer_of("node", head | {"node": many}, None, (), None)).split("\n")
    assert json.loads(text) == {"too_long_to_show": ["node"]}
    row = {"late": False, "value": 1 / 3, "none": None, "text": "long " * 9000}
    told = answer_of("knowledge", head | {"rows": [row], "truncated": False}, 5, (), None)
    [shown] = csv.DictReader(io.StringIO(said(told).split("\n", 1)[1]))
    assert (shown["late"], shown["value"], shown["none"]) == ("false", "0.3333", "")
    assert shown["text"].startswith("long long") and len(said(told)) < MOST_CHARACTERS + 200


def test_booleans_are_written_as_json_has_them(ask: Ask) -> None:
    told = said(ask("knowledge", table="cluster_choice", limit=50))
    assert "False" not in told and "True" not in told
    assert re.search(r"\b(true|false)\b", told)


def test_tools_do_not_speak_of_http(agent: Client, portal: BlockingPortal) -> None:
    for tool in portal.call(agent.list_tools).tools:
        told = [tool.description or ""]
        told += [one["description"] for one in tool.input_schema["properties"].values()]
        assert not re.search(r"POST|CSV|Arrow|HTTP|\b4\d\d\b|`/", " ".join(told)), tool.name
        assert not re.search(r";$|; [A-Z]", told[0]), told[0]
    [contrast] = [t for t in portal.call(agent.list_tools).tools if t.name == "contrast"]
    assert (contrast.description or "").endswith("give one of the three.")


def test_a_plan_may_come_as_a_text(ask: Ask) -> None:
    plan = {"steps": STEPS}
    whole, text = (structured(ask("run_plan", plan=p)) for p in (plan, json.dumps(plan)))
    assert text["rows"] == whole["rows"]
    assert structured(ask("validate_plan", plan=json.dumps(plan)))["valid"]
    refused = ask("run_plan", plan="{'steps': []}")
    assert refused.is_error and "plan is a text that is no JSON" in said(refused)
