"""Run days and a window from the command line, on the instance that the UI reads."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._config.errors import PostProcessingError

from stupid_dagster.automation.dead_runs import fail_dead_runs, process_tag
from stupid_dagster.dagster_home import ensure_dagster_home
from stupid_dagster.errors import InstanceError
from stupid_dagster.project import Project
from stupid_dagster.settings.variables import ROOT

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True)
class TableRun:
    """A table's materialisation: its rows, and the seconds that it took."""

    rows: int
    seconds: float


@dataclass(frozen=True)
class PartitionRun:
    """One run of a job for one partition."""

    partition: str
    tables: Mapping[str, TableRun] = field(default_factory=dict)
    failed_checks: tuple[str, ...] = ()
    error: str | None = None


def open_instance(project: Project) -> dg.DagsterInstance:
    """Return the instance in `DAGSTER_HOME`, or in the project's `.dagster_home`, made if absent.

    A `.env` beside it tells a bare `dagster dev` of the same instance. Runs of this command
    line that were killed are marked as failed.
    """
    # The definitions, which are loaded next, find the project by it.
    os.environ[ROOT] = str(project.settings.root)
    home = ensure_dagster_home(_home(project))
    os.environ["DAGSTER_HOME"] = str(home)
    dotenv = project.settings.root / ".env"
    if home == _default_home(project) and not dotenv.exists():
        dotenv.write_text(f"DAGSTER_HOME={home}\n", encoding="utf-8")
    instance = _instance(home)
    fail_dead_runs(instance)
    return instance


@contextmanager
def existing_instance(project: Project) -> Iterator[dg.DagsterInstance | None]:
    """Yield the instance that `open_instance` opens if there is one already; changes nothing."""
    home = _home(project)
    if not (home / "dagster.yaml").exists():
        yield None
        return
    # Its dagster.yaml names the variable, which the shell needn't have set.
    os.environ["DAGSTER_HOME"] = str(home)
    with _instance(home) as instance:
        yield instance


def _instance(home: Path) -> dg.DagsterInstance:
    """Return the instance of DAGSTER_HOME; raises InstanceError where a variable isn't set."""
    try:
        return dg.DagsterInstance.get()
    except (dg.DagsterInvalidConfigError, PostProcessingError) as error:
        # Dagster tells it in a page of traces.
        missing = re.search(r'environment variable "([^"]+)" which is not set', str(error))
        if not missing:
            raise
        raise InstanceError(
            f"{home / 'dagster.yaml'} takes {missing[1]} from the environment, which doesn't have "
            "it: set it for this command as for Dagster's daemon"
        ) from error


def _home(project: Project) -> Path:
    return project.settings.path(os.environ.get("DAGSTER_HOME") or _default_home(project))


def _default_home(project: Project) -> Path:
    return project.settings.root / ".dagster_home"


def run_partition(
    job_name: str,
    partition: str,
    instance: dg.DagsterInstance,
    tables: Sequence[str] | None = None,
) -> PartitionRun:
    """Run a job for a partition in this process; failures are returned, not raised.

    Of its tables those that are given, else all.
    """
    from stupid_dagster.definitions import defs

    result = defs.resolve_job_def(job_name).execute_in_process(
        partition_key=partition,
        instance=instance,
        asset_selection=[dg.AssetKey(table) for table in tables] if tables else None,
        raise_on_error=False,
        run_config=_QUIET,
        tags=process_tag(),
    )
    made = {
        event.asset_key.to_user_string(): _table_run(event.materialization.metadata)
        for event in result.get_asset_materialization_events()
        if event.asset_key
    }
    failed = tuple(
        f"{check.severity.value}: {check.asset_key.to_user_string()}.{check.check_name}: "
        f"{check.description}"
        for check in result.get_asset_check_evaluations()
        if not check.passed
    )
    return PartitionRun(partition, made, failed, run_error(result))


def _table_run(metadata: Mapping[str, dg.MetadataValue[Any]]) -> TableRun:
    values = {name: value.value for name, value in metadata.items()}
    return TableRun(
        rows=int(values.get("dagster/partition_row_count") or 0),
        seconds=float(values.get("seconds") or 0.0),
    )


def run_error(result: dg.ExecuteInProcessResult) -> str | None:
    """Return what ended a run, in a line or as the error says it; None if nothing did."""
    if result.success:
        return None
    for event in result.all_events:
        if event.is_step_failure:
            error = event.step_failure_data.error
            cause = error.cause if error and error.cause else error
            return f"{event.step_key}: {cause.message.strip() if cause else 'failed'}"
    return "the run failed; see the Dagster UI"
