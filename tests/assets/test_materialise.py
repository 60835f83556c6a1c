"""Days and windows, materialised by Dagster on a temporary instance."""

from __future__ import annotations

import json
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from stupid_dagster.automation.resources import ProjectResource
from stupid_dagster.definitions import defs
from stupid_dagster.project import Project
from stupid_dagster.stores.snapshots import open_snapshot, snapshot_ids
from stupid_dagster.tables import DAY_TABLES, WINDOW_TABLES

FIRST, LAST = "2013-02-07", "2013-02-08"


@pytest.fixture(scope="module")
def made(
    module_project: Project, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Project, dg.DagsterInstance]:
    instance = dg.DagsterInstance.ephemeral(tempdir=str(tmp_path_factory.mktemp("instance")))
    run_range(instance, module_project, FIRST, LAST)
    run(instance, module_project, "window", LAST)
    return module_project, instance


def resources(project: Project) -> dict[str, ProjectResource]:
    return {"project": ProjectResource(root=str(project.settings.root))}


def run(instance: dg.DagsterInstance, project: Project, job: str, partition: str) -> None:
    result = defs.resolve_job_def(job).execute_in_process(
        partition_key=partition, instance=instance, resources=resources(project)
    )
    assert result.success


def run_range(instance: dg.DagsterInstance, project: Project, first: str, last: str) -> None:
    """Materialise several days in one run, as a backfill does."""
    result = defs.resolve_job_def("days").execute_in_process(
        instance=instance,
        resources=resources(project),
        tags={
            "dagster/asset_partition_range_start": first,
            "dagster/asset_partition_range_end": last,
        },
    )
    assert result.success


def test_a_run_over_a_range_makes_each_day_apart(
    made: tuple[Project, dg.DagsterInstance],
) -> None:
    project, instance = made

    for table in DAY_TABLES:
        assert instance.get_materialized_partitions(dg.AssetKey(table)) == {FIRST, LAST}
        assert project.lake.partitions(table) == [FIRST, LAST]


def test_each_partition_tells_its_own_rows(made: tuple[Project, dg.DagsterInstance]) -> None:
    project, instance = made

    for day in (FIRST, LAST):
        for table in DAY_TABLES:
            records = instance.fetch_materializations(
                dg.AssetRecordsFilter(dg.AssetKey(table), asset_partitions=[day]), limit=1
            ).records
            assert records[0].asset_materialization
            metadata = records[0].asset_materialization.metadata
            rows = project.lake.live(table, day).rows
            assert metadata["dagster/partition_row_count"].value == rows


def test_checks_are_recorded_by_day(made: tuple[Project, dg.DagsterInstance]) -> None:
    _, instance = made

    for check in ("few_rejects", "schema"):
        key = dg.AssetCheckKey(dg.AssetKey("documents"), check)
        found = instance.event_log_storage.get_asset_check_execution_history(key, limit=10)
        evaluations = [record.event.asset_check_evaluation for record in found if record.event]
        assert {e.partition for e in evaluations if e} == {FIRST, LAST}
        assert all(e.passed for e in evaluations if e)


def test_a_window_is_made_of_the_days_there_are_and_published(
    made: tuple[Project, dg.DagsterInstance],
) -> None:
    project, instance = made

    for table in (*WINDOW_TABLES, "snapshot"):
        assert instance.get_materialized_partitions(dg.AssetKey(table)) == {LAST}
    manifest = open_snapshot(project.lake).manifest
    assert manifest.days == [FIRST, LAST]
    assert set(manifest.versions) == {*DAY_TABLES, *WINDOW_TABLES}
    catalog = json.loads((open_snapshot(project.lake).path("catalog") / "catalog.json").read_text())
    assert catalog["events"]["Cancellation"]["documents"] == 4 + 472


def test_the_same_day_made_again_keeps_its_versions_and_row_counts(
    made: tuple[Project, dg.DagsterInstance],
) -> None:
    project, instance = made
    before = {table: project.lake.live(table, LAST).name for table in DAY_TABLES}
    snapshots = snapshot_ids(project.lake)

    run(instance, project, "days", LAST)
    run(instance, project, "window", LAST)

    assert {table: project.lake.live(table, LAST).name for table in DAY_TABLES} == before
    assert len(snapshot_ids(project.lake)) == len(snapshots) + 1


def test_a_day_without_events_is_materialised_empty(
    made: tuple[Project, dg.DagsterInstance],
) -> None:
    project, instance = made

    run(instance, project, "days", "2013-01-20")

    assert project.lake.live("documents", "2013-01-20").rows == 0
    assert project.lake.read("texts", "2013-01-20").is_empty()


def test_bad_files_warn_or_fail_the_check_and_the_good_rows_go_on(
    own_project: Project, tmp_path: Path
) -> None:
    landing = Path(own_project.settings.landing_location)
    good = pl.read_parquet(landing / "Departure" / f"{LAST}.parquet").height
    (landing / "Cancellation" / f"{LAST}.parquet").write_bytes(b"PAR1 but no more")
    (tmp_path / "instance").mkdir()
    with dg.DagsterInstance.ephemeral(tempdir=str(tmp_path / "instance")) as instance:
        run(instance, own_project, "days", LAST)

        key = dg.AssetCheckKey(dg.AssetKey("documents"), "few_rejects")
        record = instance.event_log_storage.get_asset_check_execution_history(key, limit=1)[0]
        assert record.event and record.event.asset_check_evaluation
        evaluation = record.event.asset_check_evaluation
        assert not evaluation.passed
        assert evaluation.severity == dg.AssetCheckSeverity.ERROR
    documents = own_project.lake.read("documents", LAST)
    assert documents.filter(event_type="Departure").height == good
    rejects = own_project.lake.read("rejects", LAST)
    assert rejects["scope"].to_list() == ["file"]
    assert "can't be read" in rejects["reason"][0]
