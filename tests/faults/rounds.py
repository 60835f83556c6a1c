"""A small project whose landing files change from round to round, and the steps of its whole work.

Each round plants events that no other round has, on every day. What is published is of one piece
exactly if all that it says of a day is of that day's round.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import polars as pl

from stupid_dagster.project import Project
from stupid_dagster.samples import write_flights
from stupid_dagster.stages.evict import evict, plan_eviction
from stupid_dagster.stages.publish import publish_window
from stupid_dagster.stages.window import PINS
from stupid_dagster.stores.garbage import collect_garbage
from tests.pipeline import DAY_STAGES, WINDOW_STAGES
from tests.stores.lakes import impatient

OLD, *DAYS = ("2013-02-06", "2013-02-07", "2013-02-08")
LAST = DAYS[-1]
AFTER = "2013-02-09"
"""What ends on it leaves the first day of the window ending on `LAST` behind."""
STALE_TABLE = "degrees"
"""Of it a partition is left behind each round, of a window that eviction takes away."""
_ROWS = 40
_TOKEN = "ZQ"


def make_project(root: Path, landing: Path | None = None, lake: str = "lake") -> Project:
    """Return a project of three days; eviction takes the first, the window has the others.

    `landing` are another project's landing files, unless it is to have its own. `lake` is a folder
    of its own, or an URL.
    """
    root.mkdir(parents=True)
    if landing is None:
        write_flights(root / "base", date.fromisoformat(OLD), date.fromisoformat(LAST))
        for file in (root / "base").glob("*/*.parquet"):
            pl.read_parquet(file).head(_ROWS).write_parquet(file)
        shutil.copytree(root / "base", root / "landing")
    (root / "stupid.toml").write_text(
        f'landing = "{landing or "landing"}"\n'
        f'data_root = "{lake}"\n'
        'workplace = "workplace"\n'
        'event_model = "flights"\n'
        f"partitions_start = {OLD}\n"
        f"partitions_end = {LAST}\n"
        "window_days = 2\n"
        "kept_windows = 1\n"
        "kept_snapshots = 1\n"
        "pattern_min_actors = 5\n"
    )
    return Project.load(root)


def plant(root: Path, number: int, days: tuple[str, ...] = (OLD, *DAYS)) -> None:
    """Let the landing files of the days be those of a round."""
    for day in days:
        name = f"Departure/{day}.parquet"
        base = pl.read_parquet(root / "base" / name)
        token = f"{_TOKEN}{number:04}"
        planted = base.head(planted_rows(number)).with_columns(
            tailnum=pl.lit(token), carrier=pl.lit(token), carrier_name=pl.lit(f"{token} Air")
        )
        temporary = root / "landing" / f"{day}.new"
        pl.concat([base, planted]).write_parquet(temporary)
        temporary.replace(root / "landing" / name)


def planted_rows(number: int) -> int:
    """Return how many events a round plants on each day."""
    return 1 + number % 5


def rounds_in(frame: pl.DataFrame) -> set[int]:
    """Return the rounds whose planted names are anywhere in a frame's strings."""
    found: set[int] = set()
    for series in frame.get_columns():
        while series.dtype.is_nested() and isinstance(series.dtype, pl.List):
            series = series.explode()
        if isinstance(series.dtype, pl.Struct):
            found |= rounds_in(series.struct.unnest())
        elif series.dtype == pl.String:
            names = series.drop_nulls().str.to_uppercase().str.extract_all(rf"{_TOKEN}\d{{4}}")
            found |= {int(name[len(_TOKEN) :]) for name in names.explode().drop_nulls().unique()}
    return found


def _days(stage: Callable[[Project, str], object], *days: str) -> Callable[..., None]:
    """Return what runs a stage for the days it is given, else for `days`."""

    def run(project: Project, *given: str) -> None:
        for day in given or days:
            stage(project, day)

    return run


def _leave_behind(project: Project) -> None:
    """Leave a partition that is before the horizon, with nothing but itself."""
    with project.lake.write(STALE_TABLE, DAYS[0]) as writer:
        writer.write(pl.DataFrame({"entity_id": ["left behind"] * 1000}))


def _evict(project: Project, as_of: str | None = None) -> None:
    eviction = plan_eviction(project, date.fromisoformat(as_of) if as_of else None)
    assert eviction is not None
    evict(project, eviction)


def _collect(project: Project) -> None:
    # `publish` and `evict` leave what they replace for ten minutes.
    impatient(project.lake)
    collect_garbage(project.lake, kept_snapshots=1, grace=timedelta(0), using=PINS)


def _name(stage: Callable[..., object]) -> str:
    return stage.__name__.removeprefix("make_")


STEPS: dict[str, Callable[..., object]] = {
    **{_name(stage): _days(stage, OLD, *DAYS) for stage in DAY_STAGES},
    **{_name(stage): _days(stage, LAST) for stage in WINDOW_STAGES},
    "publish": _days(publish_window, LAST),
    "leave_behind": _leave_behind,
    "evict": _evict,
    "collect_garbage": _collect,
}
"""Everything that is done between two rounds, in its order, by name."""
KILLED_IN = (f"evict {AFTER}", *STEPS)
"""What is killed: as `STEPS`, but that the published window loses its first day before."""
