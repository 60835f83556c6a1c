"""The raw landing files of the tests' flights, read without anything of the engine."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from stupid_dagster.project import Project

DAYS = ["2013-02-06", "2013-02-07", "2013-02-08", "2013-02-09"]


def landing(project: Project, event_type: str, *days: str) -> pl.DataFrame:
    """Return the rows of an event type's files, all days' unless some are named."""
    folder: Path = project.settings.root / "landing" / event_type
    files = [folder / f"{day}.parquet" for day in days or DAYS]
    return pl.concat(
        pl.read_parquet(file).with_columns(day=pl.lit(file.stem)) for file in files if file.exists()
    )
