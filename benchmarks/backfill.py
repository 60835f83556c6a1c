"""A backfill as the UI launches it, with `dagster dev` and its sensors at work.

Counted is how often each day and the window were made: once, however many runs there were.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import polars as pl

from benchmarks import report
from benchmarks.child import BenchmarkError, family, run_task
from benchmarks.data import make_project
from benchmarks.flights import FIRST
from benchmarks.machine import REPOSITORY

if TYPE_CHECKING:
    import dagster as dg

REPOSITORY_SELECTOR = {
    "repositoryLocationName": "stupid_dagster",
    "repositoryName": "__repository__",
}
LAUNCH_BACKFILL = """
mutation LaunchPartitionBackfill($backfillParams: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $backfillParams) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}
"""
LAUNCH_RUN = """
mutation LaunchPipelineExecution($executionParams: ExecutionParams!) {
  launchPipelineExecution(executionParams: $executionParams) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
  }
}
"""
READY = "{ workspaceOrError { ... on Workspace { locationEntries { loadStatus } } } }"
START_SECONDS, MOST_SECONDS = 180, 3600
# Longer than any sensor sleeps: what is going to come of what there is has come by then.
QUIET_SECONDS = 75


@dataclass(frozen=True)
class Made:
    """What came of one thing that was asked for."""

    seconds: float
    day_runs: int
    window_runs: int
    windows: tuple[str, ...]
    times: Mapping[int, int]
    """How many materialisations there are of how many pairs of day and asset."""
    failed: int


class Dev:
    """`stupid-dagster dev` of a project: its port, its instance, and what it cost in the end."""

    def __init__(self, port: int, instance: dg.DagsterInstance) -> None:
        self.port, self.instance = port, instance
        self.cpu = 0.0

    def launch(self, mutation: str, **variables: Any) -> None:
        """Send a mutation; raises BenchmarkError when it isn't taken."""
        (answer,) = _ask(self.port, mutation, variables).values()
        if not answer["__typename"].endswith("Success"):
            raise BenchmarkError(f"Dagster took it not: {answer}")


def measure(machine: dict[str, Any], days: int = 30, repeat: int = 1) -> tuple[str, dict[str, Any]]:
    """Return the report, and its figures, of backfills of the job and of its assets.

    Each in a new project, `repeat` times; then an old day of which a row has gone is launched.
    """
    names = [(FIRST + timedelta(days=n)).isoformat() for n in range(days)]
    found = []
    for name, params in (("of the job", _of_job), ("of its assets", _of_assets)):
        for _ in range(repeat):
            click.echo(f"... backfill {name}", err=True)
            found += _backfill(name, params(names), names)
    rows = [
        [
            row["what"],
            f"{row['seconds']:.0f}",
            *(str(row[figure]) for figure in ("day_runs", "window_runs", "failed")),
            "; ".join(f"{pairs} x {times}" for times, pairs in row["times"].items()),
            ", ".join(row["windows"]),
        ]
        for row in found
    ]
    head = ["asked for", "wall s", "runs of days", "of windows", "failed"]
    text = report.page(
        f"A backfill of {days} days of flights, as the UI launches it",
        machine,
        report.table([*head, "days and assets x times made", "windows"], rows),
        "CPU of all of Dagster, its servers and runs, from its start to the end of both: "
        + ", ".join(f"{row['cpu']:.0f} s" for row in found if "cpu" in row),
    )
    return text, {"machine": machine, "days": days, "runs": found}


def _of_job(days: Sequence[str]) -> dict[str, Any]:
    selector = {"partitionSetName": "days_partition_set", "repositorySelector": REPOSITORY_SELECTOR}
    return {"selector": selector, "partitionNames": days, "fromFailure": False, "tags": []}


def _of_assets(days: Sequence[str]) -> dict[str, Any]:
    from stupid_dagster.tables import DAY_TABLES

    selection = [{"path": [name]} for name in DAY_TABLES]
    return {"assetSelection": selection, "partitionNames": days, "fromFailure": False, "tags": []}


