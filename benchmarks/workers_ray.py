"""Gaming days on Ray workers of one core each that share nothing but a bucket and Postgres."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import click
import dagster as dg

from benchmarks.child import family, run_command
from benchmarks.data import Sample
from benchmarks.machine import REPOSITORY
from benchmarks.s3_traffic import Traffic, traffic
from benchmarks.usage import machine_cpu, process_cpu
from tests.instance.servers import PostgresServer, postgres_server
from tests.ray.cluster import GIB, HEAD, Cluster, Worker, ray_cluster
from tests.stores.s3_server import S3Server

LANDING = "s3://benchmarks/landing"
MEMORY = 3 * GIB
"""What each worker says to have."""
RUNS_OF_A_WORKER = 2
"""Days at work for each worker: while the next step of one is submitted, it has the other's."""
_NETWORK = "127.0.0."


@dataclass(frozen=True)
class Made:
    """What so many workers made of some days, all on so many cores.

    `wall` is from the first step's submission to the last one's end; `inside` are the seconds in
    steps, without the start of their processes. `cpu` are CPU seconds, by who used them; nobody
    counts those of steps that have ended, but they are in those of the whole machine.
    """

    workers: int
    cores: int
    days: int
    wall: float
    inside: float
    steps: int
    traffic: Traffic
    cpu: Mapping[str, float]

    @property
    def days_an_hour(self) -> float:
        """Days an hour at that speed."""
        return self.days / self.wall * 3600


def days_on_ray(
    work: Path, server: S3Server, sample: Sample, days: int, workers: int, cores: int
) -> Made:
    """Return what so many new workers, one to a core, made of days that a new lake lacks.

    All else (the S3 server, Postgres, Ray's head, the runs' process) shares the first `cores`.
    """
    names = [sample.day(n) for n in range(days)]
    home = work / f"workers-{workers}-{cores}"
    home.mkdir()
    shutil.copy(REPOSITORY / "deploy" / "dagster-ray.yaml", home / "dagster.yaml")
    with on_cores(cores, server.process), postgres_server() as postgres, ray_cluster() as cluster:
        told = {
            "DAGSTER_HOME": str(home),
            "DAGSTER_POSTGRES_URL": postgres.url(),
            "STUPID_ROOT": str(home),
            "STUPID_DATA_ROOT": f"s3://benchmarks/{home.name}/lake",
            "STUPID_LANDING": LANDING,
            "STUPID_EVENT_MODEL": "gaming",
            "STUPID_PARTITIONS_START": names[0],
            "STUPID_PARTITIONS_END": names[-1],
            "STUPID_COMPUTE": "ray",
            "STUPID_RAY_ADDRESS": cluster.address,
        }
        with environment(told):
            nodes = [_worker(home, number) for number in range(workers)]
            cluster.start(nodes)
            before, cpu = traffic(server), _cpu(cluster, server, postgres)
            command = [sys.executable, "-m", "tests.ray.drive", "days", ",".join(names), ""]
            run = run_command(
                f"{days} days, Ray's workers: {workers}, cores: {cores}",
                [*command, str(RUNS_OF_A_WORKER * workers)],
                dict(os.environ),
            )
            moved, after = traffic(server).since(before), _cpu(cluster, server, postgres)
            with dg.DagsterInstance.get() as instance:
                spans = list(_spans(instance))
    used = {name: after[name] - cpu[name] for name in after} | {"the runs' process": run.cpu}
    wall = max(done for _, _, done in spans) - min(asked for asked, _, _ in spans)
    inside = sum(done - begun for _, begun, done in spans)
    made = Made(workers, cores, days, wall, inside, len(spans), moved, used)
    click.echo(f"    {made}", err=True)
    return made


@contextmanager
def on_cores(cores: int, *processes: int) -> Iterator[None]:
    """Bind to the first so many cores what is started in the block, and processes meanwhile."""
    before = os.sched_getaffinity(0)
    _bind((0, *processes), sorted(before)[:cores])
    try:
        yield
    finally:
        _bind((0, *processes), before)


def _bind(processes: Iterable[int], cores: Iterable[int]) -> None:
    for process in processes:
        # Each thread has an affinity of its own, which the threads that it starts inherit.
        for thread in Path(f"/proc/{process or 'self'}/task").iterdir():
            with suppress(ProcessLookupError):
                os.sched_setaffinity(int(thread.name), cores)


@contextmanager
def environment(told: Mapping[str, str]) -> Iterator[None]:
    """Have variables in this process's environment, and none of the shell's settings."""
    before = dict(os.environ)
    for name in before:
        if name.startswith("STUPID_"):
            del os.environ[name]
    os.environ.update(told)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _worker(home: Path, number: int) -> Worker:
    root = home / f"worker-{number}"
    root.mkdir()
    own = {"STUPID_ROOT": str(root)}
    core = sorted(os.sched_getaffinity(0))[number]
    return Worker(f"{_NETWORK}{3 + number}", MEMORY, own, cores=str(core))


def _cpu(cluster: Cluster, server: S3Server, postgres: PostgresServer) -> dict[str, float]:
    """Return the CPU seconds so far of the whole machine, and of all but workers and runs."""
    master = (postgres.log.parent / "data" / "postmaster.pid").read_text(encoding="utf-8")
    processes = {
        "Ray's head": cluster.processes(HEAD),
        "the S3 server": [server.process],
        "Postgres": family(int(master.split()[0])),
    }
    used = {name: sum(map(process_cpu, pids)) for name, pids in processes.items()}
    return {"the whole machine": machine_cpu()} | used


def _spans(instance: dg.DagsterInstance) -> Iterator[tuple[float, float, float]]:
    """Yield when each step was submitted, began and was done; raises where one was done again."""
    kinds = (
        dg.DagsterEventType.STEP_WORKER_STARTING,
        dg.DagsterEventType.STEP_START,
        dg.DagsterEventType.STEP_SUCCESS,
    )
    for run in instance.get_runs():
        steps: dict[str, dict[str, float]] = {}
        for entry in instance.all_logs(run.run_id, of_type={*kinds}):
            event = entry.get_dagster_event()
            steps.setdefault(event.step_key or "", {})[event.event_type_value] = entry.timestamp
        for times in steps.values():
            asked, begun, done = (times[kind.value] for kind in kinds)
            yield asked, begun, done
