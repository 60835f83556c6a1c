"""What the schedules ask for, and when they don't."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster._core.storage.tags import PARTITION_NAME_TAG

from stupid_dagster.automation.jobs import hourly_schedule
from stupid_dagster.automation.resources import ProjectResource
from stupid_dagster.definitions import defs
from tests.arriving import arriving_project

ZONE = ZoneInfo("America/New_York")


@pytest.fixture
def instance(tmp_path: Path):
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        yield instance


def tick(
    schedule: dg.ScheduleDefinition, time: datetime, tmp_path: Path, instance: dg.DagsterInstance
):
    root = tmp_path / "project"
    if not root.exists():
        arriving_project(root)
    context = dg.build_schedule_context(
        instance=instance,
        repository_def=defs.get_repository_def(),
        scheduled_execution_time=time,
        resources={"project": ProjectResource(root=str(root))},
    )
    return schedule(context)


def test_from_its_first_hour_to_its_last_the_running_day_is_asked_for(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    for hour in (0, 1, 23):
        time = datetime(2013, 2, 8, hour, 5, tzinfo=ZONE)
        request = tick(hourly_schedule, time, tmp_path, instance)
        assert isinstance(request, dg.RunRequest) and request.partition_key == "2013-02-08"
    evening = datetime(2013, 2, 9, 4, 5, tzinfo=UTC)  # still the 8th there
    request = tick(hourly_schedule, evening, tmp_path, instance)
    assert isinstance(request, dg.RunRequest) and request.partition_key == "2013-02-08"


def test_an_hour_that_comes_twice_is_two_hours(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    arriving_project(tmp_path / "project", partitions_end="2013-12-31")
    keys = set()
    for fold in (0, 1):
        time = datetime(2013, 11, 3, 1, 5, tzinfo=ZONE, fold=fold)
        request = tick(hourly_schedule, time, tmp_path, instance)
        assert isinstance(request, dg.RunRequest)
        keys.add(request.run_key)
    assert len(keys) == 2


def test_after_the_last_partition_there_is_nothing_to_refresh(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    skipped = tick(hourly_schedule, datetime(2013, 2, 10, 0, 5, tzinfo=ZONE), tmp_path, instance)
    assert isinstance(skipped, dg.SkipReason)
    assert "outside the partitions, 2013-01-11 to 2013-02-09" in str(skipped.skip_message)


def test_a_day_that_is_being_made_is_not_asked_for_again(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    instance.create_run_for_job(
        defs.resolve_job_def("days"),
        status=dg.DagsterRunStatus.STARTED,
        tags={PARTITION_NAME_TAG: "2013-02-08"},
    )
    skipped = tick(hourly_schedule, datetime(2013, 2, 8, 7, 5, tzinfo=ZONE), tmp_path, instance)
    assert isinstance(skipped, dg.SkipReason)
    assert str(skipped.skip_message) == "2013-02-08 is being made"


def test_only_what_makes_days_anew_by_itself_is_on() -> None:
    repository = defs.get_repository_def()
    assert {sensor.name for sensor in repository.sensor_defs} == {
        *("arrivals", "newest_window", "eviction", "daily")
    }
    on = {
        sensor.name
        for sensor in repository.sensor_defs
        if sensor.default_status is dg.DefaultSensorStatus.RUNNING
    }
    assert on == {"arrivals", "newest_window", "eviction"}
    off = dg.DefaultScheduleStatus.STOPPED
    assert all(schedule.default_status is off for schedule in repository.schedule_defs)
