"""Flights on two Ray workers, days and their window: as locally, whatever is killed meanwhile.

The workers share a bucket, Postgres and the installed code; each has a folder of its own.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import dagster as dg
import pytest
from polars.testing import assert_frame_equal

from stupid_dagster.dagster_home import CONFIG_NAME
from stupid_dagster.project import Project
from stupid_dagster.query import KeptSnapshots
from stupid_dagster.settings import load_settings
from stupid_dagster.stores.files import open_files
from stupid_dagster.stores.garbage import collect_garbage
from stupid_dagster.stores.version import VERSION_FILE
from stupid_dagster.tables import DAY_TABLES, TABLES, WINDOW_TABLES
from tests.faults.checking import differences
from tests.instance.servers import postgres_server
from tests.pipeline import make_day, make_window
from tests.projects import make_project
from tests.ray.cluster import GIB, Cluster, Worker, ray_cluster
from tests.stores.faulty_proxy import FaultyProxy
from tests.stores.lakes import impatient
from tests.stores.s3_server import S3Server

pytestmark = pytest.mark.clusters

Found = TypeVar("Found")
ROOT = Path(__file__).parents[2]
DAYS = ["2013-02-05", "2013-02-06"]
SMALL, BIG, NEW = "127.0.0.3", "127.0.0.4", "127.0.0.5"
# A day's steps fit all, a window's largest not the small one. Bookkeeping, not limits.
MEMORY = {SMALL: 3 * GIB, BIG: 5 * GIB, NEW: 5 * GIB}
KILLED_DAY = "2013-02-07"
STORES = ("search_index", "graph_database", "catalog")
# A busy machine may take so long; a quiet one takes a tenth.
_SECONDS = 600


@dataclass
class OnRay:
    """A cluster, its workers' project as it is seen from here, and the history of their runs.

    What the worker BIG asks the bucket goes through `proxy`.
    """

    cluster: Cluster
    workers: dict[str, Worker]
    proxy: FaultyProxy
    project: Project
    instance: dg.DagsterInstance
    environment: dict[str, str]
    started: list[subprocess.Popen[str]] = field(default_factory=list)
    half_made: list[str] = field(default_factory=list)

    def start(self, job: str, days: list[str], *assets: str) -> subprocess.Popen[str]:
        """Start a run of a job for each day, all at once."""
        runs = subprocess.Popen(
            [sys.executable, "-m", "tests.ray.drive", job, ",".join(days), ",".join(assets)],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(runs)
        return runs

    def finish(self, runs: subprocess.Popen[str]) -> dict[str, str]:
        """Wait for runs, which must succeed; returns their ids by day."""
        out, err = runs.communicate(timeout=_SECONDS)
        assert runs.returncode == 0, err
        told = json.loads(out)
        assert all(success for _, success in told.values()), err
        return {day: run for day, (run, _) in told.items()}

    def events(self, run: str, *kinds: dg.DagsterEventType) -> list[dg.DagsterEvent]:
        logged = self.instance.all_logs(run, of_type={*kinds})
        return [entry.get_dagster_event() for entry in logged]


@pytest.fixture(scope="module")
def on_ray(
    tmp_path_factory: pytest.TempPathFactory, landing_files: Path, s3_server: S3Server
) -> Iterator[OnRay]:
    folder = tmp_path_factory.mktemp("ray")
    (folder / CONFIG_NAME).write_text((ROOT / "deploy" / "dagster-ray.yaml").read_text())
    with (
        postgres_server() as server,
        FaultyProxy((s3_server.host, s3_server.port)) as proxy,
        ray_cluster() as cluster,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in s3_server.environment.items():
            patch.setenv(name, value)
        patch.setenv("DAGSTER_POSTGRES_URL", server.url())
        patch.setenv("DAGSTER_HOME", str(folder))
        place = f"s3://tests/{secrets.token_hex(6)}"
        open_files(f"{place}/landing").upload(landing_files, "")
        told = {
            "STUPID_DATA_ROOT": f"{place}/lake",
            "STUPID_LANDING": f"{place}/landing",
            "STUPID_PARTITIONS_START": "2013-01-11",
            "STUPID_PARTITIONS_END": "2013-02-09",
            "STUPID_COMPUTE": "ray",
            "STUPID_RAY_ADDRESS": cluster.address,
        }
        workers = {}
        for node, memory in MEMORY.items():
            root = folder / node
            root.mkdir()
            own = {"AWS_ENDPOINT_URL_S3": proxy.url} if node == BIG else {}
            workers[node] = Worker(node, memory, {**told, "STUPID_ROOT": str(root), **own})
        cluster.start([workers[SMALL], workers[BIG]])
        root = folder / "here"
        root.mkdir()
        told |= {"STUPID_ROOT": str(root)}
        environment = {
            **os.environ,
            **told,
            "DAGSTER_STEP_DELEGATING_EXECUTOR_SLEEP_SECONDS": "0.2",
            "RAY_USAGE_STATS_ENABLED": "0",
        }
        with dg.DagsterInstance.get() as instance:
            project = Project(load_settings(environment=told))
            on_ray = OnRay(cluster, workers, proxy, project, instance, environment)
            yield on_ray
            for runs in on_ray.started:
                runs.kill()
                runs.communicate()


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory, landing_files: Path) -> Project:
    """The same days, made here."""
    root = tmp_path_factory.mktemp("local")
    project = make_project(root, landing_files)
    for day in [*DAYS, KILLED_DAY]:
        make_day(project, day)
    return project


def assert_same(remote: Project, local: Project, tables: list[str], partition: str) -> None:
    """Fail where a table's live rows aren't those of the local run, in the same order."""
    for table in tables:
        if TABLES[table].optional and local.lake.find(table, partition) is None:
            assert remote.lake.find(table, partition) is None
            continue
        made, wanted = (project.lake.read(table, partition) for project in (remote, local))
        assert_frame_equal(made, wanted, check_exact=True)
        assert remote.lake.live(table, partition).rows == wanted.height


@pytest.fixture(scope="module")
def made(on_ray: OnRay) -> dict[str, str]:
    """All days, made on Ray: the runs by day. A step of one is killed in its midst."""
    lake = on_ray.project.lake
    killed = on_ray.start("days", [KILLED_DAY])
    (pid,) = awaited(killed, lambda: steps_at_work("connections"))
    awaited(killed, lambda: lake.find("entities", KILLED_DAY))
    os.kill(pid, signal.SIGSTOP)
    assert lake.find("field_statistics", KILLED_DAY) is None, "it has written its last table"
    os.kill(pid, signal.SIGKILL)
    # Meanwhile, as it takes half a minute until Dagster sees it, and tries again.
    others = on_ray.start("days", DAYS)
    return on_ray.finish(others) | on_ray.finish(killed)


def test_days_are_made_on_both_workers_as_they_are_locally(
    on_ray: OnRay, made: dict[str, str], local: Project
) -> None:
    for day in made:
        assert on_ray.project.is_complete(day)
        assert_same(on_ray.project, local, [*DAY_TABLES], day)
    ran_on = on_ray.cluster.ran_on()
    assert {run for run, _ in ran_on} == {*made.values()}
    assert {*ran_on.values()} == {SMALL, BIG}


def test_a_step_whose_process_is_killed_is_done_again(on_ray: OnRay, made: dict[str, str]) -> None:
    for day, run in made.items():
        again = on_ray.events(run, dg.DagsterEventType.STEP_UP_FOR_RETRY)
        wanted = ["connections"] if day == KILLED_DAY else []
        assert [event.step_key for event in again] == wanted


def test_each_table_is_in_the_history_once(on_ray: OnRay, made: dict[str, str]) -> None:
    for day, run in made.items():
        told = on_ray.events(run, dg.DagsterEventType.ASSET_MATERIALIZATION)
        made_of = [event.step_materialization_data.materialization for event in told]
        rows = {
            of.asset_key.to_user_string(): of.metadata["dagster/partition_row_count"].value
            for of in made_of
        }
        assert len(rows) == len(told)
        live = {table: on_ray.project.lake.find(table, day) for table in DAY_TABLES}
        assert rows == {table: version.rows for table, version in live.items() if version}


@pytest.fixture(scope="module")
def window(on_ray: OnRay, made: dict[str, str]) -> str:
    """The run of the job `window`, whole. The node of one of its steps is killed in its midst."""
    lake = on_ray.project.lake

    def describes_edges(method: str, path: str) -> bool:
        return method == "PUT" and "/graph_edges/" in path and path.endswith(VERSION_FILE)

    # The step's memory takes it to the big worker, and its edges are uploaded, not more.
    reached = on_ray.proxy.set("hang", matches=describes_edges, after=_SECONDS)
    begun = on_ray.start("window", [KILLED_DAY])
    awaited(begun, lambda: reached.hits)
    on_ray.cluster.kill(BIG)
    on_ray.half_made += [entry.key for entry in lake.files.below(f"graph_edges/{KILLED_DAY}")]
    assert lake.find("graph_edges", KILLED_DAY) is None
    on_ray.cluster.add(on_ray.workers[NEW])
    (run,) = on_ray.finish(begun).values()
    return run


@pytest.fixture(scope="module")
def local_window(local: Project) -> Project:
    """The same window, made here."""
    make_window(local, KILLED_DAY)
    return local


def test_a_step_whose_node_dies_is_done_again_by_the_one_that_replaces_it(
    on_ray: OnRay, window: str
) -> None:
    assert on_ray.cluster.ran_on()[window, "graph"] == NEW
    # Until Ray has missed its heartbeats, the node that is gone may be given this step once more,
    # and others.
    again = on_ray.events(window, dg.DagsterEventType.STEP_UP_FOR_RETRY)
    assert "graph" in {event.step_key for event in again}
    told = on_ray.events(window, dg.DagsterEventType.ASSET_MATERIALIZATION)
    keys = [event.step_materialization_data.materialization.asset_key for event in told]
    assert sorted(key.to_user_string() for key in keys) == sorted([*WINDOW_TABLES, "snapshot"])


def test_a_whole_window_is_made_as_it_is_locally(
    on_ray: OnRay, window: str, local_window: Project
) -> None:
    lake = on_ray.project.lake
    assert all(lake.partitions(table) == [KILLED_DAY] for table in WINDOW_TABLES)
    assert differences(lake, local_window.lake) == []
    in_order = [table for table in WINDOW_TABLES if table not in (*STORES, "window_days")]
    assert_same(on_ray.project, local_window, in_order, KILLED_DAY)


def test_its_snapshot_is_served(on_ray: OnRay, window: str, local_window: Project) -> None:
    def answers(project: Project) -> list[object]:
        with KeptSnapshots(project) as snapshots, snapshots.use() as reader:
            return [
                (reader.manifest.last_day, reader.manifest.days),
                reader.search("storm", limit=5).rows(),
                reader.neighbors("airport:JFK", limit=5).rows.rows(),
            ]

    assert answers(on_ray.project) == answers(local_window)


def test_what_the_node_left_is_garbage_and_nothing_else_is(
    on_ray: OnRay, made: dict[str, str], window: str, local_window: Project
) -> None:
    lake = on_ray.project.lake
    assert on_ray.half_made
    collect_garbage(impatient(lake), kept_snapshots=1, grace=timedelta(0))
    assert not {*on_ray.half_made} & {entry.key for entry in lake.files.below("graph_edges")}
    assert_same(on_ray.project, local_window, ["graph_nodes", "graph_edges"], KILLED_DAY)
    assert all(on_ray.project.is_complete(day) for day in made)


def test_each_worker_has_written_in_a_folder_of_its_own(on_ray: OnRay, window: str) -> None:
    roots = {Path(worker.environment["STUPID_ROOT"]) for worker in on_ray.workers.values()}
    assert len(roots) == 3
    for root in roots:
        assert [path.name for path in root.iterdir()] == ["data"]
        assert [path.name for path in (root / "data").iterdir()] == ["workplace"]
    assert on_ray.project.lake.url.startswith("s3://")


def awaited(runs: subprocess.Popen[str], found: Callable[[], Found | None]) -> Found:
    """Return what is found when it is there; fails when the runs end before."""
    end = time.monotonic() + _SECONDS
    while not (what := found()):
        assert runs.poll() is None, runs.communicate()
        assert time.monotonic() < end
        time.sleep(0.005)
    return what


def steps_at_work(step: str) -> list[int]:
    """Return the processes that Ray's jobs of a step have started on this machine."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().split(b"\0")
            environment = (folder / "environ").read_bytes().split(b"\0")
        except OSError:  # it has ended
            continue
        if b"execute_step" in command and f"DAGSTER_RUN_STEP_KEY={step}".encode() in environment:
            found.append(int(folder.name))
    return found
