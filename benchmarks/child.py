"""Run work in processes of its own, and learn what each cost."""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from benchmarks.machine import REPOSITORY
from benchmarks.usage import peak_bytes, resident_bytes

_POLL_SECONDS = 0.1


class BenchmarkError(Exception):
    """A measured process failed; the message has the end of what it said."""


@dataclass(frozen=True)
class Run:
    """What one run of a task cost and told.

    Seconds and memory are those of the task, after its imports; `base_bytes` is what the imports
    had resident before it began.
    """

    wall: float
    cpu: float
    peak_bytes: int
    base_bytes: int = 0
    import_cpu: float = 0.0
    late_imports: int = 0
    late_packages: Sequence[str] = ()
    told: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Runs:
    """Runs of one task under the same conditions."""

    name: str
    runs: Sequence[Run]

    def least(self, figure: str) -> float:
        """Return the least value of a figure: what other work on the machine blurs least."""
        return min(getattr(run, figure) for run in self.runs)

    def median(self, figure: str) -> float:
        """Return the median of a figure."""
        return statistics.median(getattr(run, figure) for run in self.runs)

    @property
    def peak_bytes(self) -> int:
        """Return the highest peak of all runs."""
        return max(run.peak_bytes for run in self.runs)

    @property
    def told(self) -> Mapping[str, Any]:
        """Return what the last run told."""
        return self.runs[-1].told

    def figures(self) -> dict[str, Any]:
        """Return everything as JSON can have it."""
        return {"name": self.name, "runs": [vars(run) for run in self.runs]}


def run_task(
    task: str,
    arguments: Mapping[str, Any],
    *,
    name: str | None = None,
    repeat: int = 1,
) -> Runs:
    """Return the runs of a task, each in a fresh process; raises BenchmarkError when one fails."""
    runs = []
    for _ in range(repeat):
        click.echo(f"... {name or task}", err=True)
        runs.append(_run_once(task, arguments))
    return Runs(name or task, runs)


def _run_once(task: str, arguments: Mapping[str, Any]) -> Run:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "arguments.json"
        file.write_text(json.dumps(arguments, default=str), encoding="utf-8")
        command = [sys.executable, "-m", "benchmarks.worker", task, str(file)]
        done = subprocess.run(
            command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )
        if done.returncode:
            raise _failure(task, done.returncode, done.stdout)
        result = json.loads(file.with_name("arguments.json.out").read_text(encoding="utf-8"))
    return Run(**result["cost"], told=result["told"])


def run_command(name: str, command: Sequence[str], environment: Mapping[str, str]) -> Run:
    """Return what a command cost, from its start to its end, its children included.

    CPU seconds are the system's account of it. The peak is the most that all its processes had
    resident together, looked up ten times a second, or the most that one of them ever had if
    that is more. Raises BenchmarkError when it fails.
    """
    click.echo(f"... {name}", err=True)
    with tempfile.TemporaryFile() as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=REPOSITORY, env=dict(environment), stdout=output, stderr=output
        )
        try:
            peak, status, usage = _watch(process.pid)
        except BaseException:
            process.kill()
            process.wait()
            raise
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        if process.returncode:
            raise _failure(name, process.returncode, output.read())
    return Run(wall=wall, cpu=usage.ru_utime + usage.ru_stime, peak_bytes=peak)


def _watch(process: int) -> tuple[int, int, resource.struct_rusage]:
    """Wait for a child to end; return its family's peak, its exit status and what it used."""
    peak = 0
    while True:
        processes = family(process)
        together = sum(map(resident_bytes, processes))
        peak = max(peak, together, *map(peak_bytes, processes))
        ended, status, usage = os.wait4(process, os.WNOHANG)
        if ended:
            return peak, status, usage
        time.sleep(_POLL_SECONDS)


def family(process: int) -> list[int]:
    """Return a process and all its descendants, where the system tells of them (Linux)."""
    found = [process]
    for parent in found:
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += map(int, children.read_text(encoding="ascii").split())
            except OSError:
                continue
    return found


def _failure(name: str, code: int, output: bytes) -> BenchmarkError:
    said = "\n".join(output.decode(errors="replace").splitlines()[-30:])
    return BenchmarkError(f"{name} failed with exit code {code}:\n{said}")
