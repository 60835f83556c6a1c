"""The tools over what is newer: the catalog's summary, timelines, contrasts, plans."""

from __future__ import annotations

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
