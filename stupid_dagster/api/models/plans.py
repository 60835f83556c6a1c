"""Shapes of the answers about query plans."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from stupid_dagster.api.errors import Mistake
from stupid_dagster.api.models.shapes import Answer, Page, Shape
from stupid_dagster.query.plans.model import Plan, Render


class StepAnswer(Shape):
    """How a step ended."""

    id: str
    op: str
    status: Literal["ok", "failed", "skipped"]
    count: int | None = Field(default=None, description="Rows it gave; null where it gave none.")
    total: int | None = Field(
        default=None, description="Rows there are, where counting them is cheap."
    )
    truncated: bool = Field(description="There are more rows than it gave.")
    partial: bool = Field(description="It rests on rows that were truncated: some may be missing.")
    seconds: float
    error: str | None = Field(default=None, description="Why it failed or was skipped.")
    notes: list[str] = Field(description="What whoever reads its rows should know.")
    columns: dict[str, str] | None = Field(
        default=None, description="Its columns with their types; of the type `time` are times."
    )
    rows: list[dict[str, Any]] | None = Field(
        default=None, description="Its rows, where those of all steps were asked for."
    )


class PlanAnswer(Page):
    """A plan's results. The rows, and how many there are, are those of the step it shows."""

    render: Render
    status: Literal["ok", "failed", "skipped"] = Field(description="Of the step that is shown.")
    error: str | None = Field(default=None, description="Why that step failed or was skipped.")
    notes: list[str] = Field(description="What whoever reads the rows should know.")
    seconds: float = Field(description="From the first step's begin to the last one's end.")
    steps: list[StepAnswer] = Field(description="All steps, in the plan's order.")
    rows: list[dict[str, Any]]


class ValidationAnswer(Answer):
    """Whether a plan could run."""

    valid: bool
    problems: list[Mistake] = Field(description="All mistakes, each with its place in the plan.")
    plan: Plan | None = Field(
        default=None, description="The plan with its defaults; null if it isn't valid."
    )


class ExplainedStepAnswer(Shape):
    """What a step would read."""

    id: str
    op: str
    level: int = Field(description="1: at once; 2: after steps of level 1; and so on.")
    depends_on: list[str]
    store: str = Field(description="What serves it.")
    files: int
    bytes: int
    stored_rows: int | None = Field(
        default=None, description="Rows of those files; null where there are none."
    )
    estimated_rows: int | None = Field(
        default=None, description="An estimate; null where nothing is known."
    )
    most_rows: int = Field(description="No more than these.")
    pushed_down: list[str] = Field(description="What the store itself narrows the rows by.")
    columns: list[str] = Field(description="The columns that its rows would have.")


class ExplainAnswer(Answer):
    """What a plan would do."""

    steps: list[ExplainedStepAnswer] = Field(description="In the plan's order.")
    shown: str = Field(description="The step whose rows would be shown.")
