"""Runs whose process was killed.

Dagster doesn't notice when the process of a run on this machine dies: the run stays "started",
keeps its place in the queue, and keeps a pool's slot, for which the next run waits for ever.
"""

from __future__ import annotations

import os
import socket
from uuid import uuid4

import dagster as dg
from dagster._core.storage.dagster_run import IN_PROGRESS_RUN_STATUSES
from dagster._core.storage.tags import MAX_RETRIES_TAG

PROCESS_TAG = "stupid_dagster/process"
# Tells this process from an earlier one that had the same number.
_PROCESS = uuid4().hex[:8]


def process_tag() -> dict[str, str]:
    """Return the tag by which `fail_dead_runs` knows the process that a run is in.

    And one by which Dagster's daemon leaves the run alone when it has failed: it can't start a run
    again that no code location launched, but would mark it as one that will be.
    """
    process = f"{socket.gethostname()}:{os.getpid()}:{_PROCESS}"
    return {PROCESS_TAG: process, MAX_RETRIES_TAG: "0"}


def fail_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Mark runs as failed whose process, on this machine, is gone; returns their ids.

    Only runs with a `process_tag` are looked at, and none that a code location launched: the UI
    copies tags when a run is started again. The slots that the dead ones hold in pools are freed.
    """
    dead = [
        run
        for run in instance.get_runs(dg.RunsFilter(statuses=IN_PROGRESS_RUN_STATUSES))
        if run.remote_job_origin is None
        and PROCESS_TAG in run.tags
        and _is_gone(run.tags[PROCESS_TAG])
    ]
    for run in dead:
        instance.report_run_failed(run, "The process of this run was killed.")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
    return [run.run_id for run in dead]


def _is_gone(tag: str) -> bool:
    host, pid, process = tag.rsplit(":", 2)
    if host != socket.gethostname():
        return False  # can't be told from here
    if int(pid) == os.getpid():
        return process != _PROCESS
    try:
        os.kill(int(pid), 0)  # asks only
    except ProcessLookupError:
        return True
    except PermissionError:
        return False  # somebody else's, so it runs
    return False
