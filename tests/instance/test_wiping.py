import threading

import dagster as dg
import pytest
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    AssetEventTagsTable,
    AssetKeyTable,
    SqlEventLogStorageTable,
)

from stupid_dagster.errors import InstanceError
from stupid_dagster.instance import wipe_partitions
from tests.instance.days import (
    CHECK,
    DOCUMENTS,
    EDGES,
    FIRST_DAYS,
    index_rows,
    ranges,
    run_day,
    ui,
)


def test_a_wiped_partition_is_missing_in_the_ui_and_the_others_stay(instance):
    # The question before is also what a cache would keep the answer of.
    assert ranges(ui(instance)["documents"]["assetPartitionStatuses"]) == [
        ("01", "03", "MATERIALIZED")
    ]

    removed = wipe_partitions(instance, [DOCUMENTS, EDGES], FIRST_DAYS[:1])

    # Planned and materialised; for documents also an observation, and a check's result.
    assert removed == {"documents": 4, "edges": 2}
    shown = ui(instance)
    for node in shown.values():
        assert ranges(node["assetPartitionStatuses"]) == [("02", "03", "MATERIALIZED")]
        assert node["partitionStats"] == {"numMaterialized": 2, "numFailed": 0}
        assert {m["partition"] for m in node["assetMaterializations"]} == set(FIRST_DAYS[1:])
    checks = shown["documents"]["assetChecksOrError"]["checks"]
    assert ranges(checks[0]["partitionStatuses"]) == [("02", "03", "SUCCEEDED")]


def test_nothing_in_the_index_is_left_of_a_wiped_partition(instance):
    wipe_partitions(instance, [DOCUMENTS, EDGES], FIRST_DAYS[:1])
    for key in (DOCUMENTS, EDGES):
        assert instance.get_materialized_partitions(key) == set(FIRST_DAYS[1:])
    observations = instance.fetch_observations(DOCUMENTS, limit=9).records
    assert {record.partition_key for record in observations} == set(FIRST_DAYS[1:])
    history = instance.event_log_storage.get_asset_check_execution_history(CHECK.key, limit=9)
    assert {record.partition for record in history} == set(FIRST_DAYS[1:])
    events = SqlEventLogStorageTable.c
    rows = index_rows(instance, events.id, events.partition)
    assert {partition for _, partition in rows} == {*FIRST_DAYS[1:], None}
    ids = {event_id for event_id, _ in rows}
    tagged = {event_id for (event_id,) in index_rows(instance, AssetEventTagsTable.c.event_id)}
    assert tagged and tagged <= ids


def test_the_logs_of_the_runs_stay_whole(instance):
    def logs() -> dict[str, list[dg.EventLogEntry]]:
        storage = instance.event_log_storage
        return {run.run_id: storage.get_logs_for_run(run.run_id) for run in instance.get_runs()}

    before = logs()
    assert min(map(len, before.values())) > 10
    wipe_partitions(instance, [DOCUMENTS, EDGES], FIRST_DAYS)
    assert logs() == before


def test_a_wipe_that_fails_changes_nothing(instance, monkeypatch):
    def fail(*_arguments: object) -> None:
        raise OSError("no connection")

    tables = (
        SqlEventLogStorageTable,
        AssetKeyTable,
        AssetEventTagsTable,
        AssetCheckExecutionsTable,
    )
    before = [sorted(index_rows(instance, table), key=str) for table in tables]
    with monkeypatch.context() as patch, pytest.raises(OSError, match="no connection"):
        patch.setattr(instance.event_log_storage, "_restore_summary", fail)
        wipe_partitions(instance, [DOCUMENTS], FIRST_DAYS[:1])
    assert [sorted(index_rows(instance, table), key=str) for table in tables] == before


@pytest.mark.parametrize(
    "wiped, newest", [("2013-01-03", "2013-01-02"), ("2013-01-01", "2013-01-03")]
)
def test_the_assets_record_has_the_newest_materialisation_that_is_left(instance, wiped, newest):
    wipe_partitions(instance, [DOCUMENTS], [wiped])
    (record,) = instance.get_asset_records([DOCUMENTS])
    latest = instance.get_latest_materialization_event(DOCUMENTS)
    (fetched,) = instance.fetch_materializations(DOCUMENTS, limit=1).records
    assert latest is not None and latest.asset_materialization is not None
    assert latest.asset_materialization.partition == newest
    assert record.asset_entry.last_materialization == latest == fetched.event_log_entry
    assert record.asset_entry.last_materialization_storage_id == fetched.storage_id
    assert record.asset_entry.last_run_id == latest.run_id


def test_an_asset_that_lost_all_partitions_can_come_back(instance):
    wipe_partitions(instance, [DOCUMENTS], FIRST_DAYS)
    assert instance.get_latest_materialization_event(DOCUMENTS) is None
    assert ranges(ui(instance)["documents"]["assetPartitionStatuses"]) == []
    run_day(instance, "2013-01-02")
    assert ranges(ui(instance)["documents"]["assetPartitionStatuses"]) == [
        ("02", "02", "MATERIALIZED")
    ]


