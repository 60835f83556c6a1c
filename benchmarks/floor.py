"""The floor that ingest is measured against: a bare copy by Polars, Parquet to Parquet.

It cleans, types, routes, checks and sorts nothing. Also here: the tenth of a day that the naive
pipeline gets.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

MISSING = ("", "None", "null", "undefined")


def plan(root: str, day: str) -> dict[str, Any]:
    """Tell the files that a day reads, with the columns that the event model keeps of them.

    `own` are files whose date is the day; the others hold some of its rows.
    """
    from datetime import date

    import pyarrow.parquet as pq

    from stupid_dagster.ingest.landing import timestamp_columns
    from stupid_dagster.project import Project

    project = Project.load(root)
    model, landing = project.model, project.landing_index()
    files = []
    for file in landing.for_day(date.fromisoformat(day)):
        path = landing.source.local_path(file.path)
        fields = [f for event_type in file.event_types for f in model.events[event_type].fields]
        spellings = [s for f in fields for s in model.spellings(f)]
        wanted = {*spellings, *timestamp_columns(model)}
        columns = [name for name in pq.read_schema(path).names if name in wanted]
        entry = {"path": str(path), "columns": columns, "own": file.date == day}
        files.append(entry | {"rows": file.rows if file.date == day else file.days.get(day, 0)})
    return {"files": files, "timestamp": model.timestamp.fields[0]}


def copy(
    files: list[dict[str, Any]], out: str, engine: str, prefix: str = "", timestamp: str = ""
) -> Callable[[], dict[str, Any]]:
    """Copy columns of Parquet files to Parquet, zstd; tell rows and bytes.

    `engine` is `memory` (all of a file's columns, then written) or `streaming`. With `prefix`
    only rows whose timestamp begins with it are copied.
    """
    import polars as pl

    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    for number, file in enumerate(files):
        rows = pl.scan_parquet(file["path"], glob=False)
        if prefix:
            rows = rows.filter(pl.col(timestamp).str.starts_with(prefix))
        rows = rows.select(file["columns"])
        target = folder / f"{number}.parquet"
        if engine == "streaming":
            rows.sink_parquet(target, compression="zstd")
        else:
            rows.collect().write_parquet(target, compression="zstd")

    def told() -> dict[str, Any]:
        written = [folder / f"{number}.parquet" for number in range(len(files))]
        rows = pl.scan_parquet(written, missing_columns="insert", extra_columns="ignore")
        return {
            "rows": rows.select(pl.len()).collect().item(),
            "bytes": sum(file.stat().st_size for file in written),
        }

    return told


def tenth(landing: str, out: str, member: str, parts: int = 10) -> dict[str, Any]:
    """Copy the events of one member in ten, and one in ten of those without a member.

    By members and not by rows, so that relations keep their shape. All columns and all dirt stay.
    """
    import polars as pl

    rows = 0
    for file in sorted(Path(landing).rglob("*.parquet")):
        target = Path(out) / file.relative_to(landing)
        target.parent.mkdir(parents=True, exist_ok=True)
        name = pl.col(member).str.strip_chars()
        unknown = name.is_null() | name.is_in(MISSING)
        number = pl.when(unknown).then(pl.int_range(pl.len()).hash()).otherwise(name.hash())
        part = pl.scan_parquet(file, glob=False).filter(number % parts == 0).collect()
        part.write_parquet(target, compression="zstd")
        rows += part.height
    return {"rows": rows}
