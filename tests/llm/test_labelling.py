"""What a model may say of a profile: numbers, names, words, length; what is kept of it."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from stupid_dagster.compute import quoting, words
from stupid_dagster.compute.profiles.traits import Figure, KeyMember, Profile, PropertyTrait, Step
from stupid_dagster.event_model import load_event_model
from stupid_dagster.llm.labelling.checks import (
    MARKUP,
    SPELLED,
    LabelAnswer,
    model_words,
    problems,
)
from stupid_dagster.llm.labelling.kept import Former, asked_hash, template_of, traits_hash
from stupid_dagster.llm.labelling.prompts import VERSION, Asked, label_messages
from stupid_dagster.llm.labelling.reading import Reading
from stupid_dagster.llm.labelling.run import asked_first
from stupid_dagster.llm.labels import describe, distinguishing, first_label, label_profiles
from stupid_dagster.tables import TABLES
from tests.compute.graphs import unhurried
from tests.llm.hostile import OBEYED, STATEMENTS
from tests.llm.test_labels import cluster, entity, feature

WORDS = model_words(load_event_model("flights"))
PROFILE = cluster(
    feature("flights", 1.5, 12.4),
    feature("mean_distance", -1.2, 782.0, kind="mean", unit="km"),
    feature("evening_share", 0.9, 0.61, kind="mean", share=True),
    noun="Aircraft",
    size=1205,
    entities=(entity("Delta Air Lines Inc.", "OperatedBy", 0.82), entity("LGA", "DepartedFrom")),
    properties=(PropertyTrait("Aircraft", "manufacturer", "EMBRAER 170", 9, 0.5, 0.22, 2.3),),
)


def answer(label: str = "Short-distance aircraft", *more: str, **parts: Any) -> LabelAnswer:
    return LabelAnswer.model_construct(
        label=label,
        description=parts.get("description", "Aircraft with many flights."),
        distinguishing=list(more),
    )


def wrong(label: str, *more: str, **parts: Any) -> str:
    return "; ".join(problems(answer(label, *more, **parts), Reading(PROFILE), WORDS))


@pytest.mark.parametrize(
    "label",
    [
        "Short-distance Delta Air Lines Inc. aircraft, 12 flights a week",
        "Busy Delta aircraft from LGA",
        "Frequent flights: 1,205 aircraft, 25% of all",
        "Short flights, often in the evening (61%), 782 km on average",
        "Embraer 170 aircraft",
        "Evening aircraft, 61 percent in the evening",
        "Aircraft that rarely stay long",
    ],
)
def test_right_labels_pass(label: str) -> None:
    assert wrong(label) == ""


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ("Aircraft with 13 flights a week", "13"),
        ("Aircraft, 61 flights a week", "61"),
        ("Aircraft, 12% of all", "12%"),
        ("Aircraft with twelve flights", "twelve"),
        ("Aircraft that fly twice as far", "twice"),
        ("Lufthansa aircraft", "Lufthansa"),
        ("lufthansa aircraft", "lufthansa"),
        ("Aircraft from JFK", "JFK"),
        ("Aircraft A320", "A320"),
        ("Aircraft of 'Mallory'", "Mallory"),
        ("Air aircraft of Zebra", "Zebra"),
        ("\uff21ircraft", "\uff21ircraft"),
        ("Aircraft \u00bd", "\u00bd"),
        ("Aircraft flights: \u0661\u0662", "\u0661\u0662"),
        ("Aircraft\nflights", "line breaks"),
        ("Aircraft \u202eflights", "control"),
        ("**Aircraft** flights", "markup"),
        ("Aircraft https://aircraft", "markup"),
        ("Aircraft \u2708", "odd characters"),
        ("a" * 91, "at most 90"),
        ("", "the label is empty"),
        ("LGA", "the label is empty"),
        ("Delta Air Lines Inc.", "says nothing"),
        ("Mostly typical in general", "says nothing"),
    ],
)
def test_wrong_labels_do_not(label: str, said: str) -> None:
    assert said in wrong(label)


def test_all_parts_are_checked() -> None:
    assert "999" in wrong("Busy aircraft", "999 seats")
    assert "999" in wrong("Busy aircraft", description="Aircraft with 999 seats.")
    assert "description is empty" in wrong("Busy aircraft", description=" ")
    assert "more than 6" in wrong("Busy aircraft", *["flights"] * 7)


def with_value(value: str) -> list[Profile]:
    """Profiles that have a value in each part that comes from the data."""
    name = words.tidy(value) or "unnamed"
    return [
        dataclasses.replace(PROFILE, **part)
        for part in (
            {"key_members": (KeyMember("Aircraft", "aircraft:1", name),)},
            {"entities": (entity(name, "OperatedBy", 0.82),)},
            {"properties": (PropertyTrait("Aircraft", "model", name, 9, 0.5, 0.25, 2.0),)},
            {"steps": (Step(f"departure (model {name})", name),)},
            {"features": (feature("tier", 2.0, kind="last", values=(name, name)),)},
        )
    ]


HARMLESS = (
    r"\W*|unnamed|ignore( previous)?|a b?|a|all( members( are)?)?|[Pp]( W)?( N)?|"
    r"x\W*( members( are)?)?"
)
"""Beginnings of values that are ordinary words, and make nothing of themselves."""


@pytest.mark.parametrize("value", STATEMENTS.values(), ids=STATEMENTS)
def test_nobody_obeys_a_value(value: str) -> None:
    """Where the value is in the profile, its words are no words of a label, nor its numbers."""
    shown = words.tidy(value) or "unnamed"
    begun = [" ".join(shown.split()[:n]) for n in range(1, 6)]
    for said in {value, value.strip(), shown, OBEYED, *begun}:
        forms = (said, f"{said} aircraft", f"Aircraft: {said}", f"Aircraft {said} aircraft")
        for label in forms:
            if re.fullmatch(HARMLESS, said.strip(), re.IGNORECASE):
                continue
            for profile in with_value(value):
                reading = Reading(profile)
                assert problems(answer(label[:90]), reading, WORDS), label
                assert problems(answer("Busy aircraft", description=label), reading, WORDS)
                assert problems(answer("Busy aircraft", label), reading, WORDS)


@pytest.mark.parametrize("value", STATEMENTS.values(), ids=STATEMENTS)
def test_a_value_is_said_in_quotation_marks_or_not_at_all(value: str) -> None:
    shown = quoting.quoted(words.tidy(value) or "unnamed")
    said = answer(f"Aircraft of {shown}", description=f"Many flights of {shown}.")
    told = {bool(problems(said, Reading(profile), WORDS)) for profile in with_value(value)[:4]}
    odd = (MARKUP.search(shown) or SPELLED.search(shown)) is not None
    assert told == {odd}
    if len(shown) > 3:
        assert problems(answer(shown), Reading(with_value(value)[1]), WORDS), "the value alone"


def test_names_are_shortened_only_as_names_of_entities() -> None:
    by_property = with_value("Virgin Atlantic Inc.")[2]
    assert problems(answer("Busy Virgin aircraft"), Reading(by_property), WORDS)
    assert not problems(answer("Busy Virgin Atlantic Inc. aircraft"), Reading(by_property), WORDS)
    small = with_value("Trustworthy Fraudless Clients")[1]
    assert problems(answer("Busy trustworthy aircraft"), Reading(small), WORDS)
    assert problems(answer("Busy trustworthy fraudless clients aircraft"), Reading(small), WORDS)


def test_a_value_that_is_a_number_is_said_only_behind_its_trait() -> None:
    seats = (PropertyTrait("Aircraft", "seats", "300", 60, 0.5, 0.1, 5.0),)
    reading = Reading(dataclasses.replace(PROFILE, properties=seats))
    for label in ("300 aircraft", "300 of 1,205 aircraft", "Aircraft: 300", "300 flights a day"):
        assert "300" in "".join(problems(answer(label), reading, WORDS)), label
    said = ("Aircraft with seats 300", "Aircraft of \u201c300\u201d", "Aircraft, seats 300: 50%")
    for label in said:
        assert problems(answer(label), reading, WORDS) == [], label


def test_a_longer_answer_is_read_and_refused() -> None:
    parts = {"label": "Busy aircraft " * 9, "description": "x" * 501, "distinguishing": ["y"] * 7}
    said = LabelAnswer.model_validate(parts)
    assert problems(said, Reading(PROFILE), WORDS) == [
        "the label has 126 characters, at most 90 may be",
        "the description has 501 characters, at most 500 may be",
        "more than 6 distinguishing items",
    ]
    schema = LabelAnswer.model_json_schema()["properties"]
    assert (schema["label"]["maxLength"], schema["distinguishing"]["maxItems"]) == (90, 6)
    assert schema["distinguishing"]["items"]["maxLength"] == 140


def test_numbers_below_nothing_and_percentages_in_words() -> None:
    early = dataclasses.replace(PROFILE, features=(feature("delay", -1, -12.4, kind="mean"),))
    reading = Reading(early)
    assert not problems(answer("Aircraft", "mean delay -12, 25 per cent of all"), reading, WORDS)
    assert "12" in "".join(problems(answer("Aircraft", "mean delay 12"), reading, WORDS))
    bound = reading.bound("mean delay -12")
    later = dataclasses.replace(early, features=(feature("delay", 1, 3.0, kind="mean"),))
    assert Reading(later).filled(bound) == "mean delay 3"


@pytest.mark.parametrize("value", STATEMENTS.values(), ids=STATEMENTS)
def test_prompts_keep_their_form(value: str) -> None:
    def messages(name: str) -> list[Any]:
        profile = dataclasses.replace(
            PROFILE,
            entities=(entity(name, "OperatedBy", 0.82),),
            properties=(PropertyTrait("Aircraft", "model", name, 9, 0.5, 0.25, 2.0),),
            key_members=(KeyMember("Aircraft", "aircraft:1", name),),
            steps=(Step(f"departure (x {name})", name),),
        )
        return label_messages(Asked(profile, (value, value)), [profile])

    plain, hostile = messages("LGA"), messages(words.tidy(value) or "unnamed")
    assert [m.role for m in hostile] == [m.role for m in plain]
    assert hostile[0] == plain[0]
    for message in hostile[1:]:
        if message.role == "user":
            assert message.content.count("<") == message.content.count(">") == 2
            assert len(message.content.splitlines()) == 3
            assert len(message.content) < 6000
    assert len(hostile[-1].content.splitlines()) == 3


shown = st.sampled_from(sorted(Reading(PROFILE).numbers))


@unhurried
@given(st.lists(shown, min_size=1, max_size=4))
def test_numbers_of_the_profile_pass(numbers: list[str]) -> None:
    assert wrong(f"Aircraft: {', '.join(numbers)}"[:88].rstrip(" ,0123456789.%")) == ""
    assert wrong("Busy aircraft", *(f"flights {n}, and more" for n in numbers)) == ""


@unhurried
@given(st.floats(0, 1e7) | st.integers(0, 10**7), st.booleans())
def test_no_other_number_passes(number: float, share: bool) -> None:
    said = f"{number:,.2f}" if isinstance(number, float) else f"{number:,}"
    said += "%" if share else ""
    assume(said.replace(",", "") not in Reading(PROFILE).numbers)
    assert said in wrong("Busy aircraft", f"flights {said} a week").replace("…", said)


@unhurried
@given(st.text(max_size=80))
def test_any_text_is_read_without_an_error(text: str) -> None:
    reading = Reading(PROFILE)
    problems(answer(text, text), reading, WORDS)
    filled = reading.filled(reading.bound(text))
    assert filled is None or isinstance(filled, str)


def test_rules_words_pass_the_checks() -> None:
    pattern = Profile(
        **{"subject": "pattern:1", "kind": "pattern", "noun": "Aircraft", "size": 90},
        share=0.5,
        steps=(Step("departure (delay band early)", "early"),) * 2
        + (Step("no departure for 2 days"),),
        figures=(Figure("times as often as by chance", 1.2), Figure("median time", 3.0, "hours")),
    )
    for profile in (PROFILE, pattern):
        said = answer(
            first_label(profile), *distinguishing(profile)[:6], description=describe(profile)
        )
        assert problems(said, Reading(profile), WORDS) == []


def test_a_number_that_stands_at_one_place_is_bound_to_it() -> None:
    reading = Reading(PROFILE)
    bound = reading.bound("Delta aircraft, 12 flights a week, 25% of all, EMBRAER 170")
    assert "12" not in bound and "170" in bound and "flights.mean" in bound
    later = dataclasses.replace(
        PROFILE, features=(feature("flights", 1.5, 14.0), *PROFILE.features[1:]), share=0.31
    )
    filled = Reading(later).filled(bound)
    assert filled == "Delta aircraft, 14 flights a week, 31% of all, EMBRAER 170"
    without = dataclasses.replace(PROFILE, features=())
    assert Reading(without).filled(bound) is None


def former(profile: Profile, said: LabelAnswer, **more: Any) -> pl.DataFrame:
    parts = said.model_dump()
    row = label_profiles([profile]).row(0, named=True) | parts
    row |= {
        **{"provenance": "openai/m", "prompt": VERSION, "traits_hash": traits_hash(profile)},
        "template": template_of(parts, profile),
    }
    return pl.DataFrame([row | more], schema=TABLES["labels"].schema)


def test_words_are_kept_while_they_are_right() -> None:
    said = answer("Short-distance Delta aircraft, 12 flights a week", "82% operated by Delta")
    table = former(PROFILE, said)
    same = Former([table], ["openai/m"]).words(PROFILE, WORDS)
    assert same is not None and same[1].label == said.label
    later = dataclasses.replace(
        PROFILE,
        subject="cluster:7",
        size=1300,
        features=(feature("flights", 1.6, 14.0), *PROFILE.features[1:]),
    )
    assert later.profile_hash != PROFILE.profile_hash
    kept = Former([table], ["openai/m"])
    found = kept.words(later, WORDS)
    assert found is not None
    assert found[1].label == "Short-distance Delta aircraft, 14 flights a week"
    assert kept.words(later, WORDS) is None, "each once"


@pytest.mark.parametrize(
    "change",
    [
        {"features": (feature("flights", -1.5, 1.0), *PROFILE.features[1:])},
        {"entities": (entity("JetBlue", "OperatedBy", 0.82), PROFILE.entities[1])},
        {"noun": "Airport"},
    ],
)
def test_words_for_other_traits_are_not_kept(change: dict[str, Any]) -> None:
    said = answer("Short-distance Delta aircraft, 12 flights a week")
    other = dataclasses.replace(PROFILE, **change)
    assert Former([former(PROFILE, said)], ["openai/m"]).words(other, WORDS) is None


def test_words_of_another_model_or_prompt_are_not_kept() -> None:
    said = answer("Short-distance Delta aircraft")
    table = former(PROFILE, said)
    assert Former([table], ["ollama/m"]).words(PROFILE, WORDS) is None
    assert Former([former(PROFILE, said, prompt="0")], ["openai/m"]).words(PROFILE, WORDS) is None
    assert Former([table.drop("template")], ["openai/m"]).words(PROFILE, WORDS) is None


def test_refusals_are_of_the_model_that_was_asked_and_of_what_it_saw() -> None:
    row = label_profiles([PROFILE]).row(0, named=True)
    row |= {"prompt": VERSION, "refused": "no", "asked_hash": asked_hash("openai/small", "a")}
    table = pl.DataFrame([row], schema=TABLES["labels"].schema)
    found = Former([table], ["ollama/m", "openai/small"]).refusal(PROFILE, "a")
    assert found == ("no", asked_hash("openai/small", "a"))
    assert Former([table], ["openai/good"]).refusal(PROFILE, "a") is None
    assert Former([table], ["openai/small"]).refusal(PROFILE, "b") is None
    older = table.drop("asked_hash")
    assert Former([older], ["openai/small"]).refusal(PROFILE, "a") is None


def test_words_of_a_release_that_kept_no_refusals_model_are_kept() -> None:
    table = former(PROFILE, answer("Short-distance Delta aircraft")).drop("asked_hash")
    assert Former([table], ["openai/m"]).words(PROFILE, WORDS) is not None


def test_who_is_asked_first() -> None:
    def some(kind: str, number: int) -> list[Profile]:
        more: dict[str, Any] = {"kind": kind}
        return [dataclasses.replace(PROFILE, subject=f"{kind}:{n}", **more) for n in range(number)]

    everyone = [*some("cluster", 2), *some("event_cluster", 2), *some("pattern", 9)]
    everyone += some("community", 1)
    chosen = asked_first(everyone, 8)
    assert [p.subject for p in chosen] == [
        *("cluster:0", "cluster:1"),
        *("event_cluster:0", "pattern:0", "community:0", "event_cluster:1"),
        *("pattern:1", "pattern:2"),
    ], "in turn, so that each kind has some where the asking ends early"
    assert asked_first(everyone, 0) == []


def test_a_number_that_stands_at_several_places_stays_as_it_is() -> None:
    same = dataclasses.replace(PROFILE, share=0.61)
    reading = Reading(same)
    assert reading.bound("61% in the evening") == "61% in the evening"
    said = former(same, answer("Short-distance Delta aircraft", "61% in the evening"))
    assert Former([said], ["openai/m"]).words(same, WORDS) is not None
    later = dataclasses.replace(
        same,
        share=0.31,
        features=(*same.features[:2], dataclasses.replace(same.features[2], mean=0.7)),
    )
    assert Former([said], ["openai/m"]).words(later, WORDS) is None, "61% is wrong now"


def test_words_with_a_name_that_is_gone_are_not_kept() -> None:
    said = former(PROFILE, answer("Short-distance Delta aircraft", "made by EMBRAER 170"))
    later = dataclasses.replace(PROFILE, properties=())
    assert traits_hash(later) == traits_hash(PROFILE)
    assert Former([said], ["openai/m"]).words(later, WORDS) is None
