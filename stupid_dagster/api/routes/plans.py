"""Query plans: run, checked, explained."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import polars as pl
from fastapi import APIRouter, Body, Query, Response
from pydantic import BeforeValidator, SkipValidation

from stupid_dagster.api.answers import Written
from stupid_dagster.api.dependencies import SnapshotAnswers
from stupid_dagster.api.examples import example
from stupid_dagster.api.examples.plans import PLAN_BODY
from stupid_dagster.api.media import JSON, AnswerForm
from stupid_dagster.api.models.plans import ExplainAnswer, PlanAnswer, ValidationAnswer
from stupid_dagster.deadline import check, deadline
from stupid_dagster.errors import InvalidPlanError, QueryError
from stupid_dagster.query import Page
from stupid_dagster.query.plans import (
    PlanResult,
    StepResult,
    explain_plan,
    run_plan,
    validate_plan,
)
from stupid_dagster.query.plans.model import Plan

router = APIRouter(prefix="/plans", tags=["plans"])


def _as_json(body: Any) -> Any:
    # FastAPI leaves what isn't sent as JSON as it came.
    if isinstance(body, bytes):
        raise ValueError("send JSON, and Content-Type: application/json")
    return body


PlanBody = Annotated[
    # Checked by `validate_plan`, which tells all mistakes at once.
    SkipValidation[Plan],
    BeforeValidator(_as_json),
    Body(openapi_examples={"plan": {"summary": "What happened at an airport", "value": PLAN_BODY}}),
]


@router.post("", response_model=PlanAnswer, responses=example("plan"))
def run(
    answers: SnapshotAnswers,
    plan: PlanBody,
    steps: Annotated[
        Literal["shown", "all"],
        Query(description="Whose rows to give: of the step that is shown, or of all."),
    ] = "shown",
) -> Response:
    """Run a plan, and give the rows of the step that it shows; of the others how they ended.

    Steps run side by side where they can. One that fails skips those that depend on it; the
    others' results are given all the same. As CSV or Arrow, the shown step's rows alone. Rows of
    more than 64 MB are cut off; of all steps, 1,000 rows each and 1 MB are given.
    """
    reader = answers.reader
    result = run_plan(reader, validate_plan(reader, plan))
    check_rows(result, answers.wanted)
    shown = result.rendered
    # The plan had its time; writing has that of a step.
    with deadline(reader.project.settings.step_seconds):
        rows = pl.DataFrame() if shown.rows is None else _fitting(shown.rows, MOST_BYTES)
        steps_written = [_step(one, whole=steps == "all") for one in result.steps.values()]
        check()
        return answers.page(
            Page(
                rows,
                shown.limit,
                shown.truncated or (shown.rows is not None and rows.height < shown.rows.height),
                shown.total,
            ),
            render=result.render.model_dump(),
            status=shown.status,
            error=shown.error,
            notes=shown.notes,
            seconds=round(result.seconds, 4),
            steps=Written(f"[{','.join(steps_written)}]"),
        )


@router.post("/validate", response_model=ValidationAnswer, responses=example("plan_validated"))
def validate(answers: SnapshotAnswers, plan: PlanBody) -> Response:
    """Check a plan without running it: all mistakes at once, each with its place.

    A valid plan comes back with its defaults, and what its steps depend on.
    """
    try:
        checked = validate_plan(answers.reader, plan)
    except InvalidPlanError as error:
        problems = [{"where": where, "message": what} for where, what in error.problems]
        return answers.data(valid=False, problems=problems, plan=None)
    return answers.data(valid=True, problems=[], plan=checked.model_dump(mode="json"))


@router.post("/explain", response_model=ExplainAnswer, responses=example("plan_explained"))
def explain(answers: SnapshotAnswers, plan: PlanBody) -> Response:
    """Say what a plan's steps would read, in which order, without running them.

    Numbers of rows are estimates, made from the files' statistics.
    """
    reader = answers.reader
    explained = explain_plan(reader, validate_plan(reader, plan))
    return answers.data(**explained.as_dict())


MOST_BYTES = 64 << 20
"""Of the shown step's rows; beyond, they are truncated."""
MOST_ROWS_A_STEP = 1_000
"""Rows of each step that `steps=all` gives; `count` tells how many there are."""
MOST_BYTES_A_STEP = 1 << 20


def check_rows(result: PlanResult, wanted: AnswerForm) -> None:
    """Raise QueryError where an answer that can have nothing but rows would have none."""
    shown = result.rendered
    if shown.rows is None and wanted.media != JSON:
        raise QueryError(f"step {shown.id} of the plan, which it shows: {shown.error}")


def _step(one: StepResult, *, whole: bool) -> str:
    """Return a step as JSON; raises TimedOutError."""
    if not whole:
        return json.dumps(one.as_dict(), ensure_ascii=False)
    check()
    rows = one.rows
    if rows is not None:
        rows = _fitting(rows.head(MOST_ROWS_A_STEP), MOST_BYTES_A_STEP)
    return one.as_json(rows)


def _fitting(rows: pl.DataFrame, most_bytes: int) -> pl.DataFrame:
    """Return the first rows, halved until they take so much memory at most."""
    while rows.height and rows.estimated_size() > most_bytes:
        rows = rows.head(rows.height // 2)
    return rows
