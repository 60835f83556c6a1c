from concurrent.futures import ThreadPoolExecutor

import dagster as dg
import pytest
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable

from stupid_dagster.errors import InstanceError
from stupid_dagster.instance import WipeableSqliteStorage, sqlite, wipe_partitions
from tests.instance.days import DEFS, DOCUMENTS, EDGES, FIRST_DAYS, index_rows, run_config

ON_SQLITE = pytest.mark.parametrize("copies", ["sqlite"], indirect=True)


@ON_SQLITE
def test_results_of_checks_leave_the_index(instance):
    wipe_partitions(instance, [DOCUMENTS, EDGES], FIRST_DAYS[:1])
    kinds = index_rows(instance, SqlEventLogStorageTable.c.dagster_event_type)
    assert kinds.count(("ASSET_CHECK_EVALUATION",)) == 2


@ON_SQLITE
def test_a_check_planned_for_several_partitions_goes_with_the_last_of_them(instance):
    # In a run over a range one event plans the check for all days; without results, all cite it.
    start, end = "2013-01-04", "2013-01-05"
    DEFS.resolve_job_def("days").execute_in_process(
        tags={
            "dagster/asset_partition_range_start": start,
            "dagster/asset_partition_range_end": end,
        },
        instance=instance,
        raise_on_error=False,
        run_config=run_config(fails=True),
    )

    def planned() -> int:
        kinds = index_rows(instance, SqlEventLogStorageTable.c.dagster_event_type)
        return kinds.count(("ASSET_CHECK_EVALUATION_PLANNED",))

    before = planned()
    wipe_partitions(instance, [DOCUMENTS], [start])
    assert planned() == before
    wipe_partitions(instance, [DOCUMENTS], [end])
    assert planned() == before - 1


@ON_SQLITE
def test_connections_of_old_runs_are_closed(instance):
    storage = instance.event_log_storage
    for run in instance.get_runs():
        assert storage.get_logs_for_run(run.run_id)
    for n in range(4):
        storage.get_logs_for_run(f"run-{n}")
    assert len(storage._engines) <= sqlite._OPEN_RUN_SHARDS + 1
    assert instance.get_materialized_partitions(DOCUMENTS) == set(FIRST_DAYS)
    instance.dispose()
    assert not storage._engines


def test_several_that_make_the_same_files_at_once(tmp_path):
    def make(n: int) -> None:
        storage = WipeableSqliteStorage.from_local(str(tmp_path))
        storage.event_log_storage.store_event(
            dg.EventLogEntry(
                error_info=None, level=20, user_message=str(n), run_id="run", timestamp=float(n)
            )
        )
        storage.dispose()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(make, range(4)))
    storage = WipeableSqliteStorage.from_local(str(tmp_path))
    logs = storage.event_log_storage.get_logs_for_run("run")
    assert sorted(log.user_message for log in logs) == [str(n) for n in range(4)]
    storage.dispose()


@pytest.mark.parametrize("version", ["1.12.9", "1.14.0", "2.0.0"])
def test_an_untested_dagster_is_refused(tmp_path, monkeypatch, version):
    monkeypatch.setattr(dg, "__version__", version)
    with pytest.raises(InstanceError, match=rf"1\.13.*{version}"):
        WipeableSqliteStorage.from_local(str(tmp_path))


def test_the_installed_dagster_is_tested(tmp_path):
    storage = WipeableSqliteStorage.from_local(str(tmp_path)).event_log_storage
    assert storage.all_asset_keys() == []
    storage.dispose()
