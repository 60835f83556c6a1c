import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import ExitStack
from importlib import import_module

import dagster as dg
import pytest
import sqlalchemy as sa
import yaml
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.config import PostgresStorageConfigDb
from dagster._core.storage.event_log.migration import ASSET_KEY_INDEX_COLS
from dagster._core.storage.event_log.schema import AssetEventTagsTable, SqlEventLogStorageTable
from dagster._serdes import deserialize_value

from stupid_dagster.errors import InstanceError
from stupid_dagster.instance import wipe_partitions
from stupid_dagster.instance.postgres import WipeablePostgresEventLog, WipeablePostgresStorage
from tests.instance.days import DOCUMENTS, EDGES, FIRST_DAYS, index_rows
from tests.instance.servers import USER, PostgresServer

ON_POSTGRES = pytest.mark.parametrize("copies", ["postgres"], indirect=True)


@pytest.fixture
def other(instance: dg.DagsterInstance) -> Iterator[dg.DagsterInstance]:
    """Another process's instance of the same history."""
    ref = deserialize_value(dg.serialize_value(instance.get_ref()), InstanceRef)
    with dg.DagsterInstance.from_ref(ref) as other:
        yield other


@pytest.fixture
def database(postgres: PostgresServer) -> str:
    """The URL of an empty database."""
    return postgres.url(postgres.new_database())


def materialise(instance: dg.DagsterInstance, partition: str, asset: str = "edges") -> None:
    tags = {"dagster/data_version": "1"}  # in a table of its own
    instance.report_runless_asset_event(
        dg.AssetMaterialization(asset, partition=partition, tags=tags)
    )


def newest(instance: dg.DagsterInstance) -> str | None:
    """The partition of the newest materialisation, which its summary and the log agree on."""
    (record,) = instance.get_asset_records([EDGES])
    logged = instance.fetch_materializations(EDGES, limit=1).records
    summary = record.asset_entry.last_materialization_record
    assert (summary and summary.storage_id) == (logged[0].storage_id if logged else None)
    return logged[0].partition_key if logged else None


def stray_tags(instance: dg.DagsterInstance) -> set[int]:
    """Ids of events that have tags but no asset."""
    events = SqlEventLogStorageTable.c
    rows = index_rows(instance, events.id, events.asset_key)
    tagged = {event_id for (event_id,) in index_rows(instance, AssetEventTagsTable.c.event_id)}
    assert tagged
    return tagged - {event_id for event_id, asset_key in rows if asset_key}


class Pause:
    """A call of a storage's method that waits, once, until it is let go on."""

    def __init__(self, patch: pytest.MonkeyPatch, storage: object, method: str) -> None:
        self.reached, self.go_on = threading.Event(), threading.Event()
        self._method: Callable = getattr(storage, method)
        patch.setattr(storage, method, lambda *arguments: self._call(*arguments))

    def _call(self, *arguments: object) -> object:
        if not self.reached.is_set():
            self.reached.set()
            assert self.go_on.wait(20)
        return self._method(*arguments)


@ON_POSTGRES
def test_an_event_that_comes_while_the_summary_is_rewritten_is_the_newest(
    instance, other, monkeypatch
):
    # The wipe has read which event is the newest, and is about to write it.
    pause = Pause(monkeypatch, instance.event_log_storage, "_store_asset_event")
    with ThreadPoolExecutor(2) as pool:
        wipe = pool.submit(wipe_partitions, instance, [EDGES], FIRST_DAYS[2:])
        assert pause.reached.wait(10)
        store = pool.submit(materialise, other, "2013-01-04")
        await_row(other, "2013-01-04")
        with pytest.raises(TimeoutError):
            store.result(0.5)  # it waits for the wipe to end
        pause.go_on.set()
        assert wipe.result(10) == {"edges": 2}
        store.result(10)
    assert newest(instance) == newest(other) == "2013-01-04"
    assert instance.get_materialized_partitions(EDGES) == {*FIRST_DAYS[:2], "2013-01-04"}


def await_row(instance: dg.DagsterInstance, partition: str) -> None:
    for _ in range(200):
        if (partition,) in index_rows(instance, SqlEventLogStorageTable.c.partition):
            return
        threading.Event().wait(0.05)
    raise AssertionError(f"no event of {partition}")


@ON_POSTGRES
@pytest.mark.parametrize("is_first", [False, True])
def test_an_event_that_is_wiped_before_it_is_summed_up_stays_wiped(
    instance, other, monkeypatch, is_first
):
    if is_first:  # of its asset: there is no summary yet, nothing to lock
        other.event_log_storage.wipe()
        materialise(other, "2013-01-04", "documents")
    stored = Pause(monkeypatch, instance.event_log_storage, "_store_asset_event_tags")
    wiped = Pause(monkeypatch, other.event_log_storage, "_restore_summary")
    with ThreadPoolExecutor(2) as pool:
        store = pool.submit(materialise, instance, "2013-01-04")
        assert stored.reached.wait(10)
        wipe = pool.submit(wipe_partitions, other, [EDGES], ["2013-01-04"])
        assert wiped.reached.wait(10)
        stored.go_on.set()
        with pytest.raises(TimeoutError):
            store.result(0.5)  # it waits for the wipe to end
        wiped.go_on.set()
        assert wipe.result(10) == {"edges": 1}
        store.result(10)
    left = set() if is_first else set(FIRST_DAYS)
    assert instance.get_materialized_partitions(EDGES) == left
    assert newest(instance) == (None if is_first else FIRST_DAYS[-1])
    assert stray_tags(instance) == set()


