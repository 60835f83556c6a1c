"""The conditions of the sensor `daily`, night after night."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster._core.storage.tags import PARTITION_NAME_TAG
from dagster._core.test_utils import freeze_time

from stupid_dagster.automation.daily import WITH_ITS_DEPS, daily_sensor, day_has_ended
from stupid_dagster.definitions import defs
from stupid_dagster.tables import DAY_TABLES, TABLES
from tests.arriving import arriving_project

ASSETS = ("documents", "rejects", "texts", "vectors")


class Nights:
    """Assets wired as the day assets are, an instance, and what the conditions remember."""

    def __init__(self, zone: str, instance: dg.DagsterInstance) -> None:
        days = dg.DailyPartitionsDefinition("2013-01-01", timezone=zone, end_offset=1)

        @dg.multi_asset(
            specs=[
                dg.AssetSpec(
                    name, partitions_def=days, automation_condition=day_has_ended(days.timezone)
                )
                for name in ("documents", "rejects")
            ]
        )
        def documents():
            yield dg.MaterializeResult(asset_key="documents")
            yield dg.MaterializeResult(asset_key="rejects")

        @dg.asset(deps=["documents"], partitions_def=days, automation_condition=WITH_ITS_DEPS)
        def texts(): ...

        @dg.asset(deps=["texts"], partitions_def=days, automation_condition=WITH_ITS_DEPS)
        def vectors(): ...

        self.zone = ZoneInfo(zone)
        self.instance = instance
        self.defs = dg.Definitions(
            assets=[documents, texts, vectors],
            jobs=[dg.define_asset_job("days")],
            executor=dg.in_process_executor,
        )
        self.cursor = None

    def at(self, time: str | datetime) -> list[str]:
        """Evaluate at a local time, and return the days asked for, each with all its assets."""
        with self.clock(time) as now:
            result = dg.evaluate_automation_conditions(
                self.defs, self.instance, cursor=self.cursor, evaluation_time=now
            )
        self.cursor = result.cursor
        asked = {name: result.get_requested_partitions(dg.AssetKey(name)) for name in ASSETS}
        assert len({frozenset(days) for days in asked.values()}) == 1
        return sorted(map(str, asked["documents"]))

    def made(self, day: str, time: str) -> None:
        """Put on record that a day was made at a local time."""
        with self.clock(time):
            for name in ASSETS:
                self.instance.report_runless_asset_event(
                    dg.AssetMaterialization(name, partition=day)
                )

    def start(self, day: str) -> dg.DagsterRun:
        """Return a run of a day that is at work."""
        return self.instance.create_run_for_job(
            self.defs.resolve_job_def("days"),
            status=dg.DagsterRunStatus.STARTED,
            tags={PARTITION_NAME_TAG: day},
        )

    @contextmanager
    def clock(self, time: str | datetime) -> Iterator[datetime]:
        """Have Dagster's clock show a local time."""
        if isinstance(time, str):
            time = datetime.fromisoformat(time).replace(tzinfo=self.zone)
        now = time.astimezone(UTC)
        with freeze_time(now):
            yield now


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral(tempdir=str(tmp_path)) as instance:
        yield instance


@pytest.fixture
def nights(instance: dg.DagsterInstance) -> Nights:
    found = Nights("America/New_York", instance)
    assert found.at("2013-02-07T22:00") == []  # when the sensor is switched on
    return found


def test_the_day_that_has_ended_is_asked_for_once_an_hour_after_midnight(nights: Nights) -> None:
    for time in ("2013-02-07T23:30", "2013-02-08T00:00", "2013-02-08T00:59"):
        assert nights.at(time) == []
    assert nights.at("2013-02-08T01:00") == ["2013-02-07"]
    for time in ("2013-02-08T01:01", "2013-02-08T12:00", "2013-02-08T23:59", "2013-02-09T00:30"):
        assert nights.at(time) == []
    assert nights.at("2013-02-09T01:00:20") == ["2013-02-08"]


def test_a_day_that_was_made_since_its_end_is_left_alone(nights: Nights) -> None:
    nights.made("2013-02-07", "2013-02-08T00:20")
    nights.made("2013-02-08", "2013-02-08T00:25")
    assert nights.at("2013-02-08T00:30") == []
    assert nights.at("2013-02-08T01:00") == nights.at("2013-02-08T09:00") == []
    assert nights.at("2013-02-09T01:00") == ["2013-02-08"]


def test_a_day_that_was_made_before_its_end_is_made_again(nights: Nights) -> None:
    nights.made("2013-02-07", "2013-02-07T23:20")
    assert nights.at("2013-02-07T23:30") == []
    nights.made("2013-02-07", "2013-02-07T23:59:50")
    assert nights.at("2013-02-08T00:00:10") == []
    assert nights.at("2013-02-08T01:00") == ["2013-02-07"]


def test_after_nights_without_the_daemon_the_last_day_is_made(nights: Nights) -> None:
    nights.made("2013-02-09", "2013-02-09T23:10")
    assert nights.at("2013-02-10T07:00") == ["2013-02-09"]
    assert nights.at("2013-02-10T07:01") == []
    nights.made("2013-02-10", "2013-02-11T00:10")
    assert nights.at("2013-02-11T09:00") == []


