"""Evicting days: out of the lake, the snapshot and Dagster's records, with nothing else touched."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from stupid_dagster.automation.eviction import eviction_sensor
from stupid_dagster.automation.jobs import newest_window_sensor
from stupid_dagster.automation.resources import ProjectResource
from stupid_dagster.dagster_home import ensure_dagster_home
from stupid_dagster.definitions import defs
from stupid_dagster.project import Project
from stupid_dagster.stages.evict import plan_eviction
from stupid_dagster.stores.snapshots import check_files, open_snapshot, snapshot_ids
from stupid_dagster.tables import DAY_TABLES, WINDOW_TABLES

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


def run(instance: dg.DagsterInstance, project: Project, job: str, partition: str | None) -> None:
    result = defs.resolve_job_def(job).execute_in_process(
        partition_key=partition,
        instance=instance,
        resources={"project": ProjectResource(root=str(project.settings.root))},
    )
    assert result.success


def ask(sensor: dg.SensorDefinition, instance: dg.DagsterInstance, project: Project):
    resource = ProjectResource(root=str(project.settings.root))
    return sensor(dg.build_sensor_context(instance=instance, resources={"project": resource}))


def test_the_oldest_day_leaves_everything_and_shows_as_missing(
    project: Project, instance: dg.DagsterInstance
) -> None:
    for day in DAYS[:4]:
        run(instance, project, "days", day)
    run(instance, project, "window", DAYS[3])
    assert isinstance(ask(eviction_sensor, instance, project), dg.SkipReason)

    run(instance, project, "days", DAYS[4])
    request = ask(eviction_sensor, instance, project)
    assert isinstance(request, dg.RunRequest)
    run(instance, project, "evict", None)

    for table in DAY_TABLES:
        assert project.lake.partitions(table) == DAYS[1:]
        assert instance.get_materialized_partitions(dg.AssetKey(table)) == set(DAYS[1:])
        assert not list((project.lake.root / table).glob(f"{DAYS[0]}*"))
    # The window that ends on the fourth day is kept: it begins on the second.
    for table in WINDOW_TABLES:
        assert project.lake.partitions(table) == [DAYS[3]]
    assert isinstance(ask(eviction_sensor, instance, project), dg.SkipReason)
    snapshot = open_snapshot(project.lake)
    check_files(project.lake, snapshot.manifest)
    assert snapshot.manifest.days == DAYS[1:4]


def test_windows_go_with_the_first_day_that_they_cover(
    project: Project, instance: dg.DagsterInstance
) -> None:
    for day in DAYS[:4]:
        run(instance, project, "days", day)
        if day in DAYS[2:4]:
            run(instance, project, "window", day)
    run(instance, project, "days", DAYS[4])
    published = open_snapshot(project.lake).manifest.id

    eviction = plan_eviction(project)
    assert eviction is not None
    assert {table: eviction.stale[table] for table in ("documents", "pagerank")} == {
        "documents": [DAYS[0]],
        "pagerank": [DAYS[2]],
    }
    run(instance, project, "evict", None)

    for table in WINDOW_TABLES:
        assert project.lake.partitions(table) == [DAYS[3]]
        assert instance.get_materialized_partitions(dg.AssetKey(table)) == {DAYS[3]}
    # The snapshot that cited the evicted day is gone; the published one never did.
    assert snapshot_ids(project.lake) == [published]


def test_a_published_window_that_covers_an_evicted_day_is_published_without_it(
    project: Project, instance: dg.DagsterInstance
) -> None:
    for day in DAYS[:3]:
        run(instance, project, "days", day)
    run(instance, project, "window", DAYS[2])
    run(instance, project, "days", DAYS[4])

    run(instance, project, "evict", None)

    manifest = open_snapshot(project.lake).manifest
    assert manifest.days == DAYS[1:3]
    assert DAYS[0] not in {p for found in manifest.versions.values() for p in found}
    check_files(project.lake, manifest)


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

    landing = project.settings.path(project.settings.landing)
    (landing / "Departure" / f"{DAYS[0]}.parquet").unlink()
    run(instance, project, "days", DAYS[0])

    again = ask(newest_window_sensor, instance, project)
    assert isinstance(again, dg.RunRequest)
    assert again.run_key != request.run_key
