"""Runs on a lake in a bucket behind a network that breaks, and a server that stays away."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stupid_dagster.project import Project
from tests.faults.checking import check_clean, check_lake, differences, rounds_served
from tests.faults.rounds import STEPS, make_project, plant
from tests.faults.weather import KINDS, Weather
from tests.faults.workers import Worker, Workers, succeed
from tests.stores.faulty_proxy import FaultyProxy
from tests.stores.lakes import impatient
from tests.stores.s3_server import SECRET, S3Server

pytestmark = pytest.mark.slow

PATIENCE = "storage_seconds = 1.0\nstorage_retries = 6\nstorage_retry_seconds = {}\n"


@pytest.fixture
def proxy(s3_server: S3Server, bucket: str, monkeypatch) -> Iterator[FaultyProxy]:
    with FaultyProxy((s3_server.host, s3_server.port)) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
        yield proxy


@pytest.fixture
def root(tmp_path: Path, bucket: str) -> Path:
    root = make_project(tmp_path / "project", lake=bucket).settings.root
    plant(root, 0)
    return root


def patient(root: Path, seconds: float) -> None:
    """Let the project wait so long for the bucket's server."""
    with (root / "stupid.toml").open("a") as settings:
        settings.write(PATIENCE.format(seconds))


def test_a_run_in_bad_weather_has_the_same_rows(root: Path, proxy: FaultyProxy) -> None:
    patient(root, 60)
    weather = Weather(proxy, every=25, silence=1.2)
    with Workers() as workers:
        ended = workers.start(root)
        other = make_project(root.with_name("fresh"), root / "landing")
        succeed(ended)
        proxy.set("")
        succeed(workers.start(other.settings.root))
    assert {*weather.done} == {*KINDS}, weather.done
    project = Project.load(root, {"workplace": "reader"})
    check_lake(project)
    assert rounds_served(project) == {0}
    assert not (found := differences(project.lake, other.lake)), found
    check_clean(impatient(project.lake))


def test_a_server_that_goes_and_comes_back_stops_nothing(root: Path, proxy: FaultyProxy) -> None:
    patient(root, 60)
    with Workers() as workers:
        worker = workers.start(root)
        for step in ("documents", "search_index", "publish"):
            worker.wait(step)
            proxy.go_away()
            worker.listen(0.5)
            assert worker.exit is None, worker.errors
            proxy.come_back()
        succeed(worker)
    project = Project.load(root)
    check_lake(project)
    assert rounds_served(project) == {0}


def test_a_server_that_stays_away_is_told_in_time_and_the_next_run_mends(
    root: Path, proxy: FaultyProxy, bucket: str
) -> None:
    patient(root, 2)
    left = [*STEPS]
    with Workers() as workers:
        for step in ("connections", "search_index", "publish"):
            worker = workers.start(root, left)
            worker.wait(step)
            proxy.go_away()
            began = time.monotonic()
            worker.wait()
            seconds = time.monotonic() - began
            says_what_to_do(worker, bucket, proxy.url)
            # A write on a condition is tried, then looked for, as long.
            assert seconds < 2 * (2 + 1) + 3
            proxy.come_back()
            (failed,) = worker.errors
            left = left[left.index(failed) :]
        succeed(workers.start(root, left))
    project = Project.load(root)
    check_lake(project)
    assert rounds_served(project) == {0}


def says_what_to_do(worker: Worker, bucket: str, server: str) -> None:
    """Check the error of a step that didn't reach its server."""
    ((kinds, text),) = worker.errors.values()
    assert "StoreError" in kinds, text
    assert bucket in text and server in text
    assert re.search(r"check AWS_ENDPOINT_URL_S3 .* and run it again", text)
    assert SECRET not in worker.log.read_text()
