"""When an eviction is asked for: what lies on the disk decides, not what was run before."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner
from dagster._core.storage.tags import RUN_KEY_TAG, SENSOR_NAME_TAG

from stupid_dagster.automation import eviction as eviction_module
from stupid_dagster.automation.eviction import eviction_sensor
from stupid_dagster.automation.in_progress import days_are_being_made
from stupid_dagster.automation.jobs import newest_window_sensor
from stupid_dagster.cli import main
from stupid_dagster.project import Project
from stupid_dagster.stages.evict import (
    leftovers,
    remove_garbage,
)
from stupid_dagster.stores.snapshots import (
    open_snapshot,
    publish,
    snapshot_ids,
)
from tests.automation.evicting import DAYS, ask, evict, run
from tests.ticking import Ticking


def stale_day(project: Project, instance: dg.DagsterInstance) -> Ticking:
    """Make a day that is to be evicted, and one that stays."""
    for day in (DAYS[0], DAYS[4]):
        run(instance, project, "days", day)
    return Ticking(project, instance)


def asked(ticking: Ticking) -> dg.RunRequest:
    (request,) = ticking.tick(eviction_sensor).run_requests or []
    return request


def start(ticking: Ticking, request: dg.RunRequest) -> dg.DagsterRun:
    """Return the run that Dagster's daemon would start for a request."""
    assert request.job_name and request.run_key
    tags = {**request.tags, RUN_KEY_TAG: request.run_key, SENSOR_NAME_TAG: "eviction"}
    return ticking.start(request.job_name, tags)


def test_no_eviction_is_asked_for_while_one_is_at_work_and_a_failed_one_each_hour(
    project: Project, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticking = stale_day(project, instance)
    first = asked(ticking)
    at_work = start(ticking, first)
    assert not days_are_being_made(instance)
    # One step of it: what is left to do is another state.
    project.lake.drop("metrics", DAYS[0])
    told = ticking.tick(eviction_sensor).skip_message
    assert told == f"run {at_work.run_id} of the job `evict` isn't over"
    instance.report_run_failed(at_work)
    second = asked(ticking)
    assert second.run_key != first.run_key

    failed = start(ticking, second)
    instance.report_run_failed(failed)
    told = str(ticking.tick(eviction_sensor).skip_message)
    assert f"run {failed.run_id} of the job `evict` ended and left all as it was (failure)" in told
    assert "asked for again at 2" in told
    monkeypatch.setattr(eviction_module, "_PATIENCE", timedelta(0))
    third = asked(ticking)
    assert third.run_key not in (first.run_key, second.run_key)
    assert any(failed.run_id in line for line in ticking.logged)
    newer = start(ticking, third)
    instance.report_run_failed(newer)
    assert asked(ticking).run_key not in (first.run_key, second.run_key, third.run_key)


def test_a_stale_day_whose_description_is_lost_is_evicted(
    project: Project, instance: dg.DagsterInstance
) -> None:
    ticking = stale_day(project, instance)
    version = project.lake.live("metrics", DAYS[0])
    (project.lake.version_path(version) / "_version.json").unlink()

    assert asked(ticking).job_name == "evict"
    command = ["--root", str(project.settings.root), "evict", "--dry-run"]
    told = CliRunner().invoke(main, command, catch_exceptions=False)
    assert told.exit_code == 0
    lines = [line.split() for line in told.output.splitlines()]
    assert ["metrics", "1", DAYS[0], DAYS[0], "0", "0", "1"] in lines
    assert "unreadable" in told.output
    assert evict(instance, project)["passed"]
    assert not (project.lake.root / "metrics" / DAYS[0]).exists()


def test_a_snapshot_that_nobody_wants_gets_its_grace_without_an_eviction(
    project: Project, instance: dg.DagsterInstance
) -> None:
    run(instance, project, "days", DAYS[4])
    run(instance, project, "window", DAYS[4])
    frugal = replace(project.settings, kept_snapshots=1, garbage_minutes=60)
    old = open_snapshot(project.lake).manifest
    for _ in range(2):  # As publishers that were killed before they collected.
        publish(
            project.lake,
            window=(date.fromisoformat(old.first_day), date.fromisoformat(old.last_day)),
            versions=old.versions,
            event_model=old.event_model,
            event_model_hash=old.event_model_hash,
            embedder_id=old.embedder_id,
            code_version=old.code_version,
        )
    ticking = Ticking(project, instance)
    assert asked(ticking).job_name == "collect_garbage"
    remove_garbage(Project(frugal))
    assert old.id in snapshot_ids(project.lake)
    assert not leftovers(Project(frugal)).unmarked
    run(instance, project, "collect_garbage", None)
    assert old.id not in snapshot_ids(project.lake)
    assert ticking.tick(eviction_sensor).skip_message


def test_a_day_whose_description_is_lost_is_no_anchor(
    project: Project, instance: dg.DagsterInstance
) -> None:
    ticking = stale_day(project, instance)
    version = project.lake.live("documents", DAYS[4])
    (project.lake.version_path(version) / "_version.json").unlink()

    assert project.anchor() == date.fromisoformat(DAYS[0])
    assert ticking.tick(eviction_sensor).skip_message


def test_a_day_that_comes_back_is_evicted_again(
    project: Project, instance: dg.DagsterInstance
) -> None:
    run(instance, project, "days", DAYS[0])
    run(instance, project, "days", DAYS[4])
    first = ask(eviction_sensor, instance, project)
    run(instance, project, "evict", None)
    run(instance, project, "days", DAYS[0])

    second = ask(eviction_sensor, instance, project)

    assert isinstance(first, dg.RunRequest) and isinstance(second, dg.RunRequest)
    assert first.run_key != second.run_key
    run(instance, project, "evict", None)
    run(instance, project, "evict", None)
    assert project.lake.partitions("documents") == [DAYS[4]]


def test_the_newest_window_is_asked_for_when_any_of_its_days_changed(
    project: Project, instance: dg.DagsterInstance
) -> None:
    assert isinstance(ask(newest_window_sensor, instance, project), dg.SkipReason)
    run(instance, project, "days", DAYS[0])
    request = ask(newest_window_sensor, instance, project)
    assert isinstance(request, dg.RunRequest)
    assert request.partition_key == DAYS[0]
    run(instance, project, "window", DAYS[0])
    assert isinstance(ask(newest_window_sensor, instance, project), dg.SkipReason)

    landing = Path(project.settings.landing_location)
    (landing / "Departure" / f"{DAYS[0]}.parquet").unlink()
    run(instance, project, "days", DAYS[0])

    again = ask(newest_window_sensor, instance, project)
    assert isinstance(again, dg.RunRequest)
    assert again.run_key != request.run_key
