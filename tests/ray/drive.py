"""Runs of a job, several at a time, as code servers' run processes would be: `drive.py JOB ...`.

In a process of its own, as definitions are made for the project that the environment names.
"""

from __future__ import annotations

import json
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module

import dagster as dg
from dagster._core.definitions.reconstruct import ReconstructableRepository

DEFINITIONS = "stupid_dagster.definitions"


def main(job: str, days: str, assets: str, most: str = "100") -> None:
    """Run a job's assets (all, if none is named) for each day, at most so many days at a time.

    Prints each run's id and success.
    """
    # Before there are threads: while it imports a module, Dagster changes what all find.
    import_module(DEFINITIONS)
    repository = ReconstructableRepository.for_module(DEFINITIONS, "defs")
    selection = [dg.AssetKey(name) for name in assets.split(",") if name] or None
    with dg.DagsterInstance.get() as instance:

        def run(day: str) -> tuple[str, tuple[str, bool]]:
            result = dg.execute_job(
                repository.get_reconstructable_job(job),
                instance,
                tags={"dagster/partition": day},
                asset_selection=selection,
            )
            return day, (result.run_id, result.success)

        with ThreadPoolExecutor(int(most)) as pool:
            print(json.dumps(dict(pool.map(run, days.split(",")))))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(*sys.argv[1:])
