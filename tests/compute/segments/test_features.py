"""Features against an obvious row-by-row version."""

from __future__ import annotations

import datetime as dt
import itertools
import math
import statistics
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stupid_dagster.compute.segments.features import build_features
from stupid_dagster.errors import ComputeError
from stupid_dagster.tables import TABLES
from tests.compute.behaviour import shop
from tests.compute.graphs import unhurried

FIRST = dt.date(2025, 3, 1)
MIDNIGHT = dt.datetime(2025, 2, 28, 17, tzinfo=dt.UTC)  # in Bangkok
SESSION = TABLES["activity"].schema["sessions"]
SCHEMA = {
    "actor": pl.String,
    "day": pl.Date,
    "events": pl.UInt32,
    "is_test": pl.Boolean,
    "sessions": SESSION,
    "visits": pl.UInt32,
    "spent": pl.Float64,
    "mean_amount": pl.Float64,
    "mean_amount__n": pl.UInt32,
    "items": pl.List(pl.String),
    "tier": pl.String,
    "level": pl.String,
    "mobile_ratio": pl.Float64,
    "mobile_ratio__n": pl.UInt32,
}
Row = dict[str, Any]


def at(day: int, minute: int) -> dt.datetime:
    return MIDNIGHT + dt.timedelta(days=day, minutes=minute)


def activity(rows: list[Row]) -> pl.LazyFrame:
    return pl.DataFrame(rows, schema=SCHEMA).lazy()


@st.composite
def days_sessions(draw: st.DrawFn, day: int) -> list[Row] | None:
    """Sessions of one day, farther apart than the gap of 30 minutes, often near midnight."""
    sessions = []
    minute = draw(st.sampled_from([0, 1, 5, 29, 400]))
    while minute < 1440 and len(sessions) < 4:
        end = min(1439, minute + draw(st.sampled_from([0, 3, 90, 1000])))
        sessions.append({"start": at(day, minute), "end": at(day, end), "events": 1})
        minute = end + draw(st.sampled_from([31, 45, 700]))
    return draw(st.sampled_from([sessions, sessions[:1], [], None]))


@st.composite
def activities(draw: st.DrawFn) -> list[Row]:
    rows = []
    for actor in draw(st.lists(st.sampled_from("abc"), unique=True)):
        for day in draw(st.lists(st.integers(0, 4), unique=True)):
            amounts = st.none() | st.sampled_from([0.0, -2.5, 10.0])
            terms = draw(st.none() | st.integers(0, 3))
            rows.append(
                {
                    "actor": f"member:{actor}",
                    "day": FIRST + dt.timedelta(days=day),
                    "events": draw(st.integers(1, 9)),
                    "is_test": draw(st.sampled_from([False, False, None, True])),
                    "sessions": draw(days_sessions(day)),
                    "visits": draw(st.none() | st.integers(0, 5)),
                    "spent": draw(amounts),
                    "mean_amount": draw(amounts) if terms else None,
                    "mean_amount__n": terms,
                    "items": draw(st.none() | st.lists(st.sampled_from("xyz"), unique=True)),
                    "tier": draw(st.sampled_from([None, "low", "high", "other"])),
                    "level": draw(st.sampled_from([None, "3", "-1.5", "many", "nan", "inf"])),
                    "mobile_ratio": draw(st.sampled_from([None, 0.0, 1.0])),
                    "mobile_ratio__n": draw(st.sampled_from([None, 0, 1])),
                }
            )
    return draw(st.permutations(rows))


def joined_sessions(rows: list[Row]) -> list[tuple[dt.datetime, dt.datetime]]:
    joined: list[tuple[dt.datetime, dt.datetime]] = []
    for row in rows:
        for session in row["sessions"] or []:
            gap = session["start"] - joined[-1][1] if joined else None
            if gap is not None and gap <= dt.timedelta(minutes=30):
                joined[-1] = (joined[-1][0], session["end"])
            else:
                joined.append((session["start"], session["end"]))
    return joined


def last(rows: list[Row], name: str) -> str | None:
    return next((row[name] for row in reversed(rows) if row[name] is not None), None)


def mean(rows: list[Row], name: str) -> float | None:
    terms = sum(row[f"{name}__n"] or 0 for row in rows)
    return sum(row[name] or 0 for row in rows) / terms if terms else None


def as_number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def obvious_features(rows: list[Row]) -> dict[str, Row]:
    expected = {}
    real = [row for row in rows if not row["is_test"]]

    def divided(above: float, below: float) -> float | None:
        return above / below if below else None

    for actor in {row["actor"] for row in real}:
        own = sorted((row for row in real if row["actor"] == actor), key=lambda row: row["day"])
        sessions = joined_sessions(own)
        pairs = itertools.pairwise(sessions)
        gaps = [(b[0] - a[1]).total_seconds() / 3600 for a, b in pairs]
        lengths = [(end - start).total_seconds() / 60 for start, end in sessions]
        expected[actor] = {
            "events": sum(row["events"] for row in own),
            "visits": sum(row["visits"] or 0 for row in own),
            "spent": sum(row["spent"] or 0 for row in own),
            "mean_amount": mean(own, "mean_amount"),
            "items": len({item for row in own for item in row["items"] or []}),
            "tier": {"low": 1.0, "high": 2.0}.get(last(own, "tier") or ""),
            "level": as_number(last(own, "level")),
            "session_count": len(sessions),
            "avg_session_gap_hours": statistics.mean(gaps) if gaps else None,
            "session_minutes": statistics.mean(lengths) if lengths else None,
            "mobile_ratio": mean(own, "mobile_ratio"),
        }
        found = expected[actor]
        found["visit_share"] = divided(found["visits"], found["events"])
        found["items_a_visit"] = divided(found["items"], found["visits"])
    return expected


@unhurried
@given(activities())
def test_equals_the_obvious_version(rows: list[Row]) -> None:
    table = build_features(shop(), activity(rows))
    assert table["actor"].to_list() == sorted(obvious_features(rows))
    for row in table.iter_rows(named=True):
        for name, value in obvious_features(rows)[row["actor"]].items():
            assert row[name] == (None if value is None else pytest.approx(value)), name


@pytest.mark.parametrize(("minute", "sessions"), [(29, 1), (30, 1), (31, 2)])
def test_sessions_are_joined_across_midnight_up_to_the_gap(minute: int, sessions: int) -> None:
    base = {name: None for name in SCHEMA} | {"actor": "member:a", "events": 1, "is_test": False}
    evening = {"start": at(0, 1430), "end": at(0, 1440), "events": 2}
    morning = {"start": at(1, minute), "end": at(1, 60), "events": 2}
    rows = [
        base | {"day": FIRST + dt.timedelta(days=1), "sessions": [morning]},
        base | {"day": FIRST, "sessions": [evening]},
    ]
    row = build_features(shop(), activity(rows)).row(0, named=True)
    assert row["session_count"] == sessions
    length = 70 if sessions == 1 else (10 + 60 - minute) / 2
    assert row["session_minutes"] == pytest.approx(length)
    assert row["avg_session_gap_hours"] == (None if sessions == 1 else pytest.approx(minute / 60))


def test_every_column_is_a_float_and_no_rows_give_an_empty_table() -> None:
    table = build_features(shop(), activity([]))
    assert table.is_empty()
    assert table.columns == ["actor", "events", *shop().features.columns]
    assert set(table.dtypes[2:]) == {pl.Float64}


def test_days_of_another_model_are_refused() -> None:
    with pytest.raises(ComputeError, match=r"visits, mean_amount__n: .* materialise them again"):
        build_features(shop(), activity([]).drop("visits", "mean_amount__n"))
