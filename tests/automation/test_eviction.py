"""Evicting days: out of the lake, the snapshot and Dagster's records, with nothing else touched."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from stupid_dagster.automation.eviction import audit_all, evict_and_wipe, eviction_sensor
from stupid_dagster.automation.jobs import newest_window_sensor
from stupid_dagster.project import Project
from stupid_dagster.query.reader import SnapshotReader
from stupid_dagster.stages.day import make_documents
from stupid_dagster.stages.evict import (
    eviction_steps,
    plan_eviction,
)
from stupid_dagster.stores.snapshots import (
    check_files,
    open_snapshot,
    read_manifest,
    snapshot_ids,
)
from stupid_dagster.tables import DAY_TABLES, WINDOW_TABLES
from tests.automation.evicting import DAYS, ask, evict, run


@pytest.mark.slow
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
