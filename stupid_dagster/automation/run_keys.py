"""Keys by which Dagster knows that it was asked for the same run before."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import dagster as dg
from dagster._core.storage.tags import RUN_KEY_TAG, SENSOR_NAME_TAG


def run_key(*names: object, of: Iterable[str]) -> str:
    """Return `<name>:...:<digest>`; the digest is that of `of`, in whatever order."""
    digest = hashlib.sha256("\n".join(sorted(of)).encode()).hexdigest()[:16]
    return ":".join([*map(str, names), digest])


def newest_run(instance: dg.DagsterInstance, sensor: str, key: str) -> dg.DagsterRun | None:
    """Return the last run that a sensor asked for by a key, or that re-executed such a run."""
    # One by one: Dagster found a single query of many keys to be slower.
    tags = {RUN_KEY_TAG: key, SENSOR_NAME_TAG: sensor}
    return next(iter(instance.get_runs(dg.RunsFilter(tags=tags), limit=1)), None)


def newest_record(instance: dg.DagsterInstance, tag: str, value: str) -> dg.RunRecord | None:
    """Return the last run that has a tag, with its times; re-executions keep their run's tags."""
    filters = dg.RunsFilter(tags={tag: value})
    return next(iter(instance.get_run_records(filters, limit=1)), None)
