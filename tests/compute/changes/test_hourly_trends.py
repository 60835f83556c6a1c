"""Trends of hours: clocks, missing and running days, splits, drivers, and a plain version."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest

from stupid_dagster.compute.changes.series import hourly_series
from stupid_dagster.compute.changes.trends import build_trends, daily_trends, hourly_trends
from stupid_dagster.event_model import EventModel
from stupid_dagster.tables import TABLES
from tests.compute.behaviour import shop

HOUR = dt.timedelta(hours=1)
FIRST = dt.date(2025, 3, 1)


def in_zone(zone: str) -> EventModel:
    return shop().model_copy(update={"timezone": zone})


def hours_of(zone: str, first: dt.date, days: int) -> list[dt.datetime]:
    """Return the starts of all (UTC) hours that start on local days."""
    start, end = (
        dt.datetime.combine(first + dt.timedelta(n), dt.time(), ZoneInfo(zone)).astimezone(dt.UTC)
        for n in (0, days)
    )
    return [start + n * HOUR for n in range(int((end - start) / HOUR))]


def test_days_may_be_any_iterable() -> None:
    values = {time: 10.0 for time in hours_of("UTC", FIRST, 6)}
    days = [FIRST + dt.timedelta(n) for n in range(6)]
    listed = hourly_trends(in_zone("UTC"), rows_of(values).lazy(), days=days)
    assert listed.height > 100
    assert hourly_trends(in_zone("UTC"), rows_of(values).lazy(), days=iter(days)).equals(listed)


def rows_of(values: dict[dt.datetime, float], metric: str = "visits", **more: Any) -> pl.DataFrame:
    rows = [
        {"grain": "hour", "time": time, "metric": metric, "dimension": "", "member": "",
         "value": value, "events": int(value), "actors": int(value), **more}
        for time, value in values.items()
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=TABLES["metrics"].schema)


def visits(trends: pl.DataFrame, member: str = "") -> pl.DataFrame:
    return trends.filter(pl.col("metric") == "visits", pl.col("member") == member)


def steady(zone: str = "UTC", days: int = 9, first: dt.date = FIRST) -> dict[dt.datetime, float]:
    """Return 100 and more an hour, by the local clock, with a little noise."""
    rng = np.random.default_rng(5)
    return {
        time: float(rng.poisson(100 + 30 * time.astimezone(ZoneInfo(zone)).hour))
        for time in hours_of(zone, first, days)
    }


def test_no_rows_give_an_empty_table_and_one_day_is_not_judged() -> None:
    empty = hourly_trends(shop(), TABLES["metrics"].empty().lazy())
    assert empty.equals(TABLES["trends"].empty())
    trends = hourly_trends(in_zone("UTC"), rows_of(steady(days=1)).lazy())
    assert visits(trends).height == 24
    assert trends["z"].null_count() == trends.height


def test_an_hour_is_judged_by_the_same_hour_of_the_seven_days_before() -> None:
    values = steady()
    trends = visits(hourly_trends(in_zone("UTC"), rows_of(values).lazy()))
    assert trends["time"].to_list() == list(values)
    assert trends["value"].to_list() == list(values.values())
    for row in trends.tail(24).iter_rows(named=True):
        before = [values[row["time"] - n * 24 * HOUR] for n in range(1, 8)]
        assert row["baseline"] == pytest.approx(median(before), rel=0.12)
    assert set(trends["severity"]) == {"normal"}


def test_absent_hours_are_zero_for_counts_and_missing_days_are_missing() -> None:
    values = {time: 50.0 for time in hours_of("UTC", FIRST, 3) if time.hour in (3, 23)}
    del values[dt.datetime(2025, 3, 2, 3, tzinfo=dt.UTC)]
    del values[dt.datetime(2025, 3, 2, 23, tzinfo=dt.UTC)]
    missing = hourly_trends(in_zone("UTC"), rows_of(values).lazy())
    assert set(missing["time"].dt.day()) == {1, 3}
    silent = hourly_trends(
        in_zone("UTC"), rows_of(values).lazy(), days=[FIRST + dt.timedelta(n) for n in range(3)]
    )
    by_day = visits(silent).group_by(pl.col("time").dt.day()).agg(pl.col("value").sum())
    assert dict(by_day.iter_rows()) == {1: 100.0, 2: 0.0, 3: 100.0}
    means = silent.filter(pl.col("metric") == "mean_amount")
    assert means["value"].null_count() == means.height == 72


def test_a_running_days_hours_that_have_not_come_or_are_not_over_have_no_rows() -> None:
    values = steady()
    last = max(values) - 10 * HOUR
    values = {time: value for time, value in values.items() if time <= last}
    values[last] = 3.0
    trends = visits(hourly_trends(in_zone("UTC"), rows_of(values).lazy()))
    assert trends["time"].max() == last - HOUR
    assert set(trends["severity"]) == {"normal"}


@pytest.mark.parametrize(
    ("zone", "first", "hours"),
    [
        ("Europe/Berlin", dt.date(2025, 3, 27), {23}),
        ("Europe/Berlin", dt.date(2025, 10, 23), {25}),
        ("America/Sao_Paulo", dt.date(2018, 11, 1), {23}),
    ],
)
def test_clocks_that_change_make_no_trend(zone: str, first: dt.date, hours: set[int]) -> None:
    values = steady(zone, 10, first)
    trends = visits(hourly_trends(in_zone(zone), rows_of(values).lazy()))
    local = trends["time"].dt.convert_time_zone(zone)
    per_day = local.dt.date().value_counts()["count"].to_list()
    assert set(per_day) - {24} == hours
    assert set(trends["severity"]) <= {"normal", "notable"}
    assert trends["time"].to_list() == list(values)
    busy = trends.filter(pl.col("z").is_not_null())
    usual = 100 + 30 * busy["time"].dt.convert_time_zone(zone).dt.hour().cast(pl.Float64)
    assert ((busy["baseline"] - usual) / usual).abs().max() < 0.25  # type: ignore[operator]


def test_an_hour_that_midnight_cuts_is_put_together_from_both_days() -> None:
    times = [t.replace(minute=0) for t in hours_of("Asia/Kolkata", FIRST, 4)]
    rows = rows_of(dict.fromkeys(times, 10.0))
    # The hour from 18:00 UTC has half an hour on each local day, whose tables both have rows.
    cut = rows.filter(pl.col("time").dt.hour() == 18)
    series = hourly_series(in_zone("Asia/Kolkata"), pl.concat([rows, cut]).lazy())
    values = dict(zip(series.starts, series.values[:, 0].tolist(), strict=True))
    whole = [v for t, v in values.items() if t.hour == 18][1:-1]
    assert set(whole) == {20.0}
    days = [FIRST + dt.timedelta(n) for n in range(4)]
    trends = hourly_trends(in_zone("Asia/Kolkata"), pl.concat([rows, cut]).lazy(), days=days)
    assert visits(trends)["time"].min() == times[0] + HOUR  # Half of the first is unknown.


def test_a_burst_has_since_and_drivers_and_members_have_rows_only_where_they_are_off() -> None:
    values = steady()
    start = dt.datetime(2025, 3, 9, 11, tzinfo=dt.UTC)
    split = {time: value * 0.6 for time, value in values.items()}
    for time in (start, start + HOUR):
        split[time] += 2 * values[time]
        values[time] *= 3
    rows = pl.concat([rows_of(values), rows_of(split, dimension="platform", member="web")])
    trends = hourly_trends(in_zone("UTC"), rows.lazy())
    off = visits(trends).filter(pl.col("severity") != "normal")
    assert off["time"].to_list() == [start, start + HOUR]
    assert off["since"].to_list() == [start, start]
    assert off.select("severity", "direction").unique().rows() == [("critical", "up")]
    for drivers in off["drivers"]:
        (driver,) = drivers
        assert (driver["dimension"], driver["member"]) == ("platform", "web")
        assert driver["contribution"] == pytest.approx(1, abs=0.1)
    web = visits(trends, "web")
    assert web["time"].to_list() == [start, start + HOUR]
    assert web["severity"].to_list() == ["critical", "critical"]


def test_drivers_of_an_hour_equal_their_definition() -> None:
    rng = np.random.default_rng(8)
    members = {name: dict.fromkeys(steady(), 0.0) for name in ("app", "tv", "web")}
    for values, share in zip(members.values(), (30, 50, 90), strict=True):
        for time in values:
            values[time] = float(rng.poisson(share))
    tested = max(members["app"])
    members["tv"][tested] += 400
    members["app"][tested] += 200
    whole = {time: sum(v[time] for v in members.values()) for time in members["app"]}
    rows = [rows_of(v, dimension="platform", member=m) for m, v in members.items()]
    trends = hourly_trends(in_zone("UTC"), pl.concat([rows_of(whole), *rows]).lazy())
    row = visits(trends).row(-1, named=True)

    def off(values: dict[dt.datetime, float]) -> float:
        return values[tested] - median(values[tested - n * 24 * HOUR] for n in range(1, 8))

    expected = {m: off(v) / (row["value"] - row["baseline"]) for m, v in members.items()}
    found = {d["member"]: d["contribution"] for d in row["drivers"]}
    assert list(found) == ["tv", "app"]
    assert found == pytest.approx({m: expected[m] for m in found}, rel=0.05)


def test_both_grains_are_one_table_and_rows_may_come_in_any_order() -> None:
    hours = rows_of(steady())
    days = hours.group_by(pl.col("time").dt.truncate("1d")).agg(
        pl.col("value").sum(), pl.col("events").sum(), pl.col("actors").sum()
    )
    days = days.with_columns(
        grain=pl.lit("day"), metric=pl.lit("visits"), dimension=pl.lit(""), member=pl.lit("")
    ).select(hours.columns)
    rows = pl.concat([hours, days])
    model = in_zone("UTC")
    table = build_trends(model, rows.lazy())
    parts = [trends(model, rows.lazy()) for trends in (daily_trends, hourly_trends)]
    assert table.equals(pl.concat(parts))
    assert table.equals(build_trends(model, rows.sample(fraction=1, shuffle=True, seed=2).lazy()))
    order = table.select("grain", "metric", "dimension", "member", "time").rows()
    assert all(one < other for one, other in pairwise(order))
