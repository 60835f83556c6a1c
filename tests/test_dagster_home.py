from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.instance.config import PoolGranularity
from dagster._core.scheduler.instigation import TickStatus

from stupid_dagster.dagster_home import ensure_dagster_home
from stupid_dagster.errors import InstanceError
from stupid_dagster.instance.sqlite import WipeableSqliteEventLog


def test_a_home_is_made_with_the_packaged_config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    home = ensure_dagster_home(Path("deep/er"))
    assert home == tmp_path / "deep" / "er"
    assert [path.name for path in home.iterdir()] == ["dagster.yaml"]
    assert yaml.safe_load((home / "dagster.yaml").read_text())["telemetry"] == {"enabled": False}


def test_a_home_that_is_there_stays_as_it_is(tmp_path):
    config = tmp_path / "dagster.yaml"
    config.write_text("telemetry: {enabled: true}\n")
    assert ensure_dagster_home(tmp_path) == ensure_dagster_home(tmp_path) == tmp_path
    assert config.read_text() == "telemetry: {enabled: true}\n"


def test_a_home_in_the_users_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert ensure_dagster_home(Path("~/history")) == tmp_path / "history"


@pytest.mark.parametrize("path", ["file", "file/below"])
def test_a_home_that_is_a_file_is_an_error_that_says_so(tmp_path, path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InstanceError, match=rf"{tmp_path}/{path} .*DAGSTER_HOME"):
        ensure_dagster_home(tmp_path / path)
    assert (tmp_path / "file").read_text() == "mine"


def test_dagster_reads_the_packaged_config_as_meant(tmp_path, monkeypatch):
    home = ensure_dagster_home(tmp_path / "a home")
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with dg.DagsterInstance.get() as instance:
        assert isinstance(instance.event_log_storage, WipeableSqliteEventLog)
        assert not instance.telemetry_enabled
        concurrency = instance.get_concurrency_config()
        assert concurrency.pool_config.default_pool_limit == 1
        assert concurrency.pool_config.pool_granularity is PoolGranularity.OP
        assert concurrency.run_queue_config
        assert concurrency.run_queue_config.max_concurrent_runs == 2
        assert instance.run_monitoring_enabled
        assert instance.run_monitoring_max_runtime_seconds == 6 * 3600
        assert instance.run_retries_enabled
        assert instance.run_retries_max_retries == 2
        assert not instance.run_retries_retry_on_asset_or_op_failure
        for kind in (InstigatorType.SENSOR, InstigatorType.SCHEDULE):
            retention = instance.get_tick_retention_settings(kind)
            assert 0 < retention[TickStatus.SUCCESS] <= 90
    assert {path.name for path in home.iterdir()} >= {"history", "schedules"}


def test_a_run_process_opens_the_same_storage(tmp_path, monkeypatch):
    # Dagster hands the instance to the processes of runs in serialised form.
    monkeypatch.setenv("DAGSTER_HOME", str(ensure_dagster_home(tmp_path)))
    with dg.DagsterInstance.get() as instance:
        instance.report_runless_asset_event(dg.AssetMaterialization("a", partition="2013-01-01"))
        serialised = dg.serialize_value(instance.get_ref())
    code = (
        "import sys, dagster as dg\n"
        "from dagster._core.instance.ref import InstanceRef\n"
        "from dagster._serdes import deserialize_value\n"
        "ref = deserialize_value(sys.argv[1], InstanceRef)\n"
        "with dg.DagsterInstance.from_ref(ref) as instance:\n"
        "    print(type(instance.event_log_storage).__name__)\n"
        "    print(instance.get_materialized_partitions(dg.AssetKey('a')))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, serialised],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ,
    )
    assert done.stdout.split("\n")[:2] == ["WipeableSqliteEventLog", "{'2013-01-01'}"]


def test_the_module_makes_a_home_for_make(tmp_path):
    command = [sys.executable, "-m", "stupid_dagster.dagster_home", str(tmp_path / "home")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert (tmp_path / "home" / "dagster.yaml").exists()
    assert done.stdout == done.stderr == ""
