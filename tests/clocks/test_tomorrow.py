"""Rows and files of days that haven't come yet, and what becomes of them when they do."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from stupid_dagster.ingest.arrivals import Waiting, look_for_arrivals
from stupid_dagster.ingest.source import Source
from stupid_dagster.project import Project, days_between
from stupid_dagster.stages.arrivals import StaleDays, find_stale_days
from stupid_dagster.stages.evict import plan_eviction
from tests.arriving import touch
from tests.clocks.logs import calendar_project, it_is, land_day, land_rows, login, logins
from tests.pipeline import make_day

YESTERDAY, TODAY, TOMORROW = days_between(date(2013, 2, 5), date(2013, 2, 7))
MIDNIGHT = datetime.fromisoformat(f"{TOMORROW}T00:00+07:00")
NIGHT, MORNING = f"{TODAY}T23:59+07:00", f"{TOMORROW}T09:00+07:00"
SOON = [login(MIDNIGHT + timedelta(minutes=n), 20 + n) for n in range(3)]
EARLIER = [login(MIDNIGHT - timedelta(minutes=n + 1), 20 + n) for n in range(2)]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Return a project with yesterday made, shortly before midnight."""
    it_is(monkeypatch, NIGHT)
    project = calendar_project(tmp_path / "project", window_days=3, garbage_minutes=0)
    land_day(project, YESTERDAY)
    make_day(project, YESTERDAY)
    return project


def look(project: Project) -> StaleDays:
    settings = project.settings
    arrivals = look_for_arrivals(
        project.model,
        Source(settings.landing_location),
        project.lake.root / "landing-index.json",
        {},
        now=0,
        stable_seconds=0,
    )
    return find_stale_days(project, arrivals)


def make_stale(project: Project) -> list[str]:
    """Make all stale days, and return them; nothing is stale afterwards."""
    days = sorted(found.day for found in look(project).days)
    for day in days:
        make_day(project, day)
    assert not look(project).days
    return days


def documents(project: Project) -> Counter[tuple[str, str, str]]:
    """Return how often the lake has which member and time on which day."""
    found: Counter[tuple[str, str, str]] = Counter()
    for day in project.lake.partitions("documents"):
        for file in project.lake.version_path(project.lake.live("documents", day)).glob("*"):
            if file.suffix == ".parquet":
                rows = pl.read_parquet(file)
                if "memberCode" in rows.columns:
                    times = rows["timestamp"].dt.to_string("%Y-%m-%dT%H:%M:%S%.3fZ")
                    found.update(zip([day] * len(rows), rows["memberCode"], times, strict=True))
    return found


def expected(*days: tuple[str, list[dict[str, str]]]) -> Counter[tuple[str, str, str]]:
    rows = [(day, row["memberCode"], row["@timestamp"]) for day, found in days for row in found]
    return Counter(dict.fromkeys(rows, 1))


def rejected(project: Project, day: str) -> int:
    return int(project.lake.read("rejects", day).filter(pl.col("scope") == "row")["rows"].sum())


