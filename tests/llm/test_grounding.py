from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stupid_dagster.llm.grounding import Evidence, split_sentences

GIVEN = Evidence.of(
    # A condition of the plan.
    '{"field": "dep_delay", "op": "gt", "value": 60}',
    '[{"carrier":"B6","flights":4148,"share":0.3417,"mean_delay":-12.456,"tail":"N14228",'
    '"route":"route:JFK-LAX","cluster":"cluster:3","p":1.2e-05,"q":1e-10,"bytes":1234567}]',
    '{"time": "2013-02-08T18:30:00Z", "day": "2013-02-09", "doc": "2013-02-08/Departure/17"}',
)


@pytest.mark.parametrize(
    "sentence",
    [
        "B6 had 4,148 flights.",
        "B6 had 4148 flights, 34.17% of all.",
        "That is 34 percent, or 34.2 %.",
        "About 4,200 flights.",
        "Roughly 35% of them.",
        "4.1k flights, or 4.15 thousand.",
        "1.2 million bytes, 1.23M.",
        "The mean was 12.5 minutes early (-12.46).",
        "On 2013-02-08 at 18:30, and on 9 February.",
        "On February 8th, 2013 it snowed.",
        "In 2013 it did.",
        "Aircraft N14228 flew JFK-LAX (route:JFK-LAX), in cluster:3.",
        "See 2013-02-08/Departure/17.",
        "More than 60 minutes, one of the worst.",
        "4\u202f148 flights; 4'148 flights.",
        "The p-value is 1.2e-05.",
        "No number here.",
    ],
)
def test_what_was_given_may_be_said(sentence: str) -> None:
    assert GIVEN.unsupported(sentence) == []


@pytest.mark.parametrize(
    ("sentence", "wrong"),
    [
        ("B6 had 4,149 flights.", ["4,149"]),
        ("B6 had 4.2k flights.", ["4.2k"]),
        ("That is 35% of all.", ["35%"]),
        ("About 5,000 flights.", ["5,000"]),
        ("The mean was 12.47 minutes.", ["12.47"]),
        ("On 2013-02-10 at 19:30.", ["2013-02-10", "19:30"]),
        ("On 10 February.", ["any--02-10"]),
        ("In 2014.", ["2014"]),
        ("Aircraft N14229 did.", ["n14229"]),
        ("Cluster cluster:4 did.", ["cluster:4"]),
        ("Seven carriers did.", ["Seven"]),
        ("See 2013-02-08/Departure/18.", ["2013-02-08/departure/18"]),
        ("It took 2 million.", ["2 million"]),
        ("17 of them.", ["17"]),
        ("The p-value is 3e-12.", ["3e-12"]),
    ],
)
def test_what_was_not_given_is_found(sentence: str, wrong: list[str]) -> None:
    assert GIVEN.unsupported(sentence) == wrong


STRICT = Evidence.of("12 of 340 flights, 40% of them late, on Friday 8 February", strict=True)


@pytest.mark.parametrize(
    "sentence", ["12 of 340 flights.", "40 percent were late.", "Nearly 350 flights."]
)
def test_strict_evidence_supports_what_it_says(sentence: str) -> None:
    assert STRICT.unsupported(sentence) == []


@pytest.mark.parametrize(
    "sentence",
    ["12% of flights were late.", "40 flights were late.", "0.4 of them.", "0 flights were late."],
)
def test_strict_evidence_tells_percentages_from_numbers(sentence: str) -> None:
    assert STRICT.unsupported(sentence)


def test_more_than_a_number_is_not_less() -> None:
    known = Evidence.of("340 flights, 60%")
    for said in ("over 335", "at least 340", "under 350", "up to 340", "about 350", "over 59%"):
        assert known.unsupported(f"It had {said} flights.") == []
    for said in ("over 350", "more than 341", "under 335", "nearly 335", "at least 61%"):
        assert known.unsupported(f"It had {said} flights.")


def test_a_date_without_a_year_is_no_number() -> None:
    assert Evidence.of("on 8 February").unsupported("0 flights were late.") == ["0"]


@given(st.floats(0.001, 1e9), st.integers(0, 4))
def test_any_rounding_of_a_number_is_supported(value: float, decimals: int) -> None:
    given = Evidence.of(repr(value))
    assert given.unsupported(f"It was {value:,.{decimals}f} in all.") == []
    assert given.unsupported(f"It was {value * 1.5 + 1:,.{decimals}f} in all.")


def test_numbers_that_no_float_can_state_are_words_like_any_other() -> None:
    for said in ("1e400", "1e+300", "1e-999", "9" * 5000, "7e99999", f"{'9' * 200}e99 billion"):
        assert Evidence.of(said).unsupported(f"it is {said}") == []
        assert Evidence.of("5").unsupported(f"it is {said}")


@given(st.text(max_size=200))
def test_any_text_supports_itself(text: str) -> None:
    Evidence.of(text).unsupported(text)  # Whatever it says: it raises nothing.


def test_sentences() -> None:
    done, rest = split_sentences("B6 had 4.5 flights. Was it 3.5? Yes!\n- one\nAnd the re")
    assert done == ["B6 had 4.5 flights. ", "Was it 3.5? ", "Yes!\n", "- one\n"]
    assert rest == "And the re"
    kept = split_sentences("Delta Air Lines Inc. United and Envoy Inc. had 5. Others, e.g. B6, 4.")
    assert kept == (["Delta Air Lines Inc. United and Envoy Inc. had 5. "], "Others, e.g. B6, 4.")
    assert split_sentences("Ended. ") == ([], "Ended. ")
