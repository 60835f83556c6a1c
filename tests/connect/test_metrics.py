from __future__ import annotations

import datetime as dt

import polars as pl
import pytest
from hypothesis import given

from stupid_dagster import connect
from stupid_dagster.tables import TABLES
from tests.connect import slow
from tests.connect.events import MODEL, START, day_documents, documents, unhurried
from tests.gaming import gaming_model


@unhurried
@given(day_documents())
def test_metrics_are_those_counted_event_by_event(frames: dict[str, pl.DataFrame]) -> None:
    found = connect.build_metrics(MODEL, connect.enrich(MODEL, frames))
    wanted = slow.metrics(MODEL, slow.events_of(MODEL, frames))
    assert found.drop("value").to_dicts() == [drop_value(row) for row in wanted]
    assert found["value"].to_list() == pytest.approx([row["value"] for row in wanted])
    assert found.schema == TABLES["metrics"].schema


def drop_value(row: dict) -> dict:
    return {name: value for name, value in row.items() if name != "value"}


@pytest.mark.parametrize(
    ("zone", "day", "offset"),
    [
        ("America/New_York", (2013, 3, 10), 5),  # 23 hours
        ("America/New_York", (2013, 11, 3), 4),  # 25 hours
        ("America/Havana", (2013, 11, 3), 4),  # midnight comes twice
        ("America/Sao_Paulo", (2018, 11, 4), 3),  # midnight does not come
        ("Asia/Kolkata", (2025, 3, 1), -5.5),
    ],
)
def test_a_local_day_is_one_day_even_when_clocks_change(
    zone: str, day: tuple[int, int, int], offset: float
) -> None:
    model = gaming_model(timezone=zone)
    start = dt.datetime(*day, tzinfo=dt.UTC) + dt.timedelta(hours=offset)
    moments = [start + dt.timedelta(minutes=30 * n) for n in range(60)]
    moments = [m for m in moments if m.astimezone(model.zone).date() == dt.date(*day)]
    assert len(moments) in (46, 48, 50)
    frames = documents(model, {"API Error": [{"timestamp": m} for m in moments]})
    found = connect.build_metrics(model, connect.enrich(model, frames))
    whole = found.filter(metric="all_events", dimension="")
    assert whole.filter(grain="day").select("time", "value").rows() == [(start, len(moments))]
    hours = whole.filter(grain="hour")["value"].to_list()
    assert sum(hours) == len(moments)


def test_test_accounts_are_left_out() -> None:
    ann = {"timestamp": START, "memberCode": "ann", "isTestAccount": True, "success": True}
    frames = documents(MODEL, {"Login": [ann], "API Error": [ann]})
    assert connect.build_metrics(MODEL, connect.enrich(MODEL, frames)).is_empty()


def test_no_events_give_no_metrics() -> None:
    assert connect.build_metrics(MODEL, {}).equals(TABLES["metrics"].empty())
