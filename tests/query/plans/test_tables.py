"""Tables made of tables, against what they are by definition, row by row in Python."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from typing import Any, get_args
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from stupid_dagster.query.plans import tables
from stupid_dagster.query.plans.model import Measure, MeasureOp

ZONES = ["UTC", "America/New_York", "Asia/Kathmandu", "America/Santiago"]
keys = st.sampled_from(["a", "b", "c", None])
numbers = st.one_of(st.none(), st.integers(-5, 5).map(float), st.just(math.nan))
rows = st.lists(st.fixed_dictionaries({"k": keys, "n": numbers, "i": st.integers(0, 3)}))
SCHEMA = {"k": pl.String, "n": pl.Float64, "i": pl.UInt32}


def measured(op: str, values: list[Any]) -> Any:
    known = [v for v in values if v is not None and not (isinstance(v, float) and math.isnan(v))]
    match op:
        case "count":
            return len(known)
        case "count_distinct":
            return len(set(known))
        case "sum":
            return sum(known)
    if not known:
        return None
    match op:
        case "mean":
            return statistics.fmean(known)
        case "median":
            return statistics.median(known)
        case "min":
            return min(known)
        case "max":
            return max(known)
    known.sort()
    at = 0.95 * (len(known) - 1)
    low, high = known[math.floor(at)], known[math.ceil(at)]
    return low + (high - low) * (at - math.floor(at))


def same(left: Any, right: Any) -> bool:
    if left is None or right is None or isinstance(left, str):
        return left == right
    return math.isclose(left, right, abs_tol=1e-9)


@given(rows, st.sampled_from(get_args(MeasureOp)), st.booleans())
def test_groups_are_measured(given: list[dict[str, Any]], op: Any, by_key: bool) -> None:
    measures = [Measure(op="count"), Measure(op=op, field="n"), Measure(op=op, field="i")]
    if op == "count":
        measures[0] = Measure(op="count", name="all")
    page = tables.aggregate(
        pl.DataFrame(given, schema=SCHEMA), ["k"] if by_key else [], measures, None, 100
    )

    groups: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    if not by_key:
        groups[None] = []
    for row in given:
        groups[row["k"] if by_key else None].append(row)
    assert page.total == page.rows.height == len(groups)
    counted = measures[0].name or "count"
    assert page.rows[counted].to_list() == sorted(map(len, groups.values()), reverse=True)
    for found in page.rows.iter_rows(named=True):
        of = groups[found.get("k")]
        assert found[counted] == len(of)
        assert same(found[f"n_{op}"], measured(op, [row["n"] for row in of]))
        assert same(found[f"i_{op}"], measured(op, [row["i"] for row in of]))


@given(rows, rows, st.sampled_from(["inner", "left", "semi", "anti"]), st.integers(1, 30))
def test_joins(
    left: list[dict[str, Any]], right: list[dict[str, Any]], how: str, limit: int
) -> None:
    page = tables.join_rows(
        pl.DataFrame(left, schema=SCHEMA),
        pl.DataFrame(right, schema=SCHEMA),
        ["k", "n"],
        ["k", "i"],
        how,
        limit,
    )

    wanted = []
    for row in left:
        matching = [
            other
            for other in right
            if None not in (row["k"], row["n"]) and (row["k"], row["n"]) == (other["k"], other["i"])
        ]
        if (how == "semi" and matching) or (how == "anti" and not matching):
            wanted.append(row)
        elif how in ("inner", "left"):
            empty = [{"n": None, "i": None}] if how == "left" and not matching else []
            wanted += [
                row | {"n_right": other["n"], "i_right": other["i"]} for other in matching or empty
            ]
    schema = SCHEMA | (
        {} if how in ("semi", "anti") else {"n_right": pl.Float64, "i_right": pl.UInt32}
    )
    assert_frame_equal(page.rows, pl.DataFrame(wanted, schema=schema).head(limit))
    assert page.total == len(wanted)
    assert page.truncated == (len(wanted) > limit)


def test_a_join_of_everything_with_everything_stays_small() -> None:
    many = pl.DataFrame({"k": ["a"] * 100_000, "n": range(100_000)})

    page = tables.join_rows(many, many, ["k"], ["k"], "inner", 1000)

    assert page.rows.height == 1000
    assert page.truncated
    assert page.total == 100_000**2


moments = st.datetimes(
    datetime(2024, 1, 1), datetime(2025, 12, 31), timezones=st.just(UTC)
) | st.sampled_from(
    [
        datetime(2024, 11, 3, 5, 30, tzinfo=UTC),  # New York puts its clocks back at 6:00 UTC.
        datetime(2024, 11, 3, 6, 30, tzinfo=UTC),
        datetime(2024, 3, 10, 7, 30, tzinfo=UTC),
        datetime(2024, 9, 8, 4, 30, tzinfo=UTC),  # Santiago's day begins at one.
        datetime(2024, 4, 7, 3, 30, tzinfo=UTC),
    ]
)
EVERY = {"1m": 1, "5m": 5, "15m": 15, "1h": 60, "6h": 360, "1d": 1440}


def begin(moment: datetime, every: str, zone: ZoneInfo) -> datetime:
    local = moment.astimezone(zone)
    minutes = (local.hour * 60 + local.minute) // EVERY[every] * EVERY[every]
    naive = datetime(local.year, local.month, local.day) + timedelta(minutes=minutes)
    if EVERY[every] > 60:
        return naive.replace(tzinfo=zone).astimezone(UTC)
    offset = local.utcoffset()
    assert offset is not None
    return (naive - offset).replace(tzinfo=UTC)


@given(
    st.lists(st.tuples(st.none() | moments, keys)),
    st.sampled_from([*EVERY]),
    st.sampled_from(ZONES),
)
def test_timelines_keep_to_the_zones_clock(
    events: list[tuple[datetime | None, str | None]], every: str, name: str
) -> None:
    zone = ZoneInfo(name)
    events = [(t and t.replace(microsecond=0), k) for t, k in events]
    schema = {"t": pl.Datetime("ms", "UTC"), "k": pl.String}
    frame = pl.DataFrame(events, schema=schema, orient="row")

    page = tables.timeline(frame, "t", every, zone, ["k"], [Measure(op="count")], 1000)

    counts: dict[tuple[datetime, str | None], int] = defaultdict(int)
    for moment, key in events:
        if moment is not None:
            counts[begin(moment, every, zone), key] += 1
    assert {(t, k): n for t, k, n in page.rows.iter_rows()} == counts
    assert page.rows["t"].is_sorted()
    assert page.rows.schema == schema | {"count": pl.UInt32}


def test_the_hour_that_comes_twice_is_two_spans_and_its_day_has_25() -> None:
    zone = ZoneInfo("America/New_York")
    first = datetime(2024, 11, 3, 4, tzinfo=UTC)
    hours = pl.DataFrame({"t": [first + timedelta(hours=n) for n in range(25)]})
    hours = hours.cast(pl.Datetime("ms", "UTC"))

    by_hour = tables.timeline(hours, "t", "1h", zone, [], [Measure(op="count")], 100).rows
    by_day = tables.timeline(hours, "t", "1d", zone, [], [Measure(op="count")], 100).rows

    assert by_hour["count"].to_list() == [1] * 25
    assert by_day.rows() == [(first, 25)]


def test_days_of_dates_are_the_zones_days() -> None:
    days = pl.DataFrame({"day": [date(2024, 7, 1), date(2024, 7, 1), date(2024, 12, 1)]})

    zone = ZoneInfo("America/New_York")
    found = tables.timeline(days, "day", "1d", zone, [], [Measure(op="count")], 100).rows

    assert found.rows() == [
        (datetime(2024, 7, 1, 4, tzinfo=UTC), 2),
        (datetime(2024, 12, 1, 5, tzinfo=UTC), 1),
    ]


@pytest.mark.parametrize("sort", ["n", "-n"])
def test_missing_values_come_last_whichever_way_it_is_sorted(sort: str) -> None:
    frame = pl.DataFrame({"n": [None, 2, 1, None, 3], "at": range(5)})

    found = tables.filter_rows(frame, pl.col("at") != 4, ["n", "at"], sort, 10).rows

    ordered = [(1, 2), (2, 1)] if sort == "n" else [(2, 1), (1, 2)]
    assert found.rows() == [*ordered, (None, 0), (None, 3)]
