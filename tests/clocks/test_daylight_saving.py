"""Days of 23 and 25 hours, days without a midnight, and hours of zones that are half one off."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise, takewhile
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from dagster._utils.schedules import schedule_execution_time_iterator

from stupid_dagster.automation.jobs import hourly_schedule
from stupid_dagster.compute.changes.trends import build_trends
from stupid_dagster.project import Project, days_between
from stupid_dagster.query.days import day_bounds
from stupid_dagster.query.reader import SnapshotReader
from stupid_dagster.samples import write_flights
from stupid_dagster.stages.clusters import make_clusters, make_features
from stupid_dagster.stages.graph import make_graph, make_graph_knowledge
from stupid_dagster.stages.publish import make_catalog, publish_window
from stupid_dagster.stages.trends import make_trends
from stupid_dagster.stages.window import make_window_days
from stupid_dagster.stores.snapshots import open_snapshot
from tests.clocks.logs import calendar_project, land_rows, login
from tests.pipeline import make_day

# The days around each change, and the hours of the one in the middle.
CHANGES = {
    "spring": (days_between(date(2013, 3, 9), date(2013, 3, 11)), 23),
    "autumn": (days_between(date(2013, 11, 2), date(2013, 11, 4)), 25),
}
EVENT_TYPES = ("Departure", "Cancellation", "WeatherReport")


@pytest.fixture(scope="module", params=CHANGES)
def change(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Project, list[str], int]:
    """Return a project with New York's flights around a change, its days, and the hours."""
    days, hours = CHANGES[request.param]
    root = tmp_path_factory.mktemp(request.param)
    write_flights(root / "landing", date.fromisoformat(days[0]), date.fromisoformat(days[-1]))
    (root / "stupid.toml").write_text(
        'landing = "landing"\ndata_root = "lake"\nevent_model = "flights"\nwindow_days = 3\n'
        f"partitions_start = {days[0]}\npartitions_end = {days[-1]}\n"
    )
    project = Project.load(root)
    for day in days:
        make_day(project, day)
    # What is asked for below, and what it needs.
    for stage in (
        *(make_window_days, make_graph, make_graph_knowledge, make_features, make_clusters),
        *(make_trends, make_catalog),
    ):
        stage(project, days[-1])
    publish_window(project, days[-1])
    return project, days, hours


@pytest.fixture
def reader(change: tuple[Project, list[str], int]) -> Iterator[SnapshotReader]:
    project, _, _ = change
    with SnapshotReader(project, open_snapshot(project.lake)) as reader:
        yield reader


def stored(project: Project, day: str) -> pl.DataFrame:
    """Return (timestamp, actor, type) of a day's documents."""
    frames = [
        pl.read_parquet(file, columns=["timestamp", "actor"]).with_columns(type=pl.lit(file.stem))
        for file in project.lake.version_path(project.lake.live("documents", day)).glob("*.parquet")
    ]
    return pl.concat(frames)


def test_every_event_is_in_exactly_one_day(change: tuple[Project, list[str], int]) -> None:
    project, days, hours = change
    landing = Path(project.settings.landing_location)
    landed = pl.concat(
        [
            pl.read_parquet(landing / kind / f"{day}.parquet", columns=["scheduled_at"])
            for kind in EVENT_TYPES
            for day in days
            if (landing / kind / f"{day}.parquet").exists()
        ]
    )["scheduled_at"]
    made = pl.concat([stored(project, day) for day in days])["timestamp"]
    told = made.dt.to_string("%Y-%m-%dT%H:%M:%S%.3fZ").sort()
    assert told.to_list() == landed.sort().to_list()
    for day in days:
        begin, end = day_bounds(date.fromisoformat(day), project.model.zone)
        assert (end - begin) == timedelta(hours=hours if day == days[1] else 24)
        times = stored(project, day)["timestamp"]
        assert begin <= times.min() and times.max() < end  # pyright: ignore[reportOptionalOperand, reportOperatorIssue]


