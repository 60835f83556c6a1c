from __future__ import annotations

import polars as pl
from hypothesis import given

from stupid_dagster import connect
from stupid_dagster.tables import TABLES
from tests.connect import slow
from tests.connect.events import MODEL, START, day_documents, documents, unhurried


@unhurried
@given(day_documents())
def test_edges_are_those_counted_event_by_event(frames: dict[str, pl.DataFrame]) -> None:
    found = connect.build_edges(MODEL, connect.enrich(MODEL, frames))
    assert found.to_dicts() == slow.edges(MODEL, slow.events_of(MODEL, frames))
    assert found.schema == TABLES["edges"].schema


def test_an_edge_needs_both_ends_and_adds_up_over_event_types() -> None:
    device = {"timestamp": START, "fingerprint": "f1"}
    frames = documents(
        MODEL,
        {
            "Login": [device | {"platform": "ios"}, device | {"platform": None}],
            "API Error": [device | {"platform": "IOS", "error": "boom"}],
        },
    )
    found = connect.build_edges(MODEL, connect.enrich(MODEL, frames))
    assert found.select("source", "target", "type", "weight").rows() == [
        ("device:f1", "platform:IOS", "RunsOn", 2)
    ]


def test_no_events_give_no_edges() -> None:
    assert connect.build_edges(MODEL, {}).equals(TABLES["edges"].empty())
