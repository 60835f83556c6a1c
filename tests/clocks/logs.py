"""Small logs of whole days, and projects whose calendar goes on to a today of the test's own."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from stupid_dagster import project as project_module
from stupid_dagster.project import Project
from stupid_dagster.query.days import day_bounds
from tests.arriving import arriving_project
from tests.gaming import GAMING, land

MEMBERS = 24
Row = dict[str, str]


def calendar_project(root: Path, zone: str = "Asia/Bangkok", **settings: object) -> Project:
    """Return a project with an empty landing folder whose partitions go on to today."""
    arriving_project(root, partitions_end=date(2013, 12, 31), **settings)
    (root / "games.yaml").write_text(GAMING.replace("Asia/Bangkok", zone))
    config = root / "stupid.toml"
    lines = config.read_text().splitlines(keepends=True)
    config.write_text("".join(line for line in lines if not line.startswith("partitions_end")))
    return Project.load(root)


def it_is(monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    """Let the project's clock stand at a moment (ISO 8601 with an offset)."""
    now = datetime.fromisoformat(moment)

    class Clock(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # pyright: ignore[reportIncompatibleMethodOverride]
            return now.astimezone(tz if isinstance(tz, ZoneInfo) else UTC)

    monkeypatch.setattr(project_module, "datetime", Clock)


def login(moment: datetime, member: int) -> Row:
    """Return a row of `Login`; members from 16 on use another device and are less busy."""
    return {
        "@timestamp": moment.astimezone(UTC).isoformat(timespec="milliseconds")[:23] + "Z",
        "memberCode": f"m{member}",
        "platform": "web" if member % 3 else "ios",
        "fingerprint": f"d{member % 5}",
        "success": "true",
    }


def logins(project: Project, day: str, rows: int = 200) -> list[Row]:
    """Return rows of a local day, which are the same whenever they are asked for."""
    chance = random.Random(day)
    begin, end = day_bounds(date.fromisoformat(day), project.model.zone)
    busy = [n for n in range(MEMBERS) for _ in range(9 if n < MEMBERS * 2 // 3 else 2)]
    moments = sorted(chance.uniform(0, (end - begin).total_seconds() - 1) for _ in range(rows))
    return [login(begin + timedelta(seconds=s), chance.choice(busy)) for s in moments]


def land_day(project: Project, day: str, rows: int = 200, more: list[Row] | None = None) -> Path:
    """Write the day's `Login` file with its rows, and `more` rows, and return it."""
    return land_rows(project, day, [*logins(project, day, rows), *(more or [])])


def land_rows(project: Project, name: str, rows: list[Row]) -> Path:
    """Write `Login/<name>.parquet`, and return it."""
    return land(Path(project.settings.landing_location), "Login", rows, f"{name}.parquet")