def test_a_failed_partition_is_missing_after_wiping(instance):
    run_day(instance, "2013-01-04", fails=True)
    assert ranges(ui(instance)["documents"]["assetPartitionStatuses"]) == [
        ("01", "03", "MATERIALIZED"),
        ("04", "04", "FAILED"),
    ]
    assert wipe_partitions(instance, [DOCUMENTS], ["2013-01-04"])["documents"] > 0
    node = ui(instance)["documents"]
    assert ranges(node["assetPartitionStatuses"]) == [("01", "03", "MATERIALIZED")]
    checks = node["assetChecksOrError"]["checks"]
    assert ranges(checks[0]["partitionStatuses"]) == [("01", "03", "SUCCEEDED")]


def test_wiping_again_changes_nothing(instance):
    # An asset that is named twice is counted once.
    assert wipe_partitions(instance, [DOCUMENTS] * 2, FIRST_DAYS[:1]) == {"documents": 4}
    rows = index_rows(instance, SqlEventLogStorageTable)
    assert wipe_partitions(instance, [DOCUMENTS], FIRST_DAYS[:1]) == {"documents": 0}
    assert wipe_partitions(instance, [dg.AssetKey(["never", "was"])], ["x"]) == {"never/was": 0}
    assert wipe_partitions(instance, [DOCUMENTS], []) == {"documents": 0}
    assert index_rows(instance, SqlEventLogStorageTable) == rows


def test_event_ids_are_never_used_twice(instance):
    storage = instance.event_log_storage
    instance.report_runless_asset_event(dg.AssetMaterialization("edges", partition="2013-01-04"))
    newest = storage.get_maximum_record_id()
    storage.wipe_asset_partitions(EDGES, ["2013-01-04"])
    instance.report_runless_asset_event(dg.AssetMaterialization("edges", partition="2013-01-05"))
    (record,) = instance.fetch_materializations(EDGES, limit=1).records
    assert record.partition_key == "2013-01-05"
    assert newest is not None and record.storage_id > newest


def test_what_others_write_is_seen(instance):
    # Connections are kept open; they mustn't keep an old state of the file.
    with dg.DagsterInstance.get() as other:
        assert other.event_log_storage is not instance.event_log_storage
        assert instance.get_materialized_partitions(DOCUMENTS) == set(FIRST_DAYS)
        wipe_partitions(other, [DOCUMENTS], FIRST_DAYS[:2])
        assert instance.get_materialized_partitions(DOCUMENTS) == set(FIRST_DAYS[2:])
        run_day(instance, "2013-01-04")
        assert other.get_materialized_partitions(DOCUMENTS) == {FIRST_DAYS[2], "2013-01-04"}


def test_wiping_and_running_in_several_threads(instance):
    days = [f"2013-01-0{n}" for n in range(4, 8)]

    def come_and_go(day: str) -> None:
        for _ in range(5):
            event = dg.AssetMaterialization("edges", partition=day)
            instance.report_runless_asset_event(event)
            assert wipe_partitions(instance, [EDGES], [day]) == {"edges": 1}
        instance.report_runless_asset_event(event)
        done.append(day)

    done: list[str] = []
    threads = [threading.Thread(target=come_and_go, args=(day,)) for day in days]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == days
    assert instance.get_materialized_partitions(EDGES) == {*FIRST_DAYS, *days}


def test_the_log_of_a_running_run_is_followed_live(instance):
    (run,) = instance.get_runs(limit=1)
    seen = threading.Event()

    def follow(event: dg.EventLogEntry, _cursor: str) -> None:
        if event.message == "one more":
            seen.set()

    instance.watch_event_logs(run.run_id, None, follow)
    try:
        instance.report_engine_event("one more", run)
        assert seen.wait(10)
    finally:
        instance.end_watch_event_logs(run.run_id, follow)


def test_a_whole_asset_and_the_whole_log_can_still_be_wiped(instance):
    instance.wipe_assets([EDGES])
    assert instance.get_materialized_partitions(EDGES) == set()
    assert instance.get_materialized_partitions(DOCUMENTS) == set(FIRST_DAYS)
    instance.event_log_storage.wipe()
    assert instance.get_materialized_partitions(DOCUMENTS) == set()
    run_day(instance, "2013-01-02")
    assert instance.get_materialized_partitions(DOCUMENTS) == {"2013-01-02"}


def test_another_storage_is_refused_with_what_to_do():
    with dg.DagsterInstance.ephemeral() as instance, pytest.raises(InstanceError) as error:
        wipe_partitions(instance, [DOCUMENTS], FIRST_DAYS)
    assert "InMemoryEventLogStorage" in str(error.value)
    assert "`storage:`" in str(error.value)
