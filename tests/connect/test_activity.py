from __future__ import annotations

import datetime as dt

import polars as pl
import pytest
from hypothesis import given

from stupid_dagster import connect
from stupid_dagster.tables import TABLES
from tests.connect import slow
from tests.connect.events import MODEL, START, day_documents, documents, unhurried

# Nothing to count: build_activity leaves these empty where an actor has no event of theirs.
NOTHING = {
    column: nothing
    for mean in ("mean_bet", "won_share", "phone_share")
    for column, nothing in ((mean, 0.0), (f"{mean}__n", 0))
}
EMPTY = NOTHING | {"games": [], "platforms": []}


@unhurried
@given(day_documents())
def test_activity_is_that_counted_event_by_event(frames: dict[str, pl.DataFrame]) -> None:
    found = connect.build_activity(MODEL, connect.enrich(MODEL, frames))
    rows = [
        row | {name: value for name, value in EMPTY.items() if row[name] is None}
        for row in found.to_dicts()
    ]
    assert rows == slow.activity(MODEL, slow.events_of(MODEL, frames))
    own = TABLES["activity"].schema
    assert dict(list(found.schema.items())[: len(own)]) == own
    others = {name: str(dtype) for name, dtype in found.schema.items() if name not in own}
    assert others == TYPES, "the same on every day, whatever its events"


TYPES = {
    **dict.fromkeys(["logins", "actions", "everything", "failures"], "UInt32"),
    **dict.fromkeys(["staked", "mean_bet", "won_share", "phone_share"], "Float64"),
    **dict.fromkeys(["mean_bet__n", "won_share__n", "phone_share__n"], "UInt32"),
    **dict.fromkeys(["games", "platforms"], "List(String)"),
    **dict.fromkeys(["vip", "last_level"], "String"),
}


@pytest.mark.parametrize("names", [[], ["API Error"], ["Login", "GameOpened", "API Error"]])
def test_columns_have_their_types_on_days_without_events(names: list[str]) -> None:
    frames = documents(MODEL, {name: [] for name in names})
    found = connect.build_activity(MODEL, connect.enrich(MODEL, frames))
    assert found.is_empty()
    assert {n: str(t) for n, t in found.schema.items() if n in TYPES} == TYPES


def test_a_session_ends_only_after_more_than_the_gap() -> None:
    def at(**later: int) -> dict[str, object]:
        return {"timestamp": START + dt.timedelta(**later), "memberCode": "ann"}

    times = [at(), at(minutes=30), at(minutes=60, milliseconds=1), at(minutes=60, milliseconds=1)]
    frames = documents(MODEL, {"Login": times[:3], "API Error": times[3:]})
    [row] = connect.build_activity(MODEL, connect.enrich(MODEL, frames)).to_dicts()
    assert [(s["start"], s["events"]) for s in row["sessions"]] == [
        (START, 2),
        (START + dt.timedelta(minutes=60, milliseconds=1), 2),
    ]


def test_of_several_last_values_at_one_moment_it_is_always_the_same() -> None:
    def row(vip: str, order: int) -> dict[str, object]:
        return {"timestamp": START, "memberCode": "ann", "rGroup": vip, "fingerprint": str(order)}

    for vips in (["VIPB", "VIPS", "VIPG"], ["VIPG", "VIPB", "VIPS"], ["VIPS", "VIPG", "VIPB"]):
        frames = documents(MODEL, {"Login": [row(vip, n) for n, vip in enumerate(vips)]})
        found = connect.build_activity(MODEL, connect.enrich(MODEL, frames))
        assert found["vip"].to_list() == ["VIPS"]
