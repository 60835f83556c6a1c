"""Evicting days: out of the lake, the snapshot and Dagster's records, with nothing else touched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner
from dagster._core.storage.tags import RUN_KEY_TAG, SENSOR_NAME_TAG

from stupid_dagster.automation import eviction as eviction_module
from stupid_dagster.automation.eviction import audit_all, evict_and_wipe, eviction_sensor
from stupid_dagster.automation.in_progress import days_are_being_made
from stupid_dagster.automation.jobs import newest_window_sensor
from stupid_dagster.automation.resources import ProjectResource
from stupid_dagster.cli import main
from stupid_dagster.dagster_home import ensure_dagster_home
from stupid_dagster.definitions import defs
from stupid_dagster.project import Project
from stupid_dagster.query.reader import SnapshotReader
from stupid_dagster.stages.day import make_documents
from stupid_dagster.stages.evict import (
    eviction_steps,
    leftovers,
    plan_eviction,
    remove_garbage,
)
from stupid_dagster.stores.snapshots import (
    check_files,
    open_snapshot,
    publish,
    read_manifest,
    snapshot_ids,
)
from stupid_dagster.tables import DAY_TABLES, WINDOW_TABLES
from tests.ticking import Ticking

DAYS = [f"2013-02-0{n}" for n in range(4, 9)]


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """Yield an instance as `make` sets it up: its storage can wipe partitions."""
    home = ensure_dagster_home(tmp_path / "dagster_home")
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with dg.DagsterInstance.get() as instance:
        yield instance


@pytest.fixture
def project(own_project: Project) -> Project:
    """Return a project that keeps two windows of three days."""
    config = own_project.settings.root / "stupid.toml"
    config.write_text(
        config.read_text() + "window_days = 3\nkept_windows = 2\ngarbage_minutes = 0\n"
    )
    return Project.load(own_project.settings.root)


def run(
    instance: dg.DagsterInstance, project: Project, job: str, partition: str | None
) -> dg.ExecuteInProcessResult:
    result = defs.resolve_job_def(job).execute_in_process(
        partition_key=partition,
        instance=instance,
        resources={"project": ProjectResource(root=str(project.settings.root))},
    )
    assert result.success
    return result


def evict(instance: dg.DagsterInstance, project: Project) -> dict[str, Any]:
    """Run the job; return the eviction's metadata, with the outcome of the audit's check."""
    result = run(instance, project, "evict", None)
    (check,) = result.get_asset_check_evaluations()
    (made,) = result.asset_materializations_for_node("eviction")
    (audited,) = result.asset_materializations_for_node("audit")
    assert check.check_name == "no_references" and check.severity == dg.AssetCheckSeverity.ERROR
    found: dict[str, Any] = {name: value.value for name, value in audited.metadata.items()}
    assert check.passed == (found["references"] + found["orphans"] == 0)
    assert {"plot", "newest audit", "bytes_on_disk"} <= found.keys()
    metadata = {name: value.value for name, value in made.metadata.items()}
    return metadata | {"passed": check.passed, "told": check.description}


def ask(sensor: dg.SensorDefinition, instance: dg.DagsterInstance, project: Project):
    resource = ProjectResource(root=str(project.settings.root))
    return sensor(dg.build_sensor_context(instance=instance, resources={"project": resource}))


def test_the_oldest_day_leaves_everything_and_shows_as_missing(
    project: Project, instance: dg.DagsterInstance
) -> None:
    for day in DAYS[:4]:
        run(instance, project, "days", day)
    run(instance, project, "window", DAYS[2])
    run(instance, project, "window", DAYS[3])
    assert isinstance(ask(eviction_sensor, instance, project), dg.SkipReason)

    run(instance, project, "days", DAYS[4])
    assert isinstance(ask(eviction_sensor, instance, project), dg.SkipReason)
    run(instance, project, "window", DAYS[4])
    assert isinstance(ask(eviction_sensor, instance, project), dg.RunRequest)
    done = evict(instance, project)

    assert done["passed"], done["told"]
    assert done["horizon"] == DAYS[1]
    # The first day's tables, and the window that ended on the third, with its snapshot.
    assert done["partitions"] == len(DAY_TABLES) + len(WINDOW_TABLES)
    # Manifests are no versions.
    assert done["bytes_before"] - done["bytes_after"] >= done["bytes_removed"] > 0
    assert done["bytes_waiting"] == 0
    assert done["events_wiped"] > done["partitions"]
    for table in DAY_TABLES:
        assert project.lake.partitions(table) == DAYS[1:]
        assert instance.get_materialized_partitions(dg.AssetKey(table)) == set(DAYS[1:])
        assert not list((project.lake.root / table).glob(f"{DAYS[0]}*"))
    # A window goes with the first day that it covers: the third day's began on the first.
    for table in WINDOW_TABLES:
        assert project.lake.partitions(table) == DAYS[3:]
        assert instance.get_materialized_partitions(dg.AssetKey(table)) == set(DAYS[3:])
    assert instance.get_materialized_partitions(dg.AssetKey("snapshot")) == set(DAYS[3:])
    assert isinstance(ask(eviction_sensor, instance, project), dg.SkipReason)
    snapshots = [read_manifest(project.lake, name) for name in snapshot_ids(project.lake)]
    assert [manifest.last_day for manifest in snapshots] == DAYS[3:]
    for manifest in snapshots:
        check_files(project.lake, manifest)


def test_what_is_served_stays_until_a_newer_window_takes_its_place(
    project: Project, instance: dg.DagsterInstance
) -> None:
    run(instance, project, "days", DAYS[0])
    run(instance, project, "window", DAYS[0])
    run(instance, project, "days", DAYS[4])

    assert evict(instance, project)["passed"]
    assert project.lake.partitions("documents") == [DAYS[0], DAYS[4]]

    # By hand the days go; what was computed of them is served until there is something newer.
    eviction = plan_eviction(project, date.fromisoformat(DAYS[4]))
    assert eviction is not None
    evict_and_wipe(project, instance, eviction)
    manifest = open_snapshot(project.lake).manifest
    assert project.lake.partitions("documents") == [DAYS[4]]
    assert (manifest.days, manifest.last_day) == ([], DAYS[0])
    check_files(project.lake, manifest)
    with SnapshotReader(project, open_snapshot(project.lake)) as reader:
        assert reader.search("cancelled flight", limit=1).height == 1
    request = ask(newest_window_sensor, instance, project)
    assert isinstance(request, dg.RunRequest)
    assert request.partition_key == DAYS[4]

    # The audit says so until the newest window is made, and the old one is evicted.
    done = evict(instance, project)
    assert not done["passed"]
    assert f"published window ending on {DAYS[0]} was made of days" in done["told"]
    assert not list((project.lake.root / "documents").glob(DAYS[0]))
    run(instance, project, "window", DAYS[4])
    assert isinstance(ask(eviction_sensor, instance, project), dg.RunRequest)
    done = evict(instance, project)
    assert done["passed"], done["told"]
    assert project.lake.partitions("catalog") == [DAYS[4]]


def test_an_eviction_that_was_killed_between_lake_and_records_is_finished(
    project: Project, instance: dg.DagsterInstance
) -> None:
    run(instance, project, "days", DAYS[0])
    run(instance, project, "days", DAYS[4])
    eviction = plan_eviction(project)
    assert eviction is not None
    assert [*eviction_steps(project, eviction)]
    assert DAYS[0] in instance.get_materialized_partitions(dg.AssetKey("documents"))

    assert isinstance(ask(eviction_sensor, instance, project), dg.RunRequest)
    run(instance, project, "evict", None)

    assert instance.get_materialized_partitions(dg.AssetKey("documents")) == {DAYS[4]}
    assert isinstance(ask(eviction_sensor, instance, project), dg.SkipReason)


def test_files_whose_grace_was_not_over_go_with_a_later_run(
    project: Project, instance: dg.DagsterInstance
) -> None:
    run(instance, project, "days", DAYS[0])
    run(instance, project, "days", DAYS[4])
    patient = Project(replace(project.settings, garbage_minutes=60))
    eviction = plan_eviction(patient)
    assert eviction is not None
    done = evict_and_wipe(patient, instance, eviction)
    assert done.garbage.versions == 0
    assert done.pending > 10_000
    assert list((project.lake.root / "documents").glob(DAYS[0]))

    # No audit of all stores for the sake of files.
    request = ask(eviction_sensor, instance, project)
    assert isinstance(request, dg.RunRequest) and request.job_name == "collect_garbage"
    run(instance, project, "collect_garbage", None)
    assert isinstance(ask(eviction_sensor, instance, project), dg.SkipReason)

    assert not list((project.lake.root / "documents").glob(DAYS[0]))


def test_several_stale_days_are_one_run_and_their_record_alone_is_a_reference(
    project: Project, instance: dg.DagsterInstance
) -> None:
    for day in (DAYS[0], "2013-01-20", DAYS[4]):
        run(instance, project, "days", day)

    assert isinstance(ask(eviction_sensor, instance, project), dg.RunRequest)
    done = evict(instance, project)

    assert (done["partitions"], done["passed"]) == (2 * len(DAY_TABLES), True)
    assert isinstance(ask(eviction_sensor, instance, project), dg.SkipReason)
    instance.report_runless_asset_event(
        dg.AssetMaterialization(asset_key="texts", partition=DAYS[0])
    )
    eviction = plan_eviction(project)
    assert eviction and not eviction.stale
    found = audit_all(project, instance, eviction)
    assert [(f.store, f.table, f.references) for f in found.guilty] == [("dagster", "texts", 1)]
    done = evict(instance, project)
    assert (done["partitions"], done["events_wiped"], done["passed"]) == (0, 1, True)
    # Nothing is left to do, but for what the last audit has replaced.
    assert isinstance(ask(eviction_sensor, instance, project), dg.SkipReason)
    done = evict(instance, project)
    assert (done["partitions"], done["versions_removed"], done["events_wiped"]) == (0, 1, 0)
    assert isinstance(ask(eviction_sensor, instance, project), dg.SkipReason)


def test_a_day_without_events_does_not_move_the_window(
    project: Project, instance: dg.DagsterInstance
) -> None:
    run(instance, project, "days", DAYS[0])
    run(instance, project, "days", "2013-01-20")
    landing = Path(project.settings.landing_location)
    for file in landing.glob(f"*/{DAYS[4]}.parquet"):
        file.unlink()
    run(instance, project, "days", DAYS[4])
    assert project.lake.live("documents", DAYS[4]).rows == 0

    assert project.anchor() == date.fromisoformat(DAYS[0])


def test_a_day_that_is_only_half_made_anew_is_left_out_of_the_window(
    project: Project, instance: dg.DagsterInstance
) -> None:
    for day in DAYS[:2]:
        run(instance, project, "days", day)
    run(instance, project, "window", DAYS[1])
    landing = Path(project.settings.landing_location)
    (landing / "Departure" / f"{DAYS[1]}.parquet").unlink()

    make_documents(project, DAYS[1])

    assert project.window_days(date.fromisoformat(DAYS[1])) == DAYS[:1]
    run(instance, project, "days", DAYS[1])
    assert project.window_days(date.fromisoformat(DAYS[1])) == DAYS[:2]


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
