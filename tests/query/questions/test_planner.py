"""A model's answer made a plan: bare ones too; one without plan and reason is repaired."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stupid_dagster.errors import LanguageModelError, QueryError
from stupid_dagster.llm.openai import OpenAIModel
from stupid_dagster.project import Project
from stupid_dagster.query import SnapshotReader
from stupid_dagster.query.questions.planner import Planned, make_plan
from stupid_dagster.stores.snapshots import open_snapshot
from tests.llm.servers import Say, Served, model_server

BARE = {
    "steps": [{"id": "s1", "op": "knowledge.read", "params": {"table": "clusters"}}],
    "render": {"type": "table", "step": "s1", "title": "Segments"},
}


def planned(project: Project, *answers: Any) -> tuple[Planned, Served]:
    """Return the plan that is made of a model's answers, and the server that gave them."""
    said = [Say(json.dumps(answer)) for answer in answers]
    with (
        model_server("openai", [*said]) as server,
        SnapshotReader(project, open_snapshot(project.lake)) as reader,
    ):
        model = OpenAIModel("m", server.url, 10)
        try:
            return make_plan(reader, model, "Which segments are there?"), server
        finally:
            model.close()


@pytest.mark.parametrize("answer", [BARE, {"plan": BARE}, {"plan": BARE, "unanswerable": ""}])
def test_a_plan_may_come_bare(flights_project: Project, answer: Any) -> None:
    found, _ = planned(flights_project, answer)
    assert found.plan.steps[0].params.model_dump()["table"] == "clusters"
    assert found.plan.render is not None
    assert found.plan.render.title == "Segments"
    assert found.repairs == 0


def test_a_bare_plan_is_checked(flights_project: Project) -> None:
    found, server = planned(flights_project, BARE | {"steps": []}, BARE)
    assert found.repairs == 1
    assert "steps: should be a list" in server.requests[1]["messages"][-1]["content"]


@pytest.mark.parametrize(
    "nothing", [{}, {"plan": None}, {"plan": None, "unanswerable": " "}, {"answer": 42}]
)
def test_neither_plan_nor_reason_is_repaired(flights_project: Project, nothing: Any) -> None:
    found, server = planned(flights_project, nothing, BARE)
    assert found.repairs == 1
    assert "plan: is missing" in server.requests[1]["messages"][-1]["content"]
    with pytest.raises(LanguageModelError, match="made no valid plan, repaired 2 times: plan: is"):
        planned(flights_project, nothing, nothing, nothing)


def test_a_reason_is_told_as_the_datas(flights_project: Project) -> None:
    with pytest.raises(QueryError, match=r"the data can't answer this: No weather\."):
        planned(flights_project, {"plan": None, "unanswerable": "No weather."})
