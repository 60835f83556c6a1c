"""Where steps are done: in the run's own process, or each as a job on a Ray cluster.

Only runs that a code location launches go there; `stupid-dagster run` stays in its process.
"""

from __future__ import annotations

import dagster as dg

from stupid_dagster.errors import SettingsError
from stupid_dagster.settings import Settings

_DAYS_OF_A_LOCAL_RUN = 10


def executor(settings: Settings) -> dg.ExecutorDefinition:
    """Return the executor of all jobs; raises SettingsError where Ray isn't installed."""
    if settings.compute == "local":
        # A process per step would cost several seconds each; runs are parallel, steps are not.
        return dg.in_process_executor
    try:
        from dagster_ray import ray_executor  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError as error:
        raise SettingsError(
            f'compute = "ray", and {error.name} isn\'t installed: pip install '
            "'stupid-dagster[ray]', here and on the workers, or set compute to \"local\""
        ) from error
    # No CPUs or memory here: they would win over those of each step (needs.py).
    return ray_executor.configured({"ray": {"address": settings.ray_address}})


def day_backfill(settings: Settings) -> dg.BackfillPolicy:
    """Return how a backfill of days is parted into runs: on Ray each day is a worker's own."""
    days = _DAYS_OF_A_LOCAL_RUN if settings.compute == "local" else 1
    return dg.BackfillPolicy.multi_run(max_partitions_per_run=days)
