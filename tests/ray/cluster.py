"""A Ray cluster of the tests' own on this machine: a head, and workers of one CPU each.

Nodes have loopback addresses of their own (Linux has all of 127.0.0.0/8) and run in the foreground,
so that they end with their process. One cluster at a time: nodes' agents listen on fixed ports.
Never `ray stop`: it ends every Ray on the machine.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HEAD = "127.0.0.2"
GIB = 2**30
_BIN = Path(sys.executable).parent
_SECONDS, _TRIES = 240, 3
_OBJECT_STORE = 80_000_000
_MARK = "TEST_RAY_NODE"


@dataclass(frozen=True)
class Worker:
    """A node: its address (127.0.0.x), the bytes that it says to have, and its environment.

    `cores` are those that it is bound to, as `taskset` takes them; all by default.
    """

    address: str
    memory: int
    environment: Mapping[str, str] = field(default_factory=dict)
    cores: str = ""


class Cluster:
    """A running cluster; `address` is its dashboard, which takes jobs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._gcs, self._dashboard, self._client = (_free_port() for _ in range(3))
        self.address = f"http://127.0.0.1:{self._dashboard}"
        self._nodes: dict[str, subprocess.Popen] = {}

    def start(self, workers: Iterable[Worker]) -> None:
        """Start the head, then the workers, and wait until all are there."""
        self._start(
            Worker(HEAD, 100_000_000),
            *("--head", f"--port={self._gcs}", "--num-cpus=0"),
            *("--include-dashboard=true", "--dashboard-host=127.0.0.1"),
            *(f"--dashboard-port={self._dashboard}", f"--ray-client-server-port={self._client}"),
            f"--temp-dir={self._folder}",
        )
        self._wait(self._head_listens)
        self.add(*workers)

    def add(self, *workers: Worker) -> None:
        """Start workers, as an autoscaler would, and wait until they are there."""
        tries = {worker.address: 1 for worker in workers}
        for worker in workers:
            self._start_worker(worker)

        def all_are_there() -> bool:
            for worker in workers:
                # On a busy machine a raylet gives up on its own agent after 15 seconds.
                ended = self._nodes[worker.address].poll() is not None
                if ended and tries[worker.address] <= _TRIES:
                    tries[worker.address] += 1
                    self._start_worker(worker)
            return {*tries} <= {*self.nodes().values()}

        self._wait(all_are_there)

    def kill(self, address: str) -> None:
        """Kill a node as a power cut would: all of its processes, and those of its steps."""
        while pids := self.processes(address):
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._nodes[address].poll()

    def stop(self) -> None:
        """End all nodes, the head last."""
        for process in reversed(self._nodes.values()):
            process.terminate()
        for process in self._nodes.values():
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(30)

    def processes(self, address: str) -> list[int]:
        """Return the processes of a node that are alive: all inherit its environment."""
        mark, found = f"{_MARK}={address}".encode(), []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it has ended
                if mark in (folder / "environ").read_bytes().split(b"\0"):
                    found.append(int(folder.name))
        return found

    def nodes(self) -> dict[str, str]:
        """Return the addresses of the nodes that are alive, by node id."""
        found = self._get("/api/v0/nodes")["data"]["result"]["result"]
        return {node["node_id"]: node["node_ip"] for node in found if node["state"] == "ALIVE"}

    def ran_on(self) -> dict[tuple[str, str], str]:
        """Return the address of the node that each step ran on last, by run and step."""
        addresses = self.nodes()
        jobs = sorted(self._get("/api/jobs/"), key=lambda job: job["start_time"])
        told = [(job["metadata"], addresses.get(job["driver_node_id"])) for job in jobs]
        return {(of["dagster/run-id"], of["dagster/op"]): node for of, node in told if node}

    def _get(self, path: str) -> Any:
        with urllib.request.urlopen(self.address + path, timeout=10) as answer:
            return json.load(answer)

    def _start_worker(self, worker: Worker) -> None:
        self._start(worker, f"--address={HEAD}:{self._gcs}", "--num-cpus=1")

    def _start(self, node: Worker, *options: str) -> None:
        bound = ["taskset", "-c", node.cores] if node.cores else []
        with (self._folder / f"{node.address}.log").open("a") as log:
            self._nodes[node.address] = subprocess.Popen(
                [
                    *(*bound, _BIN / "ray", "start", "--block", "--disable-usage-stats"),
                    *(f"--node-ip-address={node.address}", f"--memory={node.memory}"),
                    f"--object-store-memory={_OBJECT_STORE}",
                    *options,
                ],
                env=_environment() | {**node.environment, _MARK: node.address},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _head_listens(self) -> bool:
        with socket.create_connection((HEAD, self._gcs), 1):
            return self._get("/api/version") is not None

    def _wait(self, until: Any) -> None:
        end = time.monotonic() + _SECONDS
        while time.monotonic() < end:
            with suppress(OSError, ValueError):  # not there yet
                if until():
                    return
            time.sleep(0.1)
        raise AssertionError("\n".join(log.read_text() for log in self._folder.glob("*.log")))


@contextmanager
def ray_cluster() -> Iterator[Cluster]:
    """Yield a cluster that is not started yet; it is stopped at the end."""
    # Ray's sockets lie in it, and their paths have 107 characters at most.
    folder = Path(tempfile.mkdtemp(prefix="ray-"))
    cluster = Cluster(folder)
    try:
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _environment() -> dict[str, str]:
    """Return what all nodes, and so the steps, have in their environment."""
    return {
        # No DAGSTER_HOME: a worker gets all that it needs of it with its step.
        **{k: v for k, v in os.environ.items() if k != "DAGSTER_HOME"},
        # Steps are started as `dagster api execute_step`.
        "PATH": f"{_BIN}{os.pathsep}{os.environ['PATH']}",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_JOB_START_TIMEOUT_SECONDS": "86400",
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
