"""Event types named by a column."""

from __future__ import annotations

import random
from collections.abc import Mapping

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stupid_dagster.errors import InferenceError
from stupid_dagster.event_model import parse_event_model
from stupid_dagster.event_model.inference import infer_model

OWN = {"page view": "page", "purchase": "product", "sign in": "browser"}


def mixed(column: str, rows: int = 600, seed: int = 1) -> pl.DataFrame:
    """Return events of three kinds, each with a column of its own."""
    chance = random.Random(seed)
    kinds = [chance.choice(list(OWN)) for _ in range(rows)]
    columns: dict[str, list[str | None]] = {
        "at": [f"2025-03-01T{n % 24:02}:{n % 60:02}:00Z" for n in range(rows)],
        "userId": [f"u{chance.randrange(40)}" for _ in range(rows)],
        column: list(kinds),
    }
    for kind, own in OWN.items():
        columns[own] = [f"{own} {chance.randrange(9)}" if kind == k else None for k in kinds]
    return pl.DataFrame(columns, schema_overrides=dict.fromkeys(columns, pl.String))


def replaced(frame: pl.DataFrame, column: str, values: Mapping[int, str | None]) -> pl.DataFrame:
    """Return the frame with other values in some rows of a column."""
    changed = [values.get(n, value) for n, value in enumerate(frame[column])]
    return frame.with_columns(pl.Series(column, changed, dtype=pl.String))


@pytest.mark.parametrize("column", ["event", "event_type", "eventName", "type", "Action", "kind"])
def test_a_column_parts_the_events(column: str) -> None:
    draft = infer_model({"log": mixed(column)}, "x")

    assert draft.event_type_column == draft.model.event_type_column == column
    assert set(draft.event_types) == set(OWN)
    for kind, own in OWN.items():
        assert set(draft.model.events[kind].fields) == {"userId", own}
        assert draft.dropped_columns[kind] == {}
    lines = draft.yaml.splitlines()
    place = lines.index(f"event_type_column: {column}")
    assert "3 values in 600 rows; filled for some of its values only: page" in lines[place - 1]


def test_spellings_are_aliases_and_missing_and_rare_values_are_told() -> None:
    strange = {n: "Page_View" for n in range(12)} | {12: " n/a ", 13: None}
    frame = replaced(mixed("event"), "event", strange | {14: "<b>rare</b>", 15: "HEARTBEAT"})

    draft = infer_model({"log": frame}, "x")

    assert draft.event_types == {"page view": ["Page_View"], "purchase": [], "sign in": []}
    assert "2 rows have no event, and such rows are rejected" in draft.checks
    (rare,) = [check for check in draft.checks if "too few rows" in check]
    assert "<b>rare</b> (1)" in rare
    assert "HEARTBEAT (1)" in rare
    assert f"CHECK {rare}"[:60] in draft.yaml


@pytest.mark.parametrize("column", ["popupType", "method", "status", "name", "typeId"])
def test_columns_named_otherwise_part_nothing(column: str) -> None:
    draft = infer_model({"log": mixed(column)}, "x")

    assert draft.event_type_column is None
    assert set(draft.event_types) == {"log"}


def test_a_column_that_nothing_depends_on_is_only_suggested() -> None:
    frame = mixed("event").with_columns(pl.col(list(OWN.values())).fill_null("any"))

    draft = infer_model({"log": frame}, "x")

    assert draft.event_type_column is None
    assert any("(--event-type event)" in check for check in draft.checks)


def test_ways_to_pay_are_no_event_types_but_nested_events_are() -> None:
    frame = mixed("type").with_columns(page=pl.lit("home"), browser=pl.lit("firefox"))

    assert infer_model({"log": frame}, "x").event_type_column is None
    frame = frame.rename({"type": "event"})
    assert infer_model({"log": frame}, "x").event_type_column == "event"


def test_too_many_missing_values_part_nothing() -> None:
    frame = replaced(mixed("event"), "event", {n: None for n in range(60)})

    assert infer_model({"log": frame}, "x").event_type_column is None


def test_folders_stay_where_the_column_repeats_them_or_is_not_in_all() -> None:
    frame = mixed("event")
    repeating = {kind: frame.filter(pl.col("event") == kind) for kind in OWN}
    partly = {"log": frame, "more": frame.drop("event")}

    for samples in (repeating, partly):
        draft = infer_model(samples, "x")
        assert draft.event_type_column is None
        assert set(draft.event_types) == set(samples)


def test_folders_that_mix_the_same_events_are_one() -> None:
    samples = {"web": mixed("event"), "app": mixed("event", seed=2), "tv": mixed("event")[:0]}

    draft = infer_model(samples, "x")

    assert set(draft.event_types) == set(OWN)
    assert "tv had no rows and was left out" in draft.checks


def test_the_column_that_most_depends_on_is_taken() -> None:
    frame = mixed("event_name").with_columns(
        event_kind=pl.when(pl.col("page").is_null()).then(pl.lit("act")).otherwise(pl.lit("view"))
    )

    assert infer_model({"log": frame}, "x").event_type_column == "event_name"


def test_the_column_can_be_named() -> None:
    frame = mixed("popupType")

    draft = infer_model({"log": frame}, "x", event_type="popupType")

    assert draft.event_type_column == "popupType"
    assert set(draft.event_types) == set(OWN)
    for wrong, message in (
        ("popuptype", "did you mean 'popupType'"),
        ("page", "asked for as two things"),
    ):
        with pytest.raises(InferenceError, match=message):
            infer_model({"log": frame}, "x", event_type=wrong, actor="page")
    unique = frame.with_columns(popupType=pl.int_range(pl.len()).cast(pl.String))
    with pytest.raises(InferenceError, match="600 values, of which 0 have 10 rows"):
        infer_model({"log": unique}, "x", event_type="popupType")
    with pytest.raises(InferenceError, match="none of 1 event types has rows"):
        infer_model({"log": frame[:0]}, "x", event_type="popupType")


def test_a_column_asked_for_as_the_actor_names_no_events() -> None:
    draft = infer_model({"log": mixed("event")}, "x", actor="event")

    assert draft.event_type_column is None
    assert draft.entities[draft.actor] == ["event"]


_VALUE = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


@settings(max_examples=30)
@given(st.lists(_VALUE, min_size=1, max_size=4), _VALUE, st.sampled_from(["event", None]))
def test_any_values_give_a_model_or_the_one_error(
    values: list[str], other: str, event_type: str | None
) -> None:
    frame = mixed("event", 120)
    drawn = {n: values[n % len(values)] for n in range(0, 120, 2)}
    frame = replaced(frame, "event", drawn).with_columns(pl.lit("1").alias(other))
    try:
        draft = infer_model({"log": frame}, "x", event_type=event_type)
    except InferenceError as error:
        assert "with mistakes" not in str(error)
    else:
        assert parse_event_model(draft.yaml) == draft.model
        if event_type:
            assert draft.model.event_type_column == "event"