@ON_POSTGRES
def test_one_that_stores_and_several_that_wipe(instance):
    days = [f"2013-01-0{n}" for n in range(1, 8)]
    stored = threading.Event()

    def wipe(worker: dg.DagsterInstance) -> int:
        count = 0
        while not stored.is_set():
            for day in days[::2]:
                count += wipe_partitions(worker, [EDGES], [day])["edges"]
        return count

    with ExitStack() as stack, ThreadPoolExecutor(2) as pool:
        workers = [stack.enter_context(dg.DagsterInstance.get()) for _ in range(2)]
        wiping = [pool.submit(wipe, worker) for worker in workers]
        try:
            for n in range(30):
                materialise(instance, days[n % len(days)])
        finally:
            stored.set()
        wiped = sum(future.result(30) for future in wiping)
    assert wiped > 5
    assert instance.get_materialized_partitions(EDGES) >= set(days[1::2])
    assert newest(instance) in days
    assert stray_tags(instance) == set()
    wipe_partitions(instance, [EDGES], days)
    assert newest(instance) is None


@ON_POSTGRES
def test_wiping_from_the_ui_s_server(instance):
    # It keeps a connection open, and gives up on what takes long.
    instance.optimize_for_webserver(statement_timeout=5000, pool_recycle=60, max_overflow=1)
    assert wipe_partitions(instance, [DOCUMENTS], FIRST_DAYS[:2])["documents"] == 8
    assert instance.get_materialized_partitions(DOCUMENTS) == {FIRST_DAYS[2]}
    instance.event_log_storage._engine.dispose()


def test_tables_are_used_only_when_they_are_all_made(database, monkeypatch):
    def is_marked_as_new() -> bool:
        event_log = WipeablePostgresStorage(database).event_log_storage
        assert isinstance(event_log, WipeablePostgresEventLog)
        return event_log.has_secondary_index(ASSET_KEY_INDEX_COLS)

    # The tables are there, and not what marks them as those of a new release.
    pause = Pause(monkeypatch, WipeablePostgresEventLog, "reindex_assets")
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(is_marked_as_new)
        assert pause.reached.wait(10)
        second = pool.submit(is_marked_as_new)
        assert not wait([first, second], 2, FIRST_COMPLETED).done
        pause.go_on.set()
        assert first.result(20) and second.result(20)


def test_the_config_is_that_of_dagster_s_own(postgres):
    parts: PostgresStorageConfigDb = {
        "username": USER,
        "password": "isn't checked: / and @",
        "hostname": "127.0.0.1",
        "db_name": postgres.new_database(),
        "port": postgres.port,
    }
    storage = WipeablePostgresStorage.from_config_value(None, {"postgres_db": parts})
    assert isinstance(storage, WipeablePostgresStorage)
    assert isinstance(storage.event_log_storage, WipeablePostgresEventLog)
    assert storage.event_log_storage.all_asset_keys() == []


def test_the_event_log_alone_can_be_named(postgres, tmp_path):
    """As in the instance that Dagster's Helm chart writes, a storage each: deploy/values.yaml."""
    url = postgres.url(postgres.new_database())
    # Dagster's own leave the driver to SQLAlchemy, and 2.1 takes another than they bring.
    config = {"postgres_url": url.replace("://", "+psycopg2://")}
    dagster_s = {"module": "dagster_postgres", "config": config}
    instance = {
        "run_storage": {**dagster_s, "class": "PostgresRunStorage"},
        "schedule_storage": {**dagster_s, "class": "PostgresScheduleStorage"},
        "event_log_storage": {
            "module": "stupid_dagster.instance.postgres",
            "class": "WipeablePostgresEventLog",
            "config": {"postgres_url": url},
        },
        "telemetry": {"enabled": False},
    }
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(instance))
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert isinstance(instance.event_log_storage, WipeablePostgresEventLog)
        materialise(instance, FIRST_DAYS[0])
        materialise(instance, FIRST_DAYS[1])
        ref = deserialize_value(dg.serialize_value(instance.get_ref()), InstanceRef)
        with dg.DagsterInstance.from_ref(ref) as other:  # as a run's process opens it
            assert wipe_partitions(other, [EDGES], FIRST_DAYS[:1]) == {"edges": 1}
        assert instance.get_materialized_partitions(EDGES) == {FIRST_DAYS[1]}


@pytest.mark.parametrize("version", ["1.12.9", "1.14.0", "2.0.0"])
def test_an_untested_dagster_is_refused_before_anything_is_written(database, monkeypatch, version):
    monkeypatch.setattr(dg, "__version__", version)
    with pytest.raises(InstanceError, match=rf"1\.13.*{version}"):
        WipeablePostgresStorage(database)
    engine = sa.create_engine(database.replace("://", "+psycopg2://"), poolclass=sa.NullPool)
    assert sa.inspect(engine).get_table_names() == []


def test_a_server_that_does_not_answer_is_an_error_that_says_so(monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)  # between its tries
    with pytest.raises(InstanceError) as error:
        WipeablePostgresStorage("postgresql://me:secret@127.0.0.1:9/history")
    assert "me:***@127.0.0.1:9/history" in str(error.value)
    assert "onnection refused" in str(error.value)
    assert "secret" not in str(error.value)


def test_without_the_extra_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "dagster_postgres", None)
    monkeypatch.delitem(sys.modules, "stupid_dagster.instance.postgres")
    with pytest.raises(InstanceError, match=r"dagster_postgres.*\[postgres\]"):
        import_module("stupid_dagster.instance.postgres")


def test_postgres_is_imported_only_where_it_is_configured():
    code = "import sys, stupid_dagster.instance as i; print('dagster_postgres' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "False\n"
