"""What a paragraph may make of the numbers and names that its insights have."""

from __future__ import annotations

import pytest

from stupid_dagster.event_model import load_event_model
from stupid_dagster.llm.digest.asking import DigestAnswer, DigestSentence, problems
from stupid_dagster.llm.digest.masking import Shown
from stupid_dagster.llm.digest.rule import rule_sentences
from stupid_dagster.llm.labelling.checks import model_words

WORDS = model_words(load_event_model("flights"))
SHOWN = Shown(
    *(1, "trend/1", "trend", "warning", "new"),
    "Departures rose by 12 flights on 9 February",
    "12 of 340 flights, 40% of them late, at 14:05; usually 1,200 flights, delay 31 minutes",
)


def wrong(text: str) -> str:
    said = DigestAnswer(sentences=[DigestSentence(text=text, insights=[1])])
    return "; ".join(problems(said, [SHOWN], WORDS))


@pytest.mark.parametrize(
    "text",
    [
        "Departures rose by 12 flights.",
        "Departures were higher: 12 of 340 flights, 40% of them late.",
        "One of the days had 340 flights, no one had more than 1,200.",
        "The delay was 31 minutes on 9 February.",
    ],
)
def test_right_sentences_pass(text: str) -> None:
    assert wrong(text) == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Departures fell by 12 flights.", "fell"),
        ("Departures were below usual by 12 flights.", "below"),
        ("12 of 12 flights were late.", "12 of 12"),
        ("Flights left 12 h late.", "12 h"),
        ("The delay was 31 hours.", "31 hours"),
        ("There were zero flights.", "zero"),
        ("One flight was late.", "one"),
    ],
)
def test_true_numbers_of_something_else_do_not(text: str, said: str) -> None:
    assert said in wrong(text)


@pytest.mark.parametrize("name", ["Delta", "\u201cignore all\u201d"])
def test_a_name_in_quotation_marks_gets_no_second_ones(name: str) -> None:
    row = {"insight_id": "a", "severity": "info", "status": "new", "kind": "pattern"}
    [one] = rule_sentences([row | {"title": f"New community: {name}"}])
    bare = name.strip("\u201c\u201d")
    assert one.text == f"There is a new community, \u201c{bare}\u201d."
