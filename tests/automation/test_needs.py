"""Each step says what it takes, to Ray and to Kubernetes alike."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from stupid_dagster.automation import needs
from stupid_dagster.automation.needs import (
    DAY_NEEDS,
    DAY_RUN,
    KUBERNETES_TAG,
    NEEDS,
    RAY_TAG,
    RETENTION_NEEDS,
    WINDOW_NEEDS,
    Need,
)
from stupid_dagster.definitions import defs

GIB = 2**30
JOBS = {"days": DAY_NEEDS, "window": WINDOW_NEEDS}
LARGE = 5.2
STEPS = {
    node.name: node.tags
    for job in defs.resolve_all_job_defs()
    if not job.name.startswith("__")
    for node in job.nodes
}


def page(name: str) -> str:
    return (Path(__file__).parents[2] / "docs" / f"{name}.md").read_text(encoding="utf-8")


def test_each_step_has_an_entry_and_each_entry_a_step() -> None:
    assert STEPS.keys() == NEEDS.keys()
    for job, wanted in JOBS.items():
        assert {node.name for node in defs.resolve_job_def(job).nodes} == wanted.keys()


@pytest.mark.parametrize("step", NEEDS)
def test_each_step_is_tagged_with_its_own_need(step: str) -> None:
    need = NEEDS[step]
    ray = json.loads(STEPS[step][RAY_TAG])
    kubernetes = json.loads(STEPS[step][KUBERNETES_TAG])["container_config"]["resources"]

    assert need.cpus >= 1, "without CPUs Ray starts a job on the head"
    assert need.peak_gib() * GIB < need.memory() == ray["memory"]
    assert ray["num_cpus"] == need.cpus
    assert set(ray["runtime_env"]["env_vars"].values()) == {str(need.cpus)}
    memory = f"{need.memory() >> 20}Mi"
    assert kubernetes["requests"] == {"cpu": str(need.cpus), "memory": memory}
    assert kubernetes["limits"] == {"memory": memory}


def test_a_window_s_steps_want_a_bigger_worker_than_a_day_s() -> None:
    day = {need.memory() for need in DAY_NEEDS.values()}
    assert max(day) == 1.5 * GIB
    assert NEEDS["graph"].memory() == max(need.memory() for need in NEEDS.values()) == 4 * GIB


@pytest.mark.parametrize("needs_of", [[DAY_RUN], [*WINDOW_NEEDS.values()]])
def test_a_run_in_one_pod_gets_what_its_largest_step_takes(
    needs_of: list[Need], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    resources = needs.run_tags(*needs_of)[KUBERNETES_TAG]["container_config"]["resources"]
    largest = max(need.memory() for need in needs_of)
    assert resources["requests"]["memory"] == f"{largest >> 20}Mi"


def test_pods_have_jobs_that_ask_for_memory_and_nobody_else_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    show = (
        "from stupid_dagster.definitions import defs; import json;"
        "print(json.dumps({n: sorted(defs.resolve_job_def(n).tags) for n in ('days', 'window')}))"
    )

    def tags() -> dict[str, list[str]]:
        run = subprocess.run([sys.executable, "-c", show], check=True, capture_output=True)
        return json.loads(run.stdout.splitlines()[-1])

    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    assert tags() == {"days": [], "window": []}
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert tags() == {"days": [KUBERNETES_TAG], "window": [KUBERNETES_TAG]}


@pytest.mark.parametrize("scale", [1.0, 5.2])
def test_a_pod_of_all_a_day_s_steps_gets_more_than_any_and_no_more_than_all(scale: float) -> None:
    each = [need.peak_gib(scale) for need in DAY_NEEDS.values()]
    assert max(each) < DAY_RUN.peak_gib(scale) < sum(each)


def test_memory_grows_with_the_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUPID_ROOT", str(tmp_path))
    monkeypatch.setenv("STUPID_MEMORY_SCALE", "5")
    asked = json.loads(needs.op_tags("graph_database")[RAY_TAG])["memory"]
    assert asked == NEEDS["graph_database"].memory(5) > 3 * NEEDS["graph_database"].memory()


def measured() -> dict[str, float]:
    """Return what the page says that 150 million events take, in GB by stage."""
    table = page("scaling").partition("## By algorithm")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]+)\|.*\| ([\d.]+) \|$", table, re.MULTILINE)
    return {
        step: float(size)
        for names, size in rows
        for step in re.findall(r"`(\w+)`", names)
        if step in WINDOW_NEEDS
    }


@pytest.mark.parametrize("step", measured())
def test_a_step_asks_for_what_the_page_says_and_little_more(step: str) -> None:
    asked, says = NEEDS[step].memory(LARGE), measured()[step] * 1e9
    assert 1.2 * says < asked < 1.4 * says + GIB


def test_the_page_s_table_has_what_was_measured_at_scale() -> None:
    assert measured().keys() > {"graph", "graph_database", "graph_knowledge", "search_index"}


@pytest.mark.parametrize(("events", "scale"), [(958_000, 1), (1_916_000, 2), (3_832_000, 4)])
def test_a_day_s_step_asks_for_more_than_it_took(events: int, scale: float) -> None:
    (row,) = re.findall(rf"^\| {events:,} \|(.*)\|$", page("scaling"), re.MULTILINE)
    took = dict(zip(DAY_NEEDS, map(float, row.split("|")), strict=True))
    for step, need in DAY_NEEDS.items():
        assert took[step] < need.peak_gib(scale) * 1.1
        assert 1.1 * took[step] * GIB < need.memory(scale) < (1.4 * took[step] + 0.5) * GIB


@pytest.mark.parametrize("scale", [1.0, LARGE])
def test_each_step_fits_the_worker_that_the_pages_recommend(scale: float) -> None:
    """The table of deployment.md: the scale, then the memory of workers of days and of windows."""
    found = re.findall(r"^ *\| `([\d.]+)` \|.*\| `(\d+)` \| `(\d+)` \|$", page("deployment"), re.M)
    workers = {float(row): (int(day), int(window)) for row, day, window in found}
    day, window = workers[scale]
    assert max(need.memory(scale) for need in DAY_NEEDS.values()) == day
    others = [*WINDOW_NEEDS.values(), *RETENTION_NEEDS.values()]
    assert max(need.memory(scale) for need in others) == window
    (small, big) = re.findall(r"^ray start .* --memory=(\d+)", page("deployment"), re.MULTILINE)
    assert (int(small), int(big)) == workers[1.0]
    for size in workers[scale]:
        assert f"{size / GIB:g} GiB" in page("scaling").partition("## What to run it on")[2]


@pytest.mark.parametrize("job", ["evict", "collect_garbage"])
def test_what_removes_stays_beside_the_daemon(job: str) -> None:
    assert defs.resolve_job_def(job).executor_def is dg.in_process_executor