def test_switched_on_by_day_it_waits_for_the_night(instance: dg.DagsterInstance) -> None:
    nights = Nights("America/New_York", instance)
    assert nights.at("2013-02-08T14:00") == nights.at("2013-02-08T14:01") == []
    assert nights.at("2013-02-09T01:00") == ["2013-02-08"]


def test_switched_on_between_midnight_and_one_it_makes_the_day(
    instance: dg.DagsterInstance,
) -> None:
    nights = Nights("America/New_York", instance)
    assert nights.at("2013-02-08T00:30") == []
    assert nights.at("2013-02-08T01:00") == ["2013-02-07"]


def test_a_day_that_is_being_made_is_waited_for(nights: Nights) -> None:
    run = nights.start("2013-02-07")
    assert nights.at("2013-02-08T01:00") == nights.at("2013-02-08T01:01") == []
    nights.instance.report_run_failed(run)
    assert nights.at("2013-02-08T01:02") == ["2013-02-07"]
    run = nights.start("2013-02-08")
    assert nights.at("2013-02-09T01:00") == []
    nights.made("2013-02-08", "2013-02-09T01:00:30")
    nights.instance.report_run_failed(run)
    assert nights.at("2013-02-09T01:01") == []


def test_a_run_that_failed_is_not_asked_for_again(nights: Nights) -> None:
    assert nights.at("2013-02-08T01:00") == ["2013-02-07"]
    nights.instance.report_run_failed(nights.start("2013-02-07"))
    assert nights.at("2013-02-08T01:01") == nights.at("2013-02-08T10:00") == []
    assert nights.at("2013-02-09T01:00") == ["2013-02-08"]


@pytest.mark.parametrize(
    "zone, days",
    [
        ("America/New_York", ["2013-03-09", "2013-03-10", "2013-03-11"]),
        ("America/New_York", ["2013-11-02", "2013-11-03", "2013-11-04"]),
        ("Europe/London", ["2013-03-30", "2013-03-31", "2013-04-01"]),
        ("Africa/Cairo", ["2024-04-25", "2024-04-26", "2024-04-27"]),
        ("Africa/Cairo", ["2024-10-31", "2024-11-01", "2024-11-02"]),
        ("UTC", ["2024-02-28", "2024-02-29", "2024-03-01"]),
    ],
)
def test_each_day_comes_once_where_clocks_change(
    zone: str, days: list[str], instance: dg.DagsterInstance
) -> None:
    nights = Nights(zone, instance)
    first = datetime.fromisoformat(days[0]).replace(tzinfo=nights.zone).timestamp()
    asked = {}
    for minute in range(-60, 3 * 24 * 60 + 180, 60):
        now = datetime.fromtimestamp(first + 60 * minute, nights.zone)
        if now.hour not in (23, 0, 1, 2, 3, 12):
            continue
        for day in nights.at(now):
            assert day not in asked
            asked[day] = now.hour
    assert list(asked) == [str(date.fromisoformat(days[0]) - timedelta(days=1)), *days]
    assert set(asked.values()) <= {1, 2}


def test_only_this_sensor_looks_at_the_conditions() -> None:
    repository = defs.get_repository_def()
    kinds = (dg.AutomationConditionSensorDefinition,)
    assert [s for s in repository.sensor_defs if isinstance(s, kinds)] == [daily_sensor]
    assert daily_sensor.default_status is dg.DefaultSensorStatus.STOPPED
    # The demo's days are a closed range.
    assert not any(node.automation_condition for node in repository.asset_graph.asset_nodes)


OPEN = """
import dagster as dg
from datetime import datetime, UTC
from dagster._core.definitions.automation_condition_sensor_definition import (
    AutomationConditionSensorDefinition,
)
from stupid_dagster.definitions import defs

with dg.DagsterInstance.ephemeral() as instance:
    repository = defs.get_repository_def()
    kinds = [s.name for s in repository.sensor_defs if isinstance(
        s, AutomationConditionSensorDefinition)]
    print(*kinds)
    cursor = None
    for hour in (16, 19):  # 23 and 2 o'clock in Bangkok
        now = datetime(2013, 2, 8, hour, tzinfo=UTC)
        result = dg.evaluate_automation_conditions(
            defs, instance, cursor=cursor, evaluation_time=now
        )
        cursor = result.cursor
    for key in repository.asset_graph.get_all_asset_keys():
        print(key.to_user_string(), *result.get_requested_partitions(key))
"""


def test_of_an_open_project_the_day_assets_are_asked_for_and_no_window(tmp_path: Path) -> None:
    project = arriving_project(tmp_path / "project")
    config = project.settings.root / "stupid.toml"
    lines = config.read_text().splitlines(keepends=True)
    config.write_text("".join(line for line in lines if "partitions_end" not in line))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", OPEN],
        env={**os.environ, "STUPID_ROOT": str(project.settings.root)},
        check=True,
        capture_output=True,
        text=True,
    )
    sensors, *assets = done.stdout.splitlines()
    assert sensors == "daily"
    found = {name: days for name, _, days in (line.partition(" ") for line in assets)}
    assert {name: days for name, days in found.items() if days} == dict.fromkeys(
        DAY_TABLES, "2013-02-08"
    )
    assert {*TABLES} <= found.keys()
