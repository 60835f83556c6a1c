"""What measures must itself be right: seconds, memory, and what is said of failures."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks import __main__ as command
from benchmarks import flights, month, report
from benchmarks.child import BenchmarkError, Run, Runs, run_command, run_task
from benchmarks.data import Sample, gaming_sample, land
from benchmarks.machine import code_state, describe
from benchmarks.targets import FULL_DAY, TARGETS, judged
from benchmarks.usage import measured, peak_bytes

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="memory of others is told on Linux only")
EVENTS = 2_000


def test_cpu_counts_work_and_not_waiting() -> None:
    with measured() as spent:
        os.system(f"{sys.executable} -c 'import time; time.sleep(0.3)'")  # a child of the process
    assert spent.wall >= 0.3
    assert 0 < spent.cpu < spent.wall


@LINUX
def test_a_command_s_peak_and_cpu_are_its_family_s() -> None:
    hold = "b = bytearray(150_000_000); import time; time.sleep(0.5)"
    script = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {hold!r}])"
    run = run_command("holder", [sys.executable, "-c", script], os.environ)
    assert 150e6 < run.peak_bytes < 300e6
    assert run.wall >= 0.5
    assert 0 < run.cpu < run.wall


@LINUX
def test_a_task_s_peak_is_not_its_parent_s(tmp_path: Path) -> None:
    ballast = bytearray(400_000_000)
    ballast[::4096] = b"x" * len(ballast[::4096])
    landing = tmp_path / "landing"
    landing.mkdir()
    run = run_task("tenth", {"landing": landing, "out": tmp_path, "member": "m"}).runs[0]
    assert peak_bytes() > len(ballast) > run.peak_bytes >= run.base_bytes > 20e6
    assert run.told == {"rows": 0}


def test_failures_say_what_the_process_said(tmp_path: Path) -> None:
    copy = {"files": [{"path": str(tmp_path / "none"), "columns": []}], "out": tmp_path}
    with pytest.raises(BenchmarkError, match="copy failed with exit code 1:"):
        run_task("copy", copy | {"engine": "memory"})
    with pytest.raises(BenchmarkError, match=r"exit code 3:\nwhy"):
        run_command("x", [sys.executable, "-c", "print('why'); raise SystemExit(3)"], os.environ)


def test_runs_show_their_least_and_their_median() -> None:
    runs = Runs("x", [Run(3.0, 5.0, 10), Run(1.0, 9.0, 30), Run(2.0, 7.0, 20)])
    assert (runs.least("wall"), runs.median("cpu"), runs.peak_bytes) == (1.0, 7.0, 30)
    text = report.stage_table([runs])
    assert "median CPU s" in text
    assert "| x | 1.00 | 5.00 |" in text


def test_targets_are_judged_on_full_days_only() -> None:
    over = {name: target.limit * 2 + 1 for name, target in TARGETS.items()}
    met = {row["target"]: row["met"] for row in judged(over, FULL_DAY)}
    assert met == {name: target.at_least for name, target in TARGETS.items()}
    assert {row["met"] for row in judged(over, FULL_DAY - 1)} == {None}
    assert {row["met"] for row in judged(over, FULL_DAY, days=29)} == {None}
    at_limit = {name: target.limit for name, target in TARGETS.items()}
    assert {row["met"] for row in judged(at_limit, FULL_DAY)} == {True}


def test_the_code_s_state_is_that_of_the_folder() -> None:
    assert code_state("benchmarks") == code_state("benchmarks") != code_state("assets")
    machine = describe()
    assert machine["cores"] >= 1
    assert machine["memory_bytes"] > 2**28
    assert machine["packages"]["polars"]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """Three days of a small sample."""
    return gaming_sample(tmp_path_factory.mktemp("data"), 3, EVENTS, 7)


def test_a_sample_is_made_once_and_anew_when_too_short(sample: Sample) -> None:
    folder = sample.landing.parents[1]
    stamps = {file: file.stat().st_mtime_ns for file in sample.landing.rglob("*.parquet")}
    assert gaming_sample(folder, 2, EVENTS, 7) == sample
    assert {file: file.stat().st_mtime_ns for file in stamps} == stamps
    meta = sample.landing.parent / "sample.json"
    meta.write_text(meta.read_text().replace('"days": 3', '"days": 1'))
    again = gaming_sample(folder, 3, EVENTS, 7)
    assert again.days == 3
    assert {file.stat().st_mtime_ns for file in stamps}.isdisjoint(stamps.values())


def test_landing_takes_the_days_asked_for(sample: Sample, tmp_path: Path) -> None:
    land(sample, [sample.day(1)], tmp_path)
    land(sample, [sample.day(1)], tmp_path)
    assert {file.stem for file in tmp_path.rglob("*.parquet")} == {"2025-03-02"}
    assert sum(f.stat().st_size for f in tmp_path.rglob("*.parquet")) == sample.bytes(
        ["2025-03-02"]
    )


@pytest.mark.slow
def test_a_stopped_month_goes_on_where_it_was(
    sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = {name: month.WINDOW_STAGES[name] for name in ("window_days", "search_index")}
    monkeypatch.setattr(month, "WINDOW_STAGES", two)
    names = ("index", *month.DAY_STAGES)
    cost = {"partitions": 1, "rows": 7, "bytes": 11, "wall": 1.0, "cpu": 0.5}
    run = Run(4.0, 2.0, 30, told={"stages": dict.fromkeys(names, cost)})
    first = json.dumps({"day": sample.day(0), "code": "x", "run": vars(run)}) + "\n"
    (tmp_path / "generator").write_text(sample.generator)
    costs = tmp_path / "costs.jsonl"
    costs.write_text(first + '{"day": "2025-03-02", "co')  # killed while it wrote
    part = month.month_part(tmp_path, sample, 2)
    assert costs.read_text().startswith(first)
    made = {row["day"]: Run(**row["run"]) for row in part.figures["days"]}
    assert (made[sample.day(0)].cpu, made[sample.day(0)].told) == (run.cpu, run.told)
    assert part.measured["last_days_over_first"] == made[sample.day(1)].cpu / 2.0
    assert part.measured["segments_over_landing"] > 0
    assert part.figures["window"][1]["runs"][0]["told"]["rows"] > 0
    assert "2 states" in part.text


@pytest.mark.slow
def test_flights_cost_every_stage() -> None:
    text, figures = flights.measure(describe(), days=1)
    stages = figures["runs"][0]["told"]["stages"]
    assert stages["documents"]["rows"] > 500
    assert all(cost["cpu"] > 0 for cost in stages.values())
    assert "| documents | 1 |" in text


@pytest.mark.slow
def test_the_command_writes_both_reports(sample: Sample, tmp_path: Path) -> None:
    folder = sample.landing.parents[1]
    arguments = ["naive", "--events", str(EVENTS), "--data", str(folder), "--out", str(tmp_path)]
    result = CliRunner().invoke(command.main, arguments)
    assert result.exit_code == 0, result.output
    text = (tmp_path / "naive.md").read_text()
    assert text in result.stdout
    figures = json.loads((tmp_path / "naive.json").read_text())
    assert figures["differing"] == []
    assert figures["counts"]["documents"] > EVENTS / 20
    assert "They agree" in text
