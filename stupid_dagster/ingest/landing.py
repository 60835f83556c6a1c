"""The landing index: which event days each landing file holds.

A file of one date can hold events of another, so that a day needs every file whose rows
touch it. The index reads each file's timestamps once and remembers them by size and time of
change. The landing folder itself is only ever read.
"""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import polars as pl
import structlog

from stupid_dagster.errors import IngestError, hint
from stupid_dagster.event_model import EventModel, model_hash
from stupid_dagster.event_model.expressions import cleaned
from stupid_dagster.event_model.timestamps import parse_timestamps
from stupid_dagster.ingest import readers
from stupid_dagster.stores.lake import write_durably

log = structlog.get_logger(__name__)
_DATE = re.compile(r"(?<!\d)(\d{4})(-?)(\d{2})\2(\d{2})")


@dataclass(frozen=True)
class LandingFile:
    """A landing file; `days` has every event day that its usable timestamps fall on."""

    path: str
    event_type: str | None
    date: str | None
    size: int
    modified: int
    rows: int
    days: tuple[str, ...]
    problem: str | None = None


@dataclass(frozen=True)
class LandingIndex:
    """All landing files of a folder."""

    folder: Path
    files: tuple[LandingFile, ...]

    def for_day(self, day: date) -> list[LandingFile]:
        """Return the files that have events of the day, or that are dated with it."""
        text = day.isoformat()
        return [file for file in self.files if text in file.days or file.date == text]

    def days(self) -> list[str]:
        """Return all event days that the files touch, ascending."""
        return sorted({d for f in self.files for d in (*f.days, *([f.date] if f.date else []))})

    @property
    def undated_problems(self) -> list[LandingFile]:
        """Files that can't be used and whose names tell no day that could report them."""
        return [file for file in self.files if file.problem and not file.date]


def index_landing(model: EventModel, folder: Path, cache: Path | None = None) -> LandingIndex:
    """Return the index of all files below `folder`; `cache` spares reading unchanged files.

    Raises IngestError when the folder isn't there.
    """
    if not folder.is_dir():
        raise IngestError(
            f"landing folder {folder} does not exist; set `landing` in stupid.toml, or make "
            "sample data with `stupid-dagster sample flights --out DIR`"
        )
    known = _read_cache(cache, model)
    files: list[LandingFile] = []
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in readers.SUFFIXES):
        name = path.relative_to(folder).as_posix()
        try:
            state = path.stat()
        except OSError as error:
            log.warning("landing file is gone", file=name, error=str(error))
            continue
        if not stat.S_ISREG(state.st_mode):
            continue
        old = known.get(name)
        unchanged = old and (old.size, old.modified) == (state.st_size, state.st_mtime_ns)
        # What made a file unreadable may have passed without changing it.
        if old and unchanged and not old.problem:
            files.append(old)
        else:
            files.append(_inspect(model, path, name, state.st_size, state.st_mtime_ns))
    if cache and {file.path: file for file in files} != known:
        cache.parent.mkdir(parents=True, exist_ok=True)
        tree = {"key": _cache_key(model), "files": [asdict(file) for file in files]}
        write_durably(cache, json.dumps(tree))
    return LandingIndex(folder, tuple(files))


def read_timestamps(
    model: EventModel, path: Path, columns: Iterable[str]
) -> tuple[pl.Series, pl.Series]:
    """Return a file's times (UTC ms; null where unusable) and the cleaned texts they come from.

    Raises IngestError when the file can't be read.
    """
    present = set(columns)
    fields = [field for field in timestamp_columns(model) if field in present]
    if not fields:
        height = readers.row_count(path)
        texts = pl.Series("timestamp", [None], dtype=pl.String).new_from_index(0, height)
    else:
        frame = readers.read_strings(path, fields)
        clean = (cleaned(field, model.nulls) for field in fields)
        texts = frame.select(pl.coalesce(*clean).alias("timestamp"))["timestamp"]
    return parse_timestamps(texts, model.timestamp), texts


def timestamp_columns(model: EventModel) -> list[str]:
    """Return the columns that an event's time may stand in, with their other spellings."""
    spellings = (s for f in model.timestamp.fields for s in (f, *model.aliases.get(f, [])))
    return list(dict.fromkeys(spellings))


def match_event_type(model: EventModel, folder_name: str) -> str | None:
    """Return the event type that a landing folder's name or alias means, None if none does."""
    wanted = folder_name.casefold()
    for name, event_type in model.events.items():
        if wanted in (name.casefold(), *(alias.casefold() for alias in event_type.aliases)):
            return name
    return None


def _inspect(model: EventModel, path: Path, name: str, size: int, modified: int) -> LandingFile:
    folder = path.parent.name
    event_type = match_event_type(model, folder)
    dated = _file_date(path.stem)
    rows, days, problem = 0, (), None
    if event_type is None:
        problem = f"no event type is named {folder!r}{hint(folder, model.events)}"
    else:
        try:
            times, _ = read_timestamps(model, path, readers.column_names(path))
            rows = len(times)
            local = times.drop_nulls().dt.convert_time_zone(model.timezone).dt.date()
            days = tuple(day.isoformat() for day in local.unique().sort().to_list())
            if dated is None and times.null_count():
                problem = (
                    f"{times.null_count()} of {rows} rows have no usable timestamp, and the "
                    "file's name has no date (YYYY-MM-DD) that could stand for it"
                )
        except IngestError as error:
            problem = str(error)
    if problem:
        log.warning("landing file has a problem", file=name, problem=problem)
    return LandingFile(name, event_type, dated, size, modified, rows, days, problem)


def _file_date(stem: str) -> str | None:
    for match in _DATE.finditer(stem):
        try:
            return date(int(match[1]), int(match[3]), int(match[4])).isoformat()
        except ValueError:
            continue
    return None


def _cache_key(model: EventModel) -> str:
    return f"1:{model_hash(model)}"


def _read_cache(cache: Path | None, model: EventModel) -> dict[str, LandingFile]:
    if cache is None or not cache.exists():
        return {}
    try:
        tree = json.loads(cache.read_text(encoding="utf-8"))
        if tree["key"] != _cache_key(model):
            return {}
        rows = [LandingFile(**(row | {"days": tuple(row["days"])})) for row in tree["files"]]
    except (ValueError, KeyError, TypeError) as error:
        log.warning("landing index is unreadable and is made anew", file=str(cache), error=error)
        return {}
    return {row.path: row for row in rows}
