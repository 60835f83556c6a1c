"""Keys by which Dagster knows that it was asked for the same run before."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

import dagster as dg
from dagster._core.storage.tags import RUN_KEY_TAG, SENSOR_NAME_TAG


def run_key(*names: object, of: Iterable[str]) -> str:
    """Return `<name>:...:<digest>`; the digest is that of `of`, in whatever order."""
    digest = hashlib.sha256("\n".join(sorted(of)).encode()).hexdigest()[:16]
    return ":".join([*map(str, names), digest])


def newest_run(instance: dg.DagsterInstance, sensor: str, key: str) -> dg.DagsterRun | None:
    """Return the last run that a sensor asked for by a key, or that re-executed such a run."""
    # One by one: Dagster found a single query of many keys to be slower.
    record = newest_record(instance, {RUN_KEY_TAG: key, SENSOR_NAME_TAG: sensor})
    return record.dagster_run if record else None


def newest_record(instance: dg.DagsterInstance, tags: Mapping[str, str]) -> dg.RunRecord | None:
    """Return the last run that has all tags, with its times; re-executions keep their run's."""
    return next(iter(instance.get_run_records(dg.RunsFilter(tags=tags), limit=1)), None)
