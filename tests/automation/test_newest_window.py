"""The sensor `newest_window`: one window for however many days, and none that failed for ever."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.remote_origin import (
    InProcessCodeLocationOrigin,
    RemotePartitionSetOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.storage.tags import PARTITION_NAME_TAG, RUN_KEY_TAG, SENSOR_NAME_TAG
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from stupid_dagster.automation.arrivals import arrivals_sensor
from stupid_dagster.automation.jobs import (
    day_versions,
    newest_window_sensor,
    published_day_versions,
)
from stupid_dagster.errors import SettingsError
from stupid_dagster.project import Project
from stupid_dagster.stages.evict import evict, plan_eviction
from stupid_dagster.stores.snapshots import open_snapshot
from tests.arriving import DAYS, arriving_project, drop
from tests.pipeline import make_day, make_window
from tests.ticking import Ticking


@pytest.fixture
def ticking(tmp_path: Path) -> Iterator[Ticking]:
    with dg.DagsterInstance.ephemeral(tempdir=str(tmp_path)) as instance:
        yield Ticking(arriving_project(tmp_path / "project"), instance)


def make(ticking: Ticking, day: str, rows: int = 3) -> None:
    """Make a day of so many events."""
    drop(ticking.project, day, [day], rows)
    assert ticking.run(dg.RunRequest(partition_key=day))


def asked(ticking: Ticking) -> list[dg.RunRequest]:
    return list(ticking.tick(newest_window_sensor).run_requests or [])


def stale_days(ticking: Ticking) -> list[str | None]:
    """Return the days that `arrivals` asks for."""
    return [r.partition_key for r in ticking.tick(arrivals_sensor).run_requests or []]


def skipped(ticking: Ticking) -> str:
    return str(ticking.tick(newest_window_sensor).skip_message)


def start(ticking: Ticking, request: dg.RunRequest) -> dg.DagsterRun:
    """Return the run that Dagster's daemon would start for a request."""
    tags = {
        RUN_KEY_TAG: str(request.run_key),
        SENSOR_NAME_TAG: newest_window_sensor.name,
        PARTITION_NAME_TAG: str(request.partition_key),
    }
    return ticking.start("window", tags)


def backfill_of_days(days: list[str]) -> PartitionBackfill:
    """Return a backfill of the job `days` as the UI launches it, not begun."""
    location = InProcessCodeLocationOrigin(
        LoadableTargetOrigin(module_name="stupid_dagster.definitions"),
        container_image=None,
        entry_point=None,
        container_context=None,
        location_name="stupid_dagster",
    )
    repository = RemoteRepositoryOrigin(
        code_location_origin=location, repository_name="__repository__"
    )
    return PartitionBackfill(
        backfill_id="by hand",
        status=BulkActionStatus.REQUESTED,
        from_failure=False,
        tags={},
        backfill_timestamp=time.time(),
        partition_set_origin=RemotePartitionSetOrigin(
            repository_origin=repository, partition_set_name="days_partition_set"
        ),
        partition_names=days,
        last_submitted_partition_name=None,
        reexecution_steps=None,
    )


def test_a_backfill_of_days_ends_with_one_window(ticking: Ticking) -> None:
    backfill = backfill_of_days(DAYS)
    ticking.instance.add_backfill(backfill)
    for day in DAYS:
        assert skipped(ticking) == "days are being made"
        make(ticking, day)
    assert skipped(ticking) == "days are being made"
    ticking.instance.update_backfill(backfill.with_status(BulkActionStatus.COMPLETED_SUCCESS))
    (request,) = asked(ticking)
    assert request.partition_key == DAYS[-1]

    run = start(ticking, request)
    told = f"the window ending on {DAYS[-1]} is being made by run {run.run_id}"
    assert skipped(ticking) == told
    # What changes meanwhile doesn't get a window beside it, but the next.
    make(ticking, DAYS[-1], rows=4)
    assert skipped(ticking) == told
    ticking.instance.report_run_failed(run)
    (again,) = asked(ticking)
    assert again.run_key != request.run_key


def test_a_window_that_failed_is_told_and_asked_for_when_a_day_changes(ticking: Ticking) -> None:
    make(ticking, DAYS[0])
    (request,) = asked(ticking)
    run = start(ticking, request)
    ticking.instance.report_run_failed(run)
    for _ in range(2):
        told = skipped(ticking)
        assert f"run {run.run_id} ended without publishing it (failure)" in told
        assert f"launch the job `window` for {DAYS[0]}" in told

    make(ticking, DAYS[0], rows=4)
    (again,) = asked(ticking)
    assert again.run_key != request.run_key
    # Launched again by somebody, with the same tags: the newer run counts.
    ticking.instance.report_run_failed(start(ticking, again))
    newer = start(ticking, again)
    assert skipped(ticking).endswith(f"is being made by run {newer.run_id}")


def test_a_day_with_a_damaged_byte_is_left_out_once_and_asked_for(ticking: Ticking) -> None:
    lake = ticking.project.lake
    for day in DAYS[:2]:
        drop(ticking.project, day, [day])
        make_day(ticking.project, day)
    make_window(ticking.project, DAYS[1])
    folder = lake.version_path(lake.live("metrics", DAYS[0]))
    damage = bytearray((folder / "part.parquet").read_bytes())
    damage[len(damage) // 2] ^= 1
    (folder / "part.parquet").write_bytes(damage)
    drop(ticking.project, DAYS[1], [DAYS[1]], 5)
    make_day(ticking.project, DAYS[1])

    assert len(asked(ticking)) == 1
    make_window(ticking.project, DAYS[1])

    assert open_snapshot(lake).manifest.days == [DAYS[1]]
    assert "up to date" in skipped(ticking)
    assert stale_days(ticking) == DAYS[:1]
    make_day(ticking.project, DAYS[0])
    assert not stale_days(ticking)
    make_window(ticking.project, DAYS[1])
    assert open_snapshot(lake).manifest.days == DAYS[:2]


def test_days_that_were_evicted_by_hand_don_t_come_back(ticking: Ticking) -> None:
    settings = replace(ticking.project.settings, window_days=3, kept_windows=2, garbage_minutes=0.0)
    project = Project(settings)
    for day in DAYS[:4]:
        drop(project, day, [day])
        make_day(project, day)
    make_window(project, DAYS[3])
    later = date.fromisoformat(DAYS[3]) + timedelta(days=2)
    eviction = plan_eviction(project, later)
    assert eviction is not None and eviction.horizon.isoformat() == DAYS[2]
    evict(project, eviction)

    assert project.lake.partitions("documents") == DAYS[2:4]
    assert not stale_days(ticking)
    # What was computed of them is served no longer than it takes to make the window again.
    assert published_day_versions(project, date.fromisoformat(DAYS[3])) != day_versions(
        project, date.fromisoformat(DAYS[3])
    )
    with pytest.raises(SettingsError, match="none would be left"):
        plan_eviction(project, date(2099, 1, 1))
