"""What `workers` counts at a bucket's server, what it binds, and where it looks for the limit."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from benchmarks.s3_traffic import Traffic, moved_text, traffic
from benchmarks.workers import FITS, _fitting
from benchmarks.workers_ray import environment, on_cores
from stupid_dagster.stores.files import open_files
from tests.stores.s3_server import S3Server


def test_objects_are_counted_where_they_are_kept(bucket: str, s3_server: S3Server) -> None:
    files = open_files(bucket)
    before = traffic(s3_server)
    files.replace("object", bytes(1000))
    files.read("object")
    files.read("object")
    moved = traffic(s3_server).since(before)
    assert (moved.received, moved.sent, moved.requests) == (1000, 2000, 3)
    assert moved.cpu >= 0


def test_a_window_s_traffic_is_what_came_after_the_days() -> None:
    names = ("before", "the days", "graph", "snapshot")
    counts = {name: Traffic(n**2 * 1e6, n * 1e6, n, 0) for n, name in enumerate(names, 3)}
    rows = [line.strip("| ").split(" | ") for line in moved_text(counts).splitlines()[2:]]
    assert rows == [
        ["the days", "7.0", "1.0", "1"],
        ["graph", "9.0", "1.0", "1"],
        ["snapshot", "11.0", "1.0", "1"],
        ["the window", "20.0", "2.0", "2"],
    ]


def test_what_is_started_is_bound_and_so_are_processes_meanwhile() -> None:
    show = "import os; print(len(os.sched_getaffinity(0)))"
    wait = [sys.executable, "-c", "input()"]
    all_cores = os.sched_getaffinity(0)
    with subprocess.Popen(wait, stdin=subprocess.PIPE) as process:
        with on_cores(1, process.pid):
            assert len(os.sched_getaffinity(process.pid)) == 1
            assert subprocess.check_output([sys.executable, "-c", show]) == b"1\n"
        assert os.sched_getaffinity(process.pid) == os.sched_getaffinity(0) == all_cores
        process.communicate(b"\n")


def test_a_shell_s_settings_are_not_the_benchmark_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUPID_SEED", "8")
    with environment({"STUPID_ROOT": "/there"}):
        assert [n for n in os.environ if n.startswith("STUPID_")] == ["STUPID_ROOT"]
    assert os.environ["STUPID_SEED"] == "8"
    assert "STUPID_ROOT" not in os.environ


def test_the_largest_day_is_sought_on_the_line_through_two() -> None:
    assert _fitting({100_000: FITS // 2, 200_000: 3 * FITS // 4}) == 300_000
    assert _fitting({100_000: FITS // 2, 205_000: FITS}) == 200_000