def test_hours_and_days_add_up_to_the_documents(change: tuple[Project, list[str], int]) -> None:
    project, days, hours = change
    trends = project.lake.read("trends", days[-1])
    whole = trends.filter(pl.col("metric") == "scheduled", pl.col("dimension") == "")
    zone = project.model.timezone
    for day in days:
        flights = stored(project, day).filter(pl.col("type") != "WeatherReport")
        begin, end = day_bounds(date.fromisoformat(day), project.model.zone)
        for table in (whole, project.lake.read("metrics", day).filter(metric="scheduled")):
            of_day = table.filter(pl.col("time").is_between(begin, end, closed="left"))
            for grain in ("hour", "day"):
                rows = of_day.filter(grain=grain, dimension="")
                assert rows["value"].sum() == flights.height, (day, grain)
        each = whole.filter(
            pl.col("grain") == "hour", pl.col("time").is_between(begin, end, closed="left")
        )
        if day != days[-1]:  # Of the last day the hours after its last flight aren't known yet.
            assert each.height == (hours if day == days[1] else 24)
        by_hour = flights.group_by(pl.col("timestamp").dt.truncate("1h")).len()
        found = each.filter(pl.col("value") > 0).select("time", "value").sort("time")
        assert found.rows() == by_hour.sort("timestamp").rows()
        clock = each["time"].dt.convert_time_zone(zone).dt.hour().value_counts()
        if day == days[1]:
            counts = dict(clock.iter_rows())
            assert (2 not in counts) if hours == 23 else (counts[1] == 2)


def test_sequences_and_sessions_are_in_the_order_of_real_time(
    change: tuple[Project, list[str], int],
) -> None:
    project, days, _ = change
    for day in days:
        flights = stored(project, day).filter(
            pl.col("type") != "WeatherReport", pl.col("actor").is_not_null()
        )
        sequences = project.lake.read("sequences", day)
        assert sequences["times"].list.len().sum() == flights.height
        for times in sequences["times"].to_list():
            assert times == sorted(times)
        sessions = project.lake.read("activity", day)["sessions"].to_list()
        assert sum(session["events"] for each in sessions for session in each) == flights.height
        for each in sessions:
            bounds = [moment for session in each for moment in (session["start"], session["end"])]
            assert bounds == sorted(bounds)


def test_filters_on_days_return_exactly_the_days_documents(
    change: tuple[Project, list[str], int], reader: SnapshotReader
) -> None:
    project, days, _ = change
    for kind in EVENT_TYPES:
        for day in days:
            wanted = stored(project, day).filter(type=kind).height
            only = date.fromisoformat(day)
            begin, end = day_bounds(only, project.model.zone)
            by_day = reader.documents(kind, first_day=only, last_day=only, limit=2000)
            by_time = reader.documents(kind, since=begin, until=end, limit=2000)
            assert by_day.total == by_day.rows.height == by_time.rows.height == wanted
            assert set(by_day.rows["doc_id"]) == set(by_time.rows["doc_id"])
            filters = reader.day_filters("time", only, only)
            trends = reader.knowledge("trends", filters=filters, limit=2000).rows
            assert trends["time"].n_unique() in (23, 24, 25)


ZONES = {
    # Half an hour off, all year; and a change by half an hour.
    "Asia/Kolkata": ("2013-03-09", 24),
    "Australia/Lord_Howe": ("2013-04-07", 24.5),
    # The day begins at 01:00; it has 25 hours, with 23:00 or midnight twice.
    "Asia/Beirut": ("2013-03-31", 23),
    "America/Sao_Paulo": ("2013-10-20", 23),
    "Africa/Cairo": ("2014-05-16", 23),
    "America/Asuncion": ("2013-03-23", 25),
    "America/Havana": ("2013-11-03", 25),
}


