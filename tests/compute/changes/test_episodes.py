"""Episodes of hours, and that those of days are of days alone."""

from __future__ import annotations

import datetime as dt

import polars as pl

from stupid_dagster.compute.changes.episodes import recent_episodes, recent_hours
from stupid_dagster.tables import TABLES
from tests.compute.behaviour import shop
from tests.compute.trend_tables import trend_rows

LAST = dt.date(2025, 3, 14)


def hour_rows(
    off: dict[tuple[int, int], float], member: str = "", metric: str = "visits"
) -> pl.DataFrame:
    """Return trends of the hours of 14 days: z by (day of March, local hour), else 0."""
    rows = []
    for day in range(1, 15):
        for hour in range(24):
            z = off.get((day, hour), 0.0)
            if member and not z:
                continue
            severity = "critical" if abs(z) >= 4 else "significant" if abs(z) >= 3 else "normal"
            rows.append(
                {
                    "grain": "hour",
                    "time": dt.datetime(2025, 3, day, hour, tzinfo=dt.UTC) - dt.timedelta(hours=7),
                    "metric": metric,
                    "dimension": "platform" if member else "",
                    "member": member,
                    "value": 10.0 + z,
                    "baseline": 10.0,
                    "scale": 1.0,
                    "z": z,
                    "severity": severity,
                    "direction": "up" if z > 0 else "down" if z < 0 else "flat",
                    "drivers": [],
                }
            )
    return pl.DataFrame(rows, schema=TABLES["trends"].schema)


def told(days: pl.DataFrame, *hours: pl.DataFrame) -> list[tuple[str, str, list[tuple[int, int]]]]:
    """Return (member, direction, (day, hour) of each row) of the episodes of hours."""
    trends = pl.concat([days, *hours])
    daily = recent_episodes(trends, shop(), LAST, 3)
    assert [e.rows for e in daily] == [e.rows for e in recent_episodes(days, shop(), LAST, 3)]
    found = recent_hours(trends, shop(), LAST, 3, daily)
    assert {e.grain for e in found} <= {"hour"}
    local = dt.timedelta(hours=7)
    return [
        (e.member, e.direction, [(r["day"].day, (r["time"] + local).hour) for r in e.rows])
        for e in found
    ]


QUIET = trend_rows(".............." )  # fmt: skip


def test_runs_of_hours_bridge_one_ordinary_hour_and_all_recent_ones_are_told() -> None:
    off = {(13, 22): 5.0, (13, 23): 3.5, (14, 1): 9.0, (14, 8): 4.5, (14, 9): -6.0, (11, 3): 50.0}
    assert told(QUIET, hour_rows(off)) == [
        ("", "up", [(13, 22), (13, 23), (14, 1)]),
        ("", "down", [(14, 9)]),
        ("", "up", [(14, 8)]),
    ]


def test_hours_that_a_day_tells_are_left_out() -> None:
    off = {(13, 5): 5.0, (14, 5): 6.0, (14, 9): -6.0}
    days = trend_rows("............c.")
    assert told(days, hour_rows(off)) == [("", "down", [(14, 9)]), ("", "up", [(14, 5)])]
    across = {(13, 23): 5.0, (14, 0): 5.0}
    assert told(days, hour_rows(across)) == [("", "up", [(13, 23), (14, 0)])]
    app = trend_rows("............c.", member="app")
    web, own = (hour_rows({(13, 5): 5.0}, member=m) for m in ("web", "app"))
    assert told(pl.concat([QUIET, app]), web, own) == [("web", "up", [(13, 5)])]


def test_members_are_told_where_they_are_critical_and_the_whole_is_silent() -> None:
    whole = hour_rows({(14, 5): 5.0})
    app = hour_rows({(14, 5): 9.0}, member="app")
    web = hour_rows({(14, 7): 8.0}, member="web")
    mild = hour_rows({(14, 9): 3.5}, member="tv")
    assert told(QUIET, whole, app, web, mild) == [
        ("web", "up", [(14, 7)]),
        ("", "up", [(14, 5)]),
    ]


def test_the_series_is_that_of_the_recent_hours() -> None:
    trends = pl.concat([QUIET, hour_rows({(14, 5): 5.0})])
    (episode,) = recent_hours(trends, shop(), LAST, 3, [])
    assert len(episode.series) == 72
    assert (episode.size, episode.severity, episode.peak["value"]) == (5.0, "critical", 15.0)
