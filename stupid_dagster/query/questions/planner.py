"""From a question to a plan that is valid."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, model_validator

from stupid_dagster.errors import (
    InvalidPlanError,
    InvalidQueryError,
    LanguageModelError,
    QueryError,
)
from stupid_dagster.llm.protocol import LanguageModel, Usage
from stupid_dagster.query.plans import validate_plan
from stupid_dagster.query.plans.model import Plan
from stupid_dagster.query.questions.cache import PlanCache, cache_key
from stupid_dagster.query.questions.privacy import Screen
from stupid_dagster.query.questions.prompts import (
    MOST_QUESTION,
    planning_messages,
    repair_messages,
)
from stupid_dagster.query.questions.sessions import Turn
from stupid_dagster.query.reader import SnapshotReader

MOST_REPAIRS = 2
_NO_PLAN = "is missing, and `unanswerable` doesn't say why"


class _PlanForm(BaseModel):
    plan: Plan | None
    unanswerable: str | None


class PlanAnswer(BaseModel):
    """What a model answers: held to a plan's form by the server, and read with patience here.

    A plan whose form is wrong is told all its problems at once by the validator. A plan that comes
    bare, without `{"plan": ...}` around it, is one all the same.
    """

    plan: dict[str, Any] | None = None
    unanswerable: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _wrapped(cls, answer: Any) -> Any:
        bare = isinstance(answer, dict) and "plan" not in answer and "steps" in answer
        return {"plan": answer} if bare else answer

    @classmethod
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Return the schema of the answer that is wanted."""
        return _PlanForm.model_json_schema(*args, **kwargs)


@dataclass(frozen=True)
class Planned:
    """A plan, and how it came about."""

    plan: Plan
    model_id: str
    usage: Usage
    repairs: int = 0
    cached: bool = False


def make_plan(
    reader: SnapshotReader,
    language_model: LanguageModel,
    question: str,
    *,
    screen: Screen | None = None,
    turns: Sequence[Turn] = (),
    forgotten: int = 0,
    cache: PlanCache | None = None,
) -> Planned:
    """Return a valid plan for a question, which may refer to earlier turns.

    `forgotten` turns before them aren't known any more, which the model is told. What is sent goes
    through a `screen`, and so does the plan that comes back.

    Raises InvalidQueryError for a question that is empty or too long, QueryError for one that the
    data can't answer, LanguageModelError when no model answers or no plan is valid after two
    repairs.
    """
    if not question.strip() or len(question) > MOST_QUESTION:
        raise InvalidQueryError(
            f"the question has {len(question)} characters; give from 1 to {MOST_QUESTION}"
        )
    screen = screen or Screen.of(reader)
    messages = planning_messages(reader, screen, question, turns, forgotten)
    key = cache_key(language_model.model_id, messages, question)
    if cache is not None and (known := cache.find(key)):
        return Planned(known, language_model.model_id, Usage(), cached=True)
    usage, problems = Usage(), []
    for repairs in range(MOST_REPAIRS + 1):
        done = language_model.complete(messages, PlanAnswer)
        usage += done.usage
        why = (done.value.unanswerable or "").strip()
        if done.value.plan is None and why:
            raise QueryError(f"the data can't answer this: {screen.reveal(why[:500])}")
        try:
            if done.value.plan is None:
                raise InvalidPlanError([("plan", _NO_PLAN)])
            plan = validate_plan(reader, screen.reveal(_without_nulls(done.value.plan)))
        except InvalidPlanError as error:
            problems = error.problems
            said = json.dumps(done.value.model_dump(), separators=(",", ":"))
            told = [(where, screen.message(what)) for where, what in problems]
            messages += repair_messages(said, told)
            continue
        if cache is not None:
            cache.keep(key, reader.id, plan)
        return Planned(plan, done.model_id, usage, repairs)
    told = "; ".join(f"{where}: {what}" for where, what in problems)
    raise LanguageModelError(
        f"{language_model.model_id} made no valid plan, repaired {MOST_REPAIRS} times: "
        f"{told[:1000]}. Put the question in other words, or run a plan of your own"
    )


def _without_nulls(tree: Any) -> Any:
    """Return a plan with parameters left out that are null, as servers' schemas demand all."""
    if isinstance(tree, dict):
        return {name: _without_nulls(part) for name, part in tree.items() if part is not None}
    return [_without_nulls(part) for part in tree] if isinstance(tree, list) else tree
