"""The score of a planner (benchmarks/questions.py), of one that follows a script."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import questions as benchmark
from stupid_dagster.project import Project
from stupid_dagster.query import SnapshotReader
from stupid_dagster.stores.snapshots import open_snapshot
from tests.llm.servers import COMPLETION_TOKENS, PROMPT_TOKENS, Fail, Say, Served, model_server
from tests.questions.asked import asked
from tests.questions.scripted import with_model

ASKED = asked("flights")[:6]
WRONG = {"steps": [{"id": "s1", "op": "knowledge.read", "params": {"table": "clusters"}}]}
MALFORMED = {"steps": [{"id": "s1", "op": "knowledge.read", "params": {"table": "cluster"}}]}


@pytest.fixture
def planner(flights_project: Project) -> Iterator[tuple[Project, Served]]:
    """A planner that answers four questions as they should be, one of them repaired.

    Of the others one is answered with other rows, one with mistakes only.
    """
    kept = {one.question: one.plan for one in ASKED}
    kept[ASKED[1].question] = WRONG
    kept[ASKED[2].question] = MALFORMED

    def answer(request: dict[str, Any]) -> Say | Fail:
        said = [message["content"] for message in request["messages"]]
        question = next((text for text in said if text in kept), None)
        if question is None:
            return Fail(400, f"that is not in the script: {said[-1][:200]}")
        plan = kept[question]
        if question == ASKED[0].question and said[-1] == question:
            plan = MALFORMED
        return Say(json.dumps({"plan": plan, "unanswerable": None}))

    with model_server("openai", answer) as server:
        yield with_model(flights_project, server), server


def test_plans_are_counted_by_what_they_give(
    planner: tuple[Project, Served], capsys: pytest.CaptureFixture[str]
) -> None:
    project, server = planner
    with SnapshotReader(project, open_snapshot(project.lake)) as reader:
        found = benchmark.score(reader, ASKED)

    calls = 6 + 1 + 2
    assert len(server.requests) == calls
    assert found == {
        "model": "openai/scripted",
        "questions": 6,
        "valid": 5,
        "valid_at_once": 4,
        "same_rows": 4,
        "failed": 1,
        # Of the plan that failed too.
        "prompt_tokens": calls * PROMPT_TOKENS,
        "completion_tokens": calls * COMPLETION_TOKENS,
        "seconds": found["seconds"],
    }
    told = capsys.readouterr().out
    assert told.count("same rows") == 4
    assert told.count("other rows") == 1
    assert f"- {ASKED[2].question}\n    no plan: " in told


def test_it_runs_as_a_program(
    planner: tuple[Project, Served],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    project, server = planner
    for name, value in (("", "openai"), ("_OPENAI_MODEL", "scripted"), ("_OPENAI_URL", server.url)):
        monkeypatch.setenv(f"STUPID_LLM{name}", value)
    root = str(Path(project.settings.root))
    arguments = ["questions", "--sample", "flights", "--project", root, "--most", "2"]
    monkeypatch.setattr("sys.argv", arguments)
    benchmark.main()
    score = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (score["questions"], score["valid"], score["same_rows"]) == (2, 2, 1)
