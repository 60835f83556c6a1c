"""The kept questions: their plans are valid, run, and give what SQL over stored tables gives."""

from __future__ import annotations

from typing import get_args

import polars as pl
import pytest

from stupid_dagster.query import SnapshotReader
from stupid_dagster.query.plans import run_plan, validate_plan
from stupid_dagster.query.plans.model import Step
from stupid_dagster.query.questions.examples import plan_examples
from stupid_dagster.query.questions.privacy import Screen
from stupid_dagster.query.questions.prompts import (
    MOST_CATALOG,
    MOST_CONTEXT,
    MOST_EXAMPLES,
    MOST_QUESTION,
    planning_messages,
)
from stupid_dagster.query.questions.sessions import Turn
from tests.questions.asked import SETS, Asked, asked, check_answer, tables

ALL = [one for sample in SETS for one in asked(sample)]


@pytest.fixture(scope="session")
def sql(readers: dict[str, SnapshotReader]) -> dict[str, pl.SQLContext[pl.DataFrame]]:
    return {name: tables(reader) for name, reader in readers.items()}


@pytest.mark.parametrize("one", ALL, ids=lambda one: f"{one.sample}: {one.question[:60]}")
def test_the_plan_gives_the_answer(
    one: Asked,
    readers: dict[str, SnapshotReader],
    sql: dict[str, pl.SQLContext[pl.DataFrame]],
) -> None:
    reader = readers[one.sample]
    result = run_plan(reader, validate_plan(reader, one.plan))
    assert {step.status for step in result.steps.values()} == {"ok"}
    check_answer(one, result, sql[one.sample])


@pytest.mark.parametrize("sample", SETS)
def test_the_sets_are_large_and_have_every_op(sample: str) -> None:
    known = {get_args(one.model_fields["op"].annotation)[0] for one in get_args(get_args(Step)[0])}
    questions = asked(sample)
    assert len({one.question for one in questions}) == len(questions) >= 40
    assert {step["op"] for one in questions for step in one.plan["steps"]} == known


@pytest.mark.parametrize("sample", SETS)
def test_examples_of_the_prompt_are_of_the_model_and_run(
    sample: str, readers: dict[str, SnapshotReader]
) -> None:
    reader = readers[sample]
    examples = plan_examples(reader)
    assert len(examples) >= 8
    for question, plan in examples:
        result = run_plan(reader, validate_plan(reader, plan))
        assert {step.status for step in result.steps.values()} == {"ok"}, question
    other = readers[SETS[1 - SETS.index(sample)]].project.model
    mine = set(reader.project.model.events) | set(reader.project.model.metrics)
    for name in (set(other.events) | set(other.metrics)) - mine:
        assert not any(f" {name} " in question for question, _ in examples)


@pytest.mark.parametrize("sample", SETS)
def test_the_prompt_is_bounded(sample: str, readers: dict[str, SnapshotReader]) -> None:
    plan = {"steps": [{"id": "s1", "op": "graph.path", "params": {"source": "x" * 900}}]}
    turns = [
        Turn(f"Question {n} {'?' * 1900}", plan, "s", {"actor": ["a" * 200] * 20}) for n in range(9)
    ]
    messages = planning_messages(
        readers[sample], Screen.of(readers[sample]), "q" * MOST_QUESTION, turns
    )
    size = sum(len(message.content) for message in messages)
    assert size < MOST_CATALOG + MOST_EXAMPLES + MOST_CONTEXT + MOST_QUESTION + 6000
