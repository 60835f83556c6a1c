from __future__ import annotations

import polars as pl
from hypothesis import given

from stupid_dagster import connect
from stupid_dagster.tables import TABLES
from tests.connect import slow
from tests.connect.events import MODEL, START, day_documents, documents, unhurried


@unhurried
@given(day_documents())
def test_texts_of_actors_are_those_counted_event_by_event(frames: dict[str, pl.DataFrame]) -> None:
    counted: dict[tuple[int, str, int], dict[str, int]] = {}
    for place, (_, events) in enumerate(slow.events_of(MODEL, frames).items()):
        for event in events:
            if event["actor"] is not None and not event["is_test"]:
                key = (place, event["actor"], event["text_id"])
                found = counted.setdefault(key, {"count": 0, "row": event["row"]})
                found["count"] += 1
                found["row"] = min(found["row"], event["row"])
    wanted = [
        {"actor": actor, "text_id": text_id, **found}
        for (place, actor, text_id), found in sorted(
            counted.items(), key=lambda item: (item[0][0], item[1]["row"])
        )
    ]
    found = connect.build_actor_texts(connect.enrich(MODEL, frames))
    assert found.to_dicts() == wanted
    assert found.schema == TABLES["actor_texts"].schema


def test_no_events_and_events_without_actors_give_no_rows() -> None:
    nobody = documents(MODEL, {"Login": [{"timestamp": START}]})
    for frames in ({}, nobody):
        assert connect.build_actor_texts(frames).equals(TABLES["actor_texts"].empty())
