import os
import subprocess
import sys

import dagster as dg
import pytest
from dagster._core.remote_origin import InProcessCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._core.storage.tags import WILL_RETRY_TAG
from dagster._core.test_utils import create_test_daemon_workspace_context
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from dagster._daemon.auto_run_reexecution.event_log_consumer import EventLogConsumerDaemon

from stupid_dagster.automation import dead_runs
from stupid_dagster.automation.dead_runs import fail_dead_runs, process_tag

SLEEPING_RUN = """
import time
import dagster as dg
from stupid_dagster.automation.dead_runs import process_tag

@dg.asset(pool="graph")
def sleeps():
    print("started", flush=True)
    time.sleep(600)

with dg.DagsterInstance.get() as instance:
    dg.materialize([sleeps], instance=instance, tags=process_tag())
"""


def slot_holders(instance: dg.DagsterInstance) -> list[str]:
    pool = instance.event_log_storage.get_concurrency_info("graph")
    return [slot.run_id for slot in pool.claimed_slots]


def test_a_killed_run_ends_as_failed_and_frees_its_slot(instance):
    process = subprocess.Popen(
        [sys.executable, "-c", SLEEPING_RUN],
        env=os.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout
    with process.stdout as lines:
        assert lines.readline() == "started\n"
    assert fail_dead_runs(instance) == []  # it lives
    process.kill()
    process.wait()

    (run,) = instance.get_runs()
    assert run.status is dg.DagsterRunStatus.STARTED
    assert slot_holders(instance) == [run.run_id]

    assert fail_dead_runs(instance) == [run.run_id]
    (run,) = instance.get_runs()
    assert run.status is dg.DagsterRunStatus.FAILURE
    assert slot_holders(instance) == []
    assert fail_dead_runs(instance) == []

    @dg.asset(pool="graph")
    def waits_for_the_slot():
        pass

    assert dg.materialize([waits_for_the_slot], instance=instance).success


@pytest.mark.parametrize(
    "tag, is_dead",
    [
        (None, False),  # somebody else's run
        ("another-host:{pid}:0", False),
        ("{host}:{pid}:0", True),  # had our number before us
        ("{host}:{parent}:0", False),
        ("{host}:{pid}:{process}", False),
    ],
)
def test_only_runs_that_are_known_to_be_dead_are_touched(instance, tag, is_dead):
    host, pid, process = process_tag()[dead_runs.PROCESS_TAG].rsplit(":", 2)
    parts = {"host": host, "pid": pid, "process": process, "parent": os.getppid()}
    tags = {dead_runs.PROCESS_TAG: tag.format(**parts)} if tag else {}
    run = instance.create_run_for_job(
        dg.GraphDefinition("empty").to_job(), status=dg.DagsterRunStatus.STARTED, tags=tags
    )
    assert fail_dead_runs(instance) == ([run.run_id] if is_dead else [])


def test_a_run_with_copied_tags_is_not_taken_for_dead(instance):
    host, pid, _ = process_tag()[dead_runs.PROCESS_TAG].rsplit(":", 2)
    location = InProcessCodeLocationOrigin(
        LoadableTargetOrigin(python_file=__file__), location_name="tests"
    )
    instance.create_run_for_job(
        dg.GraphDefinition("empty").to_job(),
        status=dg.DagsterRunStatus.STARTED,
        tags={dead_runs.PROCESS_TAG: f"{host}:{pid}:0"},
        remote_job_origin=RemoteRepositoryOrigin(location, "all").get_job_origin("empty"),
    )
    assert fail_dead_runs(instance) == []


@pytest.mark.filterwarnings("ignore:The 'warn' method is deprecated")  # Dagster's daemon calls it
@pytest.mark.parametrize("is_of_the_command_line", [True, False])
def test_the_daemon_does_not_try_to_start_runs_of_the_command_line_again(
    instance, is_of_the_command_line
):
    tags = process_tag() if is_of_the_command_line else {}
    job = dg.GraphDefinition("empty").to_job()
    with create_test_daemon_workspace_context(EmptyWorkspaceTarget(), instance) as workspace:
        daemon = EventLogConsumerDaemon()
        list(daemon.run_iteration(workspace))  # from here on it looks
        run = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED, tags=tags)
        instance.report_run_failed(run)
        list(daemon.run_iteration(workspace))
    (run,) = instance.get_runs()
    tried = [e for e in instance.all_logs(run.run_id) if "unable to retry" in e.message]
    assert run.tags[WILL_RETRY_TAG] == ("false" if is_of_the_command_line else "true")
    assert len(tried) == (0 if is_of_the_command_line else 1)
