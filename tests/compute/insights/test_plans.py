"""Plans: ids, references and what depends on what; that only what exists is named."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stupid_dagster.compute.insights import plans
from stupid_dagster.event_model import load_event_model
from tests.compute.insights.made import check_plan

GAMING = load_event_model("gaming")
FLIGHTS = load_event_model("flights")
DAY = dt.date(2025, 3, 14)
text = st.text(max_size=20)


def test_a_step_depends_on_what_it_refers_to() -> None:
    steps = plans.Steps()
    first = steps.read("anomalies")
    second = steps.traverse(plans.ref(first, "actor"), 2, "OpenedGame")
    both = [
        plans.where("actor", "in", plans.ref(second, "entity_id")),
        plans.where("actor", "in", plans.ref(first, "actor")),
    ]
    steps.read("features", *both)
    assert steps.plan(first, "table", "Those")["render"] == {
        "type": "table",
        "step": "s1",
        "title": "Those",
    }
    assert [step["depends_on"] for step in steps.steps] == [[], ["s1"], ["s1", "s2"]]


def test_the_check_of_these_tests_finds_mistakes() -> None:
    good = plans.actors_plan(0.3, "All")
    check_plan(good, GAMING)
    for old, new in (
        ('"anomalies"', '"anomalie"'),
        ('"score"', '"scor"'),
        ('"ref": "s1"', '"ref": "s3"'),
        ('"field": "actor"', '"field": "entity"'),
        ('"depends_on": ["s1"]', '"depends_on": []'),
        ('"step": "s1"', '"step": "s9"'),
    ):
        wrong = json.dumps(good).replace(old, new)
        assert wrong != json.dumps(good)
        with pytest.raises(AssertionError):
            check_plan(json.loads(wrong), GAMING)


@pytest.mark.parametrize("model", [GAMING, FLIGHTS], ids=["gaming", "flights"])
@pytest.mark.parametrize("grain", ["day", "hour"])
def test_every_metric_and_dimension_has_a_plan(model, grain: str) -> None:
    for metric, rule in model.metrics.items():
        for dimension in ("", *rule.by):
            peak = {
                "grain": grain,
                "dimension": dimension,
                "day": DAY,
                "time": dt.datetime(2025, 3, 14, tzinfo=dt.UTC),
                "drivers": [{"dimension": field} for field in ("nowhere", *rule.by)],
            }
            plan = plans.trend_plan(model, metric, peak, ["a", "b"] if dimension else [], "T")
            check_plan(json.loads(json.dumps(plan)), model)
            assert any(step["op"] == "documents.scan" for step in plan["steps"])


@given(
    st.sampled_from(["trend", "anomaly", "cause", "bots"]),
    st.lists(text, min_size=1, max_size=4),
    text,
    st.lists(st.sampled_from(["2025-03-14/Login/3", "2025-03-13/API Error/0"]), max_size=3),
)
def test_plans_are_sound_whatever_they_are_about(
    kind: str, subjects: list[str], title: str, documents: list[str]
) -> None:
    name = subjects[0]
    for plan in (
        plans.resolved_plan(kind, subjects, title),
        plans.actor_plan(name, documents, ["HitError"], title),
        plans.cause_plan(name, "LoggedInFrom", title),
        plans.bots_plan(subjects, title, documents, title),
        plans.pattern_plan(name, ["Login", "Login", "API Error"], DAY, DAY, title),
        plans.cluster_plan(name, title),
        plans.community_plan(GAMING, name, subjects, title),
        plans.community_plan(GAMING, name, [], title),
        plans.moves_plan("cluster", name, subjects[1:], title),
        plans.sizes_plan("community", subjects, title),
        plans.actors_plan(0.3, title),
    ):
        check_plan(json.loads(json.dumps(plan)), GAMING)


def test_new_actors_are_those_first_seen_on_the_day() -> None:
    time = dt.datetime(2025, 3, 13, 17, tzinfo=dt.UTC)
    plan = plans.new_actors_plan(GAMING, {"time": time}, "new_actors", "New")
    check_plan(plan, GAMING)
    who = plan["steps"][1]["params"]["filters"]
    assert [f["value"] for f in who] == [
        "Member",
        "2025-03-13T17:00:00+00:00",
        "2025-03-14T17:00:00+00:00",
    ]
