from __future__ import annotations

import polars as pl
from hypothesis import given

from stupid_dagster import connect
from stupid_dagster.tables import TABLES
from tests.connect import slow
from tests.connect.events import MODEL, START, day_documents, documents, unhurried


@unhurried
@given(day_documents())
def test_sequences_are_those_told_event_by_event(frames: dict[str, pl.DataFrame]) -> None:
    found = connect.build_sequences(MODEL, connect.enrich(MODEL, frames))
    assert found.to_dicts() == slow.sequences(MODEL, slow.events_of(MODEL, frames))
    assert found.schema == TABLES["sequences"].schema


def test_symbols_are_code_and_value_and_test_actors_have_none() -> None:
    ann = {"timestamp": START, "memberCode": "ann"}
    bob = {"timestamp": START, "memberCode": "bob", "isTestAccount": True}
    frames = documents(
        MODEL,
        {
            "Login": [ann | {"success": True}, ann, bob],
            "GameOpened": [ann, {"timestamp": START}],
            "API Error": [ann],
        },
    )
    found = connect.build_sequences(MODEL, connect.enrich(MODEL, frames))
    assert found.select("actor", "symbols").rows() == [("member:ann", ["G", "L", "L:true"])]


def test_without_symbols_there_are_no_sequences() -> None:
    frames = documents(MODEL, {"API Error": [{"timestamp": START, "memberCode": "ann"}]})
    found = connect.build_sequences(MODEL, connect.enrich(MODEL, frames))
    assert found.equals(TABLES["sequences"].empty())