def test_rows_of_tomorrow_arrive_in_tomorrow_exactly_once(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    land_day(project, TODAY, more=SOON)
    assert look(project).notices[0].startswith(f"days left alone, {TOMORROW} to {TOMORROW}: 1")
    assert make_stale(project) == [TODAY]
    assert rejected(project, TODAY) == 3
    days = [(day, logins(project, day)) for day in (YESTERDAY, TODAY)]
    assert documents(project) == expected(*days)

    it_is(monkeypatch, f"{TOMORROW}T00:00:01+07:00")
    # Today too, for what it says of rejected rows isn't true any more.
    assert make_stale(project) == [TODAY, TOMORROW]
    assert rejected(project, TODAY) == 0
    assert documents(project) == expected(*days, (TOMORROW, SOON))
    # Three rows are no day yet.
    assert project.anchor() == date.fromisoformat(TODAY)

    # In the morning its own file comes, with a clock in it that is late.
    it_is(monkeypatch, MORNING)
    land_day(project, TOMORROW, more=EARLIER)
    assert make_stale(project) == [TODAY, TOMORROW]
    own = logins(project, TOMORROW)
    days[1] = (TODAY, days[1][1] + EARLIER)
    assert documents(project) == expected(*days, (TOMORROW, SOON + own))
    assert project.anchor() == date.fromisoformat(TOMORROW)


def test_a_file_dated_later_than_its_rows_is_used_now(project: Project) -> None:
    land_rows(project, "2014-02-06", logins(project, TODAY))
    land_rows(project, TOMORROW, EARLIER)
    stale = look(project)
    assert [found.day for found in stale.days if found.day == TODAY] == [TODAY]
    assert any("2013-02-07 to 2014-02-06: 2 (outside the partitions" in n for n in stale.notices)
    assert make_stale(project) == [TODAY]
    assert documents(project)[(TODAY, "m20", EARLIER[0]["@timestamp"])] == 1
    assert sum(documents(project).values()) == 200 + 200 + 2
    assert rejected(project, TODAY) == 0


@pytest.mark.parametrize("end", [None, date(2099, 12, 31)])
def test_a_device_of_the_far_future_evicts_nothing(
    project: Project, end: date | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the calendar, too, where its settings go on for so long."""
    if end:
        config = project.settings.root / "stupid.toml"
        config.write_text(f"{config.read_text()}partitions_end = {end}\n")
        project = Project.load(project.settings.root)
    broken = [login(datetime.fromisoformat("2099-01-01T12:00+07:00"), 20)]
    land_day(project, TODAY, more=broken)
    made = make_stale(project)
    assert made == ([TODAY, "2099-01-01"] if end else [TODAY])
    assert rejected(project, TODAY) == (0 if end else 1)
    assert project.anchor() == date.fromisoformat(TODAY)
    eviction = plan_eviction(project)
    assert eviction is not None and eviction.partitions == []
    assert sum(documents(project).values()) == 400 + bool(end)
    # A day later it still isn't time, and nothing is made again for it.
    it_is(monkeypatch, MORNING)
    assert make_stale(project) == []


def test_days_made_by_a_clock_that_was_ahead_wait_for_their_time(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no partition for a window of theirs, until they come."""
    land_day(project, TODAY)
    land_day(project, TOMORROW)
    it_is(monkeypatch, MORNING)
    assert make_stale(project) == [TODAY, TOMORROW]
    assert project.anchor() == date.fromisoformat(TOMORROW)
    it_is(monkeypatch, NIGHT)
    assert project.anchor() == date.fromisoformat(TODAY)
    assert make_stale(project) == []
    it_is(monkeypatch, MORNING)
    assert project.anchor() == date.fromisoformat(TOMORROW)


def test_files_changed_in_the_future_wait_no_longer_than_others(project: Project) -> None:
    """Their times say whether they have changed, and never how long ago."""
    file = land_day(project, TODAY)
    source, now = Source(project.settings.landing_location), 1_000_000.0

    def waiting(seconds: float, before: dict[str, Waiting]) -> dict[str, Waiting]:
        arrivals = look_for_arrivals(
            project.model,
            source,
            project.lake.root / "landing-index.json",
            before,
            now=now + seconds,
            stable_seconds=60,
        )
        name = f"Login/{TODAY}.parquet"
        assert (name in arrivals.files) == (name not in arrivals.waiting)
        return {path: state for path, state in arrivals.waiting.items() if path == name}

    touch(file, datetime(2099, 1, 1, tzinfo=UTC).timestamp())
    seen = waiting(0, {})
    assert seen and waiting(59, seen) and not waiting(60, seen)
    make_day(project, TODAY)
    # Written anew by a clock that was set back meanwhile: its time is earlier, and it has changed.
    land_day(project, TODAY, rows=150)
    touch(file, datetime(2013, 2, 6, tzinfo=UTC).timestamp())
    seen = waiting(100, {})
    assert seen and not waiting(160, seen)
    assert make_stale(project) == [TODAY]
    assert project.lake.live("documents", TODAY).rows == 150
