"""A question answered: planned, run, told; what happens is reported while it does."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from typing import Any, Literal

import polars as pl

from stupid_dagster.errors import LanguageModelError
from stupid_dagster.llm.budget import Budget
from stupid_dagster.llm.chain import Chain
from stupid_dagster.llm.protocol import Usage
from stupid_dagster.project import Project
from stupid_dagster.query.paging import Page
from stupid_dagster.query.plans import PlanResult, run_plan
from stupid_dagster.query.questions.cache import PlanCache
from stupid_dagster.query.questions.planner import Planned, make_plan
from stupid_dagster.query.questions.privacy import Screen
from stupid_dagster.query.questions.sessions import MemorySessions, Sessions, Turn, found_columns
from stupid_dagster.query.questions.telling import AnswerText, tell
from stupid_dagster.query.reader import SnapshotReader

MOST_SHOWN = 1000
"""Rows of the step that is shown."""

EventName = Literal["plan", "progress", "render", "text", "done"]
OnEvent = Callable[[EventName, dict[str, Any]], None]


@dataclass(frozen=True)
class Answered:
    """A question's plan, results and words; `seconds` for each of the three and altogether."""

    session: str | None
    planned: Planned
    result: PlanResult
    told: AnswerText
    seconds: dict[str, float]

    @property
    def usage(self) -> Usage:
        """Tokens of planning and telling."""
        return self.planned.usage + self.told.usage

    @property
    def page(self) -> Page:
        """The rows that are shown; none where their step failed."""
        return shown_page(self.result)

    def summary(self) -> dict[str, Any]:
        """Return all but plan, steps and rows as plain data."""
        return {
            "session": self.session,
            "text": self.told.text,
            "text_by": self.told.by,
            "sentences_removed": self.told.removed,
            "usage": asdict(self.usage),
            "seconds": self.seconds,
        }


class Questions:
    """Answers questions, and remembers plans and conversations. Any threads may use one.

    Its `sessions` are of this process alone where none are given.
    """

    def __init__(self, project: Project, sessions: Sessions | None = None) -> None:
        self.project = project
        self.plans = PlanCache()
        self.sessions = MemorySessions() if sessions is None else sessions

    def language_model(self) -> Chain:
        """Return the language model; raises LanguageModelError where none is set, or may be."""
        found = self.project.language_model
        if self.project.settings.llm_share == "nothing":
            raise LanguageModelError(
                "the setting llm_share is nothing, so no language model is told of the data, and "
                "questions can't be answered; profiles lets them be, with pseudonyms for ids. "
                "Query plans run without: POST /plans, or `stupid-dagster plan FILE`"
            )
        if found is None:
            raise LanguageModelError(
                "no language model is set, which questions need: name one in the setting llm and "
                'its model beside it, such as llm = ["ollama"] and llm_ollama_model = "..." in '
                "stupid.toml (or STUPID_LLM and STUPID_LLM_OLLAMA_MODEL); the others are openai "
                "and anthropic. Query plans run without one: POST /plans, or "
                "`stupid-dagster plan FILE`"
            )
        return found

    def close(self) -> None:
        """Close the language model's connections."""
        if self.project.language_model:
            self.project.language_model.close()

    def keep_only(self, snapshots: Collection[str]) -> None:
        """Forget what is known from all other snapshots: their days may have been evicted."""
        self.plans.keep_only(snapshots)
        self.sessions.keep_only(snapshots)

    def ask(
        self,
        reader: SnapshotReader,
        question: str,
        *,
        session: str | None = None,
        on_event: OnEvent = lambda name, data: None,
    ) -> Answered:
        """Return the answer to a question, which may refer to earlier ones of its session.

        `on_event` is called in this thread; what it raises ends the work. Raises as `make_plan`,
        and NotFoundError for an unknown session.
        """
        limit = Budget(
            self.project.settings.llm_question_tokens, token_setting="llm_question_tokens"
        )
        language_model = self.language_model().within(limit)
        screen = Screen.of(reader)
        found = self.sessions.find(session) if session else None
        watch = _Watch()
        planned = make_plan(
            reader,
            language_model,
            question,
            screen=screen,
            turns=found.turns if found else (),
            forgotten=found.forgotten if found else 0,
            cache=self.plans,
        )
        watch.lap("plan")
        on_event("plan", plan_told(planned))
        result = run_plan(
            reader, planned.plan, on_step=lambda one: on_event("progress", one.as_dict())
        )
        watch.lap("run")
        page = shown_page(result)
        shown = {"total": page.total, "limit": page.limit, "truncated": page.truncated}
        on_event("render", {"render": result.render.model_dump(), **shown, "rows": page.rows})
        told = tell(
            language_model,
            question,
            result,
            lambda text, replaces: on_event("text", {"text": text, "replaces": replaces}),
            screen,
        )
        watch.lap("text")
        if session:
            plan = plan_told(planned)["plan"]
            turn = Turn(question, plan, reader.id, found_columns(page.rows))
            self.sessions.add(session, turn)
        answered = Answered(session, planned, result, told, watch.seconds())
        on_event("done", answered.summary())
        return answered


def plan_told(planned: Planned) -> dict[str, Any]:
    """Return a plan, and how it came about, as plain data."""
    return {
        "plan": planned.plan.model_dump(mode="json", exclude_defaults=True),
        "model": planned.model_id,
        "repairs": planned.repairs,
        "cached": planned.cached,
    }


def shown_page(result: PlanResult) -> Page:
    """Return the first rows of the step that a plan shows; none where it has no result."""
    one = result.rendered
    rows = pl.DataFrame() if one.rows is None else one.rows
    cut = one.truncated or rows.height > MOST_SHOWN
    return Page(rows.head(MOST_SHOWN), MOST_SHOWN, cut, one.total)


class _Watch:
    def __init__(self) -> None:
        self._started = self._last = time.perf_counter()
        self._laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self._laps[name] = round(now - self._last, 4)
        self._last = now

    def seconds(self) -> dict[str, float]:
        return {**self._laps, "total": round(self._last - self._started, 4)}
