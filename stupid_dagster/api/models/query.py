"""Shapes of questions in plain words, and of conversations."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from stupid_dagster.api.dependencies import Day
from stupid_dagster.api.models.shapes import Answer, Page, Shape


class Question(BaseModel):
    """A question about the window's events."""

    model_config = ConfigDict(extra="forbid")
    question: str = Field(
        min_length=1,
        max_length=2000,
        description="In any language that the language model understands.",
        examples=["Which carriers cancelled most flights on 8 February?"],
    )
    session: str | None = Field(
        default=None,
        max_length=100,
        description="Id of a session: the question may refer to those that were asked in it.",
    )
    as_of: Day | None = Field(
        default=None,
        description="Answer from the window that ended on this day; `/snapshot` lists them.",
    )


class Tokens(Shape):
    """Tokens that language models took for the answer."""

    prompt_tokens: int
    completion_tokens: int


class Seconds(Shape):
    """How long each part took."""

    plan: float
    run: float
    text: float
    total: float


class AskedStep(Shape):
    """How a step of the plan ended."""

    id: str
    op: str
    status: Literal["ok", "failed", "skipped"]
    count: int | None = Field(description="Rows; null where it failed.")
    total: int | None = None
    truncated: bool
    partial: bool = Field(description="Steps that it rests on were truncated.")
    seconds: float
    error: str | None = None
    notes: list[str]
    columns: dict[str, str] | None = Field(
        default=None, description="Its columns with their types; of the type `time` are times."
    )


class QueryAnswer(Page):
    """The answer to a question: words, and the rows that they rest on."""

    question: str
    session: str | None = None
    text: str = Field(
        description="Every number in it stands in the results or in what the plan asks for, "
        "exactly or rounded."
    )
    text_by: str = Field(description="The language model that wrote it, or `rule`.")
    sentences_removed: int = Field(description="Those that said what stands in neither.")
    plan: dict[str, Any] = Field(description="As `POST /plans` takes it.")
    model: str = Field(description="The language model that made the plan.")
    repairs: int = Field(description="Times that the plan was sent back with its mistakes.")
    cached: bool = Field(description="The plan was made before, for the same question.")
    steps: list[AskedStep]
    render: dict[str, Any] = Field(description="Which step is shown, and how.")
    rows: list[dict[str, Any]] = Field(description="Rows of the step that is shown.")
    usage: Tokens
    seconds: Seconds


class SessionTurn(Shape):
    """A question of a session."""

    question: str
    plan: dict[str, Any]
    snapshot: str = Field(description="Id of the snapshot that answered.")
    found: dict[str, list[str]] = Field(description="Values that later questions may refer to.")


class Session(Shape):
    """A conversation; it ends when it isn't used for an hour, or, held in memory, with the process.

    Servers of a lake in a bucket share theirs, which outlive them.
    """

    id: str
    created: datetime
    turns: list[SessionTurn] = Field(description="The last five.")
    forgotten: int = Field(
        description="Questions that are forgotten, as their windows aren't kept any more."
    )


class SessionAnswer(Answer):
    """A session."""

    session: Session


class SessionsAnswer(Answer):
    """How many sessions there are."""

    sessions: int = Field(description="Sessions that go on.")
    most: int = Field(description="One more ends the one that wasn't used for the longest time.")
