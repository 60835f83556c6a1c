"""Trends of days: dense series, ratios, drivers, and the blizzard in the real flights."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
import pytest

from stupid_dagster.compute.changes.series import day_starts
from stupid_dagster.compute.changes.trends import daily_trends
from stupid_dagster.errors import ComputeError
from stupid_dagster.event_model import load_event_model
from stupid_dagster.tables import TABLES
from tests.compute.behaviour import flights_metrics, metric_rows, shop

FIRST = dt.date(2025, 3, 1)
LAST = dt.date(2013, 2, 9)


def day(n: int) -> dt.date:
    return FIRST + dt.timedelta(days=n)


def trends_of(rows: list[Any], **options: Any) -> pl.DataFrame:
    return daily_trends(shop(), metric_rows(rows).lazy(), **options)


def values(trends: pl.DataFrame, metric: str, member: str = "") -> list[float | None]:
    same = trends.filter(pl.col("metric") == metric, pl.col("member") == member)
    return same["value"].to_list()


def last_row(trends: pl.DataFrame, metric: str, member: str = "") -> dict[str, Any]:
    same = trends.filter(pl.col("metric") == metric, pl.col("member") == member)
    return same.row(-1, named=True)


def test_no_days_give_an_empty_table() -> None:
    assert trends_of([]).equals(TABLES["trends"].empty())


def test_one_day_is_not_judged() -> None:
    trends = trends_of([(day(0), "visits", 10.0)])
    row = last_row(trends, "visits")
    assert row["time"] == dt.datetime(2025, 2, 28, 17, tzinfo=dt.UTC)
    assert (row["value"], row["baseline"], row["scale"], row["z"]) == (10.0, None, None, None)
    assert (row["severity"], row["direction"], row["drivers"]) == ("normal", "flat", [])


def test_four_days_before_are_needed() -> None:
    trends = trends_of([(day(n), "visits", 10.0) for n in range(5)])
    same = trends.filter(pl.col("metric") == "visits")
    assert same["z"].to_list() == [None, None, None, None, 0.0]


def test_absent_is_zero_for_counts_and_null_for_means_and_missing_days_are_missing() -> None:
    rows: list[Any] = [(day(n), "members", 5.0) for n in (0, 1, 3)]
    rows += [(day(1), "visits", 7.0), (day(1), "mean_amount", 2.5)]
    rows += [(day(1), "visits", "platform", "web", 7.0)]
    trends = trends_of(rows)
    assert values(trends, "visits") == [0.0, 7.0, 0.0]
    assert values(trends, "visits", "web") == [0.0, 7.0, 0.0]
    assert values(trends, "spent") == [0.0, 0.0, 0.0]
    assert values(trends, "mean_amount") == [None, 2.5, None]
    assert values(trends, "fault_rate") == [None, 0.0, None]


def test_days_on_which_nothing_happened_can_be_stated() -> None:
    trends = trends_of([(day(0), "visits", 7.0)], days=[day(0), day(2)])
    assert values(trends, "visits") == [7.0, 0.0]


def test_days_start_where_clocks_skip_midnight() -> None:
    model = shop().model_copy(update={"timezone": "Asia/Beirut"})
    sunday = dt.date(2025, 3, 30)  # clocks went from 0:00 to 1:00
    starts = day_starts(model, [sunday - dt.timedelta(1), sunday, sunday + dt.timedelta(1)])
    hours = [start.hour for start in starts]
    assert hours == [22, 22, 21]
    assert daily_trends(model, metric_rows([]).lazy(), days=[sunday])["time"][0] == starts[1]


def test_hours_and_unknown_metrics_are_left_out() -> None:
    rows = metric_rows([(day(0), "visits", 7.0), (day(0), "gone", 1.0)])
    hours = rows.with_columns(grain=pl.lit("hour"), value=pl.lit(99.0))
    trends = daily_trends(shop(), pl.concat([rows, hours]).lazy())
    assert set(trends["metric"]) == set(shop().metrics)
    assert values(trends, "visits") == [7.0]


def test_ratios_per_member_where_both_parts_have_the_split() -> None:
    rows: list[Any] = [
        (day(0), "visits", 20.0),
        (day(0), "faults", 5.0),
        (day(0), "visits", "platform", "web", 16.0),
        (day(0), "visits", "platform", "app", 4.0),
        (day(0), "faults", "platform", "web", 5.0),
        (day(0), "visits", "city", "Hue", 9.0),
    ]
    trends = trends_of(rows)
    rates = trends.filter(pl.col("metric") == "fault_rate").select("dimension", "member", "value")
    expected = [("", "", 0.25), ("platform", "app", 0.0), ("platform", "web", 5 / 16)]
    assert rates.rows() == expected


def steady(metric: str, member: str, value: float) -> list[Any]:
    return [(day(n), metric, "platform", member, value) for n in range(8)]


def test_drivers_are_shares_of_the_change_largest_first() -> None:
    rows: list[Any] = [(day(n), "visits", 100.0) for n in range(8)] + [(day(8), "visits", 200.0)]
    rows += steady("visits", "web", 60.0) + steady("visits", "app", 30.0)
    rows += steady("visits", "tv", 10.0)
    rows += [(day(8), "visits", "platform", "web", 130.0)]
    rows += [(day(8), "visits", "platform", "app", 62.0)]
    rows += [(day(8), "visits", "platform", "tv", 8.0)]
    row = last_row(trends_of(rows), "visits")
    assert (row["severity"], row["direction"]) == ("critical", "up")
    assert row["drivers"] == [
        {"dimension": "platform", "member": "web", "contribution": pytest.approx(0.70)},
        {"dimension": "platform", "member": "app", "contribution": pytest.approx(0.32)},
    ]


def test_drivers_of_a_ratio_come_from_its_numerator() -> None:
    rows: list[Any] = [(day(n), "visits", 1000.0) for n in range(9)]
    rows += [(day(n), "faults", 20.0) for n in range(8)] + [(day(8), "faults", 220.0)]
    rows += [*steady("faults", "web", 20.0), (day(8), "faults", "platform", "web", 40.0)]
    rows += [(day(8), "faults", "platform", "app", 180.0)]
    row = last_row(trends_of(rows), "fault_rate")
    assert row["severity"] == "critical"
    assert row["drivers"] == [
        {"dimension": "platform", "member": "app", "contribution": pytest.approx(0.9)},
        {"dimension": "platform", "member": "web", "contribution": pytest.approx(0.1)},
    ]


def test_drivers_of_a_mean_are_weighed_by_their_events() -> None:
    def rows(on: int, web: float, app: float) -> pl.DataFrame:
        mean = (90 * web + 10 * app) / 100
        parts = [
            metric_rows([(day(on), "mean_amount", "", "", mean)], events=100),
            metric_rows([(day(on), "mean_amount", "platform", "web", web)], events=90),
            metric_rows([(day(on), "mean_amount", "platform", "app", app)], events=10),
        ]
        return pl.concat(parts)

    table = pl.concat([*(rows(n, 10.0, 10.0) for n in range(8)), rows(8, 20.0, 40.0)])
    row = last_row(daily_trends(shop(), table.lazy()), "mean_amount")
    assert row["drivers"] == [
        {"dimension": "platform", "member": "web", "contribution": pytest.approx(9 / 12)},
        {"dimension": "platform", "member": "app", "contribution": pytest.approx(3 / 12)},
    ]


def test_a_mean_of_which_no_member_is_known_has_no_drivers() -> None:
    rows: list[Any] = [(day(n), "mean_amount", 10.0 + 90 * (n == 8)) for n in range(9)]
    rows += [(day(n), "mean_amount", "platform", "web", 9.0) for n in range(2)]
    row = last_row(trends_of(rows), "mean_amount")
    assert (row["severity"], row["drivers"]) == ("critical", [])


def test_a_mean_of_few_events_deviates_more_easily() -> None:
    before = metric_rows([(day(n), "mean_amount", 10.0 + n % 2) for n in range(8)], events=100)
    z = []
    for events in (100, 25):
        tested = metric_rows([(day(8), "mean_amount", 20.0)], events=events)
        trends = daily_trends(shop(), pl.concat([before, tested]).lazy())
        z.append(last_row(trends, "mean_amount")["z"])
    assert z[0] == pytest.approx(2 * z[1])


def test_since_is_the_first_of_the_days_in_a_row_that_were_off_this_way() -> None:
    values = [100.0] * 9 + [200.0, 190.0, 0.0, 100.0, 900.0]
    trends = trends_of([(day(n), "visits", value) for n, value in enumerate(values)])
    rows = trends.filter(pl.col("metric") == "visits")
    starts = day_starts(shop(), [day(n) for n in range(14)]).to_list()
    assert rows["severity"].to_list()[9:12] == ["critical"] * 3
    expected = [None] * 9 + [starts[9], starts[9], starts[11], None, starts[13]]
    assert rows["since"].to_list() == expected


def test_one_busy_actor_is_no_trend() -> None:
    rows = [(day(n), "visits", "platform", "app", 2.0) for n in range(8)]
    before, burst = metric_rows(rows), metric_rows([(day(8), "visits", "platform", "app", 60.0)])
    z = [
        last_row(daily_trends(shop(), pl.concat([before, tested]).lazy()), "visits", "app")["z"]
        for tested in (burst, burst.with_columns(actors=pl.lit(1, pl.UInt32)))
    ]
    assert z[0] > 10
    assert z[1] < 1


def test_missing_columns_and_bad_windows_are_refused() -> None:
    with pytest.raises(ComputeError, match="metrics lack the columns value"):
        daily_trends(shop(), metric_rows([]).drop("value").lazy())
    with pytest.raises(ComputeError, match="at least 1"):
        trends_of([], baseline_days=0)


@pytest.fixture(scope="module")
def flights() -> pl.DataFrame:
    """Trends of the whole series in the 30 days that end with the blizzard."""
    rows = flights_metrics(LAST - dt.timedelta(days=29), LAST)
    trends = daily_trends(load_event_model("flights"), rows.lazy())
    local = pl.col("time").dt.convert_time_zone("America/New_York").dt.date()
    return trends.with_columns(day=local)


def test_the_blizzard_is_critical(flights: pl.DataFrame) -> None:
    whole = flights.filter(pl.col("metric") == "cancellations", pl.col("dimension") == "")
    assert whole["day"].to_list() == [LAST - dt.timedelta(days=n) for n in range(29, -1, -1)]
    blizzard = whole.tail(2)
    assert blizzard["value"].to_list() == [472.0, 393.0]
    assert blizzard["severity"].to_list() == ["critical", "critical"]
    assert min(blizzard["z"]) > 8
    origins = {d["member"] for d in blizzard["drivers"][0] if d["dimension"] == "origin"}
    assert origins == {"EWR", "JFK", "LGA"}


def test_ordinary_days_are_not_critical(flights: pl.DataFrame) -> None:
    whole = flights.filter(pl.col("dimension") == "", pl.col("z").is_not_null())
    critical = whole.filter(pl.col("severity") == "critical")
    assert len(critical) <= 0.12 * len(whole)
    # Days of storm, fog or heavy rain: at least 35 cancellations or 1 inch of rain.
    bad = {dt.date(2013, 1, d) for d in (16, 25, 27, 28, 30, 31)} | {LAST - dt.timedelta(1), LAST}
    assert set(critical["day"]) <= bad
    counts = critical.filter(pl.col("metric").is_in(["departures", "scheduled", "aircraft"]))
    assert set(counts["day"]) == {LAST - dt.timedelta(1), LAST}


def test_saturdays_are_no_trend(flights: pl.DataFrame) -> None:
    scheduled = flights.filter(pl.col("metric") == "scheduled", pl.col("day").dt.weekday() == 6)
    assert max(scheduled["value"]) < 700
    assert set(scheduled["severity"]) == {"normal"}
