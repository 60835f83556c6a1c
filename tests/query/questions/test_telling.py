"""What of a model's words is told: what the results and the plan bear out, not the question."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from stupid_dagster.event_model import load_event_model
from stupid_dagster.llm.grounding import Evidence
from stupid_dagster.llm.openai import OpenAIModel
from stupid_dagster.llm.privacy import Pseudonyms
from stupid_dagster.query.plans.model import Plan
from stupid_dagster.query.plans.run import PlanResult, StepResult
from stupid_dagster.query.questions.privacy import Screen
from stupid_dagster.query.questions.telling import AnswerText, rule_text, tell
from tests.llm.servers import Say, model_server

NAMES = Pseudonyms(b"k", load_event_model("flights"), ["Aircraft"])
SCREEN = Screen(NAMES, lambda words, any_case: {}, texts=False)
QUESTION = "Which of the 900 carriers cancelled over 60 flights, 777 in all, as in 2011?"


def told(summary: str, **render: Any) -> AnswerText:
    """Return what is told of three carriers' cancellations, of a model's summary."""
    plan = Plan.model_validate(
        {
            "steps": [
                {
                    "id": "s555",
                    "op": "documents.scan",
                    "params": {
                        "event_type": "Cancellation",
                        "first_day": "2013-02-08",
                        "filters": [{"field": "delay", "op": "gt", "value": 60}],
                    },
                },
                {"id": "444", "op": "table.aggregate", "params": {"rows": {"ref": "s555"}}},
            ],
            "render": {"step": "444", **render},
        }
    )
    rows = pl.DataFrame({"carrier": ["EV", "B6", "DL"], "count": [88, 70, 33]})
    steps = {
        "s555": StepResult("s555", "documents.scan", "failed", error="too late"),
        "444": StepResult("444", "table.aggregate", "ok", rows, total=3, limit=10),
    }
    with model_server("openai", [Say(summary)]) as server:
        model = OpenAIModel("m", server.url, 10)
        try:
            return tell(
                model, QUESTION, PlanResult(plan, steps, 0.1), lambda text, replaces: None, SCREEN
            )
        finally:
            model.close()


@pytest.mark.parametrize(
    "summary",
    [
        "EV cancelled 88 flights.",
        "They cancelled 191 in all.",
        "Of flights over 60 minutes, on 8 February 2013, 3 carriers had some.",
    ],
)
def test_what_stands_in_results_or_plan_is_told(summary: str) -> None:
    assert told(summary).text == summary


@pytest.mark.parametrize(
    "wrong",
    [
        "There are 900 carriers.",
        "They cancelled 777 in all.",
        "As in 2011 it snowed.",
        "It was 999.",
        "It was 444 flights.",
        "It was 555.",
        "There were seven of them.",
    ],
)
def test_what_stands_in_the_question_or_a_title_or_a_steps_name_is_not(wrong: str) -> None:
    found = told(f"EV cancelled 88 flights. B6 cancelled 70. {wrong}", title="More than 999")
    assert found.text == "EV cancelled 88 flights. B6 cancelled 70."
    assert found.removed == 1


def test_the_rule_tells_no_title_that_does_not_hold() -> None:
    assert told("It was 12345.", title="More than 999").text.startswith("3 rows. The first: ")
    held = told("It was 12345.", title="Over 60 on 8 February")
    assert held.by == "rule"
    assert held.text.startswith("Over 60 on 8 February: 3 rows. The first: carrier EV, count 88.")


def test_only_sentences_that_do_not_hold_go() -> None:
    found = told("EV leads. It was 999 flights. B6 comes next. Then 777 more.")
    assert found.text == "EV leads. B6 comes next."
    assert (found.by, found.removed) == ("openai/m", 2)
    found = told("EV had 88. It was 999. Then 777 more. And 555.")
    assert (found.text, found.removed) == ("EV had 88.", 3)


def test_an_announcement_alone_is_no_answer() -> None:
    found = told("Here is what was found:\nIt was 999 flights.")
    assert (found.by, found.removed) == ("rule", 1)


@pytest.mark.parametrize(
    ("asked", "truncated", "total", "said"),
    [
        (3, True, 14, "the first 3 rows of 14. The first: carrier EV, "),
        (3, True, None, "the first 3 rows. The first: "),
        (3, False, 3, "3 rows. The first: "),
        (None, True, 14, "3 rows, more were cut off. The first: "),
        (50, True, None, "3 rows, more were cut off. The first: "),
    ],
)
def test_the_rule_says_what_was_cut_off_unasked(
    asked: int | None, truncated: bool, total: int | None, said: str
) -> None:
    plan = Plan.model_validate(
        {
            "steps": [
                {
                    "id": "s1",
                    "op": "documents.scan",
                    "params": {"event_type": "Cancellation", "limit": asked},
                }
            ],
            "render": {"step": "s1"},
        }
    )
    rows = pl.DataFrame({"carrier": ["EV", "B6", "DL"], "mean_dep_delay": [8, 7, 3]})
    one = StepResult("s1", "documents.scan", "ok", rows, truncated, total=total, limit=asked or 3)
    text = rule_text(PlanResult(plan, {"s1": one}, 0.1), Evidence())
    assert text.startswith(said)
    assert text.endswith("mean dep delay 8.")
