"""A bucket that is away, or goes while a sensor looks: the tick is skipped, and says why."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from stupid_dagster.automation.arrivals import arrivals_sensor
from stupid_dagster.automation.eviction import eviction_sensor
from stupid_dagster.automation.jobs import newest_window_sensor
from tests.arriving import DAYS, arriving_project, drop
from tests.stores.faulty_proxy import FaultyProxy
from tests.stores.s3_server import S3Server
from tests.ticking import Ticking


@pytest.fixture
def proxy(bucket: str, s3_server: S3Server, monkeypatch) -> Iterator[FaultyProxy]:
    with FaultyProxy((s3_server.host, s3_server.port)) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
        yield proxy


@pytest.fixture
def ticking(
    tmp_path: Path, instance: dg.DagsterInstance, bucket: str, proxy: FaultyProxy
) -> Ticking:
    project = arriving_project(
        tmp_path / "project",
        data_root=bucket,
        workplace=str(tmp_path / "workplace"),
        storage_retries=0,
    )
    drop(project, DAYS[0], DAYS[:1])
    return Ticking(project, instance)


@pytest.mark.parametrize("where", ["", "/documents/", "/LEDGER.json"])
@pytest.mark.parametrize("sensor", [arrivals_sensor, newest_window_sensor, eviction_sensor])
def test_a_tick_is_skipped_with_its_reason(
    ticking: Ticking, proxy: FaultyProxy, sensor: dg.SensorDefinition, where: str
) -> None:
    faults = proxy.set("503", 10_000, lambda method, path: where in path)
    skipped = ticking.tick(sensor)
    if faults.hits:
        assert "answered 503" in str(skipped.skip_message)
        assert not skipped.run_requests
    assert faults.hits or where == "/LEDGER.json"
    proxy.set("none")
    # The cursor was kept: what is asked for is so then.
    assert ticking.asked() == DAYS[:1]