@pytest.mark.parametrize("zone", ZONES)
def test_odd_zones_lose_and_double_nothing(zone: str, tmp_path: Path) -> None:
    """A login every ten minutes of three days, all in a file of the day in the middle."""
    text, hours = ZONES[zone]
    middle = date.fromisoformat(text)
    days = days_between(middle - timedelta(1), middle + timedelta(1))
    project = calendar_project(tmp_path / "project", zone, window_days=3)
    first, last = (day_bounds(date.fromisoformat(day), project.model.zone) for day in days[::2])
    ten = timedelta(minutes=10)
    moments = [first[0] + n * ten for n in range((last[1] - first[0]) // ten)]
    land_rows(project, text, [login(moment, n % 7) for n, moment in enumerate(moments)])
    for day in days:
        make_day(project, day)
    metrics = project.lake.scan_days("metrics", days)
    trends = build_trends(project.model, metrics, days=map(date.fromisoformat, days))
    trends = trends.filter(metric="logins", dimension="")

    found: list[datetime] = []
    for day in days:
        begin, end = day_bounds(date.fromisoformat(day), project.model.zone)
        own = [moment for moment in moments if begin <= moment < end]
        assert (end - begin) == timedelta(hours=hours if day == text else 24)
        version = project.lake.version_path(project.lake.live("documents", day))
        times = pl.read_parquet(version / "Login.parquet")["timestamp"].sort().to_list()
        assert times == own
        found += times
        metrics = project.lake.read("metrics", day).filter(metric="logins", dimension="")
        assert metrics.filter(grain="day").select("time", "value").rows() == [(begin, len(own))]
        by_hour = metrics.filter(grain="hour")
        assert by_hour["value"].sum() == len(own)
        daily = trends.filter(pl.col("grain") == "day", pl.col("time") == begin)
        assert daily["value"].to_list() == [len(own)]
        sequences = project.lake.read("sequences", day)["times"]
        assert sequences.list.len().sum() == len(own)
        assert all(times == sorted(times) for times in sequences.to_list())
    assert found == moments
    hourly = trends.filter(grain="hour").sort("time")
    assert hourly["time"].is_unique().all()
    # An hour that a midnight cuts is put together of both days. Those that are cut by an end of
    # the window are not whole, and are left out.
    cut = {edge.replace(minute=0) for edge in (first[0], last[1]) if edge.minute}
    whole = [moment for moment in moments if moment.replace(minute=0) not in cut]
    assert hourly["value"].sum() == len(whole)
    assert set(hourly["value"]) == {6}


@pytest.mark.parametrize(
    ("zone", "day"),
    [
        ("America/New_York", "2013-03-10"),
        ("America/New_York", "2013-11-03"),
        ("Europe/London", "2013-03-31"),
        ("Europe/London", "2013-10-27"),
        ("Asia/Beirut", "2013-03-31"),
        ("America/Havana", "2013-11-03"),
        ("Asia/Kolkata", "2013-03-10"),
    ],
)
def test_hourly_skips_and_doubles_no_hour(zone: str, day: str) -> None:
    """As Dagster counts the ticks of their cron strings."""
    middle = date.fromisoformat(day)
    days = [middle + timedelta(n) for n in range(-2, 3)]
    project_zone = ZoneInfo(zone)
    start, end = day_bounds(days[0], project_zone)[0], day_bounds(days[-1], project_zone)[1]

    ticks = schedule_execution_time_iterator(
        start.timestamp(), str(hourly_schedule.cron_schedule), zone
    )
    hourly = list(takewhile(lambda tick: tick < end, ticks))
    instants = [tick.astimezone(UTC) for tick in hourly]
    assert len(set(instants)) == len(instants)
    # Every hour of the days has its tick.
    assert len(instants) == (end - start) // timedelta(hours=1)
    assert {b - a for a, b in pairwise(instants)} == {timedelta(hours=1)}