def _backfill(what: str, params: Mapping[str, Any], days: Sequence[str]) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        root = make_project(Path(folder) / "project", "flights", days[0], days[-1])
        run_task("flights", {"root": root, "first": days[0], "last": days[-1]})
        with _dev(root) as dev:
            backfill = _settle(dev, lambda: dev.launch(LAUNCH_BACKFILL, backfillParams=params))
            old = days[len(days) // 3]
            _take_a_row(root, old)
            again = _settle(dev, lambda: dev.launch(LAUNCH_RUN, executionParams=_day(old)))
        rows = [(f"backfill {what}", backfill), (f"then an old day, {old}", again)]
        found = [{"what": name, **vars(made)} for name, made in rows]
        found[0]["cpu"] = dev.cpu
    return found


def _day(day: str) -> dict[str, Any]:
    return {
        "selector": {**REPOSITORY_SELECTOR, "jobName": "days"},
        "mode": "default",
        "executionMetadata": {"tags": [{"key": "dagster/partition", "value": day}]},
    }


def _take_a_row(root: Path, day: str) -> None:
    (file,) = root.glob(f"landing/Departure/{day}.parquet")
    pl.read_parquet(file).head(-1).write_parquet(file)


def _settle(dev: Dev, launch: Callable[[], None]) -> Made:
    """Launch something, wait until nothing comes of it any more, and return what did."""
    from stupid_dagster.automation.in_progress import open_backfills

    before = {run.run_id for run in dev.instance.get_runs()}
    known = _materialisations(dev.instance)
    started = time.time()
    launch()
    unchanged_since = time.time()
    while time.time() < unchanged_since + QUIET_SECONDS:
        if time.time() > started + MOST_SECONDS:
            raise BenchmarkError(f"not over after {MOST_SECONDS} seconds")
        time.sleep(1)
        runs = [run for run in dev.instance.get_runs() if run.run_id not in before]
        if open_backfills(dev.instance) or not all(r.is_finished for r in runs):
            unchanged_since = time.time()
    records = [r for r in dev.instance.get_run_records() if r.dagster_run.run_id not in before]
    windows = [r.dagster_run for r in records if r.dagster_run.job_name == "window"]
    others = [r.dagster_run for r in records if r.dagster_run.job_name not in ("window", "evict")]
    made = _materialisations(dev.instance) - known
    return Made(
        seconds=max(record.end_time or 0 for record in records) - started,
        day_runs=len(others),
        window_runs=len(windows),
        windows=tuple(str(run.tags.get("dagster/partition")) for run in windows),
        times=dict(sorted(Counter(made.values()).items())),
        failed=sum(not record.dagster_run.is_success for record in records),
    )


def _materialisations(instance: dg.DagsterInstance) -> Counter[tuple[str, str]]:
    """Return how often each day table's days were materialised."""
    import dagster as dg

    from stupid_dagster.tables import DAY_TABLES

    found: Counter[tuple[str, str]] = Counter()
    for name in DAY_TABLES:
        records = instance.fetch_materializations(dg.AssetKey(name), limit=10_000).records
        found.update((name, str(record.partition_key)) for record in records)
    return found


@contextmanager
def _dev(root: Path) -> Iterator[Dev]:
    """Start Dagster's UI and daemon for a project, and end all its processes."""
    import dagster as dg

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {k: v for k, v in os.environ.items() if k not in ("DAGSTER_HOME", "STUPID_ROOT")}
    environment["PYTHONPATH"] = str(REPOSITORY)
    command = [sys.executable, "-m", "stupid_dagster.cli", "--root", str(root), "dev"]
    with (root / "dev.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--port", str(port)], env=environment, stdout=log, stderr=log
        )
    dev = None
    try:
        _wait_until_it_answers(process, port, root / "dev.log")
        home = root / ".dagster_home"
        os.environ["DAGSTER_HOME"] = str(home)  # its dagster.yaml says so
        with dg.DagsterInstance.from_config(str(home)) as instance:
            dev = Dev(port, instance)
            yield dev
    finally:
        os.environ.pop("DAGSTER_HOME", None)
        started = set(family(process.pid))
        if dev:
            dev.cpu = sum(map(_cpu_seconds, started))
        process.send_signal(signal.SIGINT)  # as Ctrl+C: it ends its servers
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for child in started - {process.pid}:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)


def _ask(port: int, query: str, variables: Mapping[str, Any]) -> Any:
    """Return the answer of the GraphQL API."""
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["data"]


def _cpu_seconds(process: int) -> float:
    """Return the CPU seconds of a process and its ended children."""
    with suppress(OSError):
        stat = Path(f"/proc/{process}/stat").read_text(encoding="ascii")
        ticks = stat.rpartition(")")[2].split()[11:15]  # user and system; the children's
        return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _wait_until_it_answers(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    late = time.monotonic() + START_SECONDS
    while time.monotonic() < late:
        if process.poll() is not None:
            break
        with suppress(OSError):
            entries = _ask(port, READY, {})["workspaceOrError"]["locationEntries"]
            if entries and all(entry["loadStatus"] == "LOADED" for entry in entries):
                return
        time.sleep(0.5)
    said = "\n".join(log.read_text(errors="replace").splitlines()[-30:])
    raise BenchmarkError(f"dagster dev didn't start:\n{said}")
