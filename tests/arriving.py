"""A project whose landing folder starts empty, and files to drop into it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import date
from pathlib import Path

from stupid_dagster.project import Project
from tests.gaming import GAMING, land

DAYS = [f"2013-02-0{n}" for n in range(4, 9)]


def arriving_project(root: Path, **settings: object) -> Project:
    """Return a project in a new folder; its files are whole as soon as they are seen."""
    (root / "landing").mkdir(parents=True)
    (root / "games.yaml").write_text(GAMING)
    values = {
        "landing": "landing",
        "data_root": "lake",
        "event_model": "games.yaml",
        "partitions_start": date(2013, 1, 11),
        "partitions_end": date(2013, 2, 9),
        "arrival_stable_seconds": 0,
    } | settings
    lines = (f'{k} = "{v}"\n' if isinstance(v, str) else f"{k} = {v}\n" for k, v in values.items())
    (root / "stupid.toml").write_text("".join(lines))
    return Project.load(root)


def drop(project: Project, name: str, days: Iterable[str], rows: int = 3) -> Path:
    """Write `Login/<name>.parquet` with so many rows of each day, and return it."""
    return land(
        Path(project.settings.landing_location),
        "Login",
        [
            {"@timestamp": f"{day}T05:{n // 60:02}:{n % 60:02}Z", "memberCode": f"m{n % 7}"}
            for day in days
            for n in range(rows)
        ],
        f"{name}.parquet",
    )


def touch(file: Path, seconds: float) -> None:
    """Set a file's time of change."""
    os.utime(file, (seconds, seconds))
