from __future__ import annotations

import polars as pl
from hypothesis import given

from stupid_dagster import connect
from stupid_dagster.tables import TABLES
from tests.connect import slow
from tests.connect.events import MODEL, START, day_documents, documents, unhurried


@unhurried
@given(day_documents())
def test_texts_are_those_counted_event_by_event(frames: dict[str, pl.DataFrame]) -> None:
    found = connect.build_texts(MODEL, connect.enrich(MODEL, frames), "2025-03-02")
    assert found.to_dicts() == slow.texts(MODEL, slow.events_of(MODEL, frames), "2025-03-02")
    assert found.schema == TABLES["texts"].schema


@unhurried
@given(day_documents())
def test_derived_fields_are_those_of_the_plain_rules(frames: dict[str, pl.DataFrame]) -> None:
    plain = slow.events_of(MODEL, frames)
    for name, frame in connect.enrich(MODEL, frames).items():
        derived = [field for field in MODEL.derived if field in frame.columns]
        assert derived or name == "API Error"
        wanted = [{field: event[field] for field in derived} for event in plain[name]]
        assert frame.select(derived).to_dicts() == wanted


def test_parts_without_a_value_are_left_out_and_long_ones_are_cut() -> None:
    frames = documents(
        MODEL,
        {
            "Login": [{"timestamp": START, "success": False}],
            "GameOpened": [{"timestamp": START, "game": "雪山の冒険"}],
            "API Error": [{"timestamp": START, "error": "e" * 5000}],
        },
    )
    found = connect.build_texts(MODEL, connect.enrich(MODEL, frames), "2025-03-02")
    assert dict(found.select("event_type", "text").iter_rows()) == {
        "Login": "Login success:false in the night",
        "GameOpened": "GameOpened game:雪山の for bets",
        "API Error": f"Error {'e' * 100} on",
    }


def test_fields_may_be_named_like_the_table_s_own_columns() -> None:
    fields = ["memberCode", "count", "text", "example"]
    event_type = MODEL.events["Login"].model_copy(
        update={"fields": fields, "text": "Login {count} {text}", "symbol": None}
    )
    model = MODEL.model_copy(update={"events": {"Login": event_type}})
    event = {"timestamp": START, "count": "3", "text": "hi", "example": "no"}
    frames = documents(model, {"Login": [event, event | {"example": "yes"}]})
    found = connect.build_texts(model, connect.enrich(model, frames), "2025-03-02")
    assert found.select("text", "count", "example").rows() == [
        ("Login 3 hi", 2, "2025-03-02/Login/0")
    ]


def test_no_events_give_no_texts() -> None:
    empty = documents(MODEL, {"Login": []})
    for frames in ({}, connect.enrich(MODEL, empty)):
        assert connect.build_texts(MODEL, frames, "2025-03-02").equals(TABLES["texts"].empty())
