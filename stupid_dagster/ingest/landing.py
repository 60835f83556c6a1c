"""The landing index: which event days each landing file holds.

A file of one date can hold events of another, so that a day needs every file whose rows
touch it. The index reads each file's timestamps once and remembers them by what its file system
tells a change by. The landing folder itself is only ever read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import polars as pl
import structlog

from stupid_dagster.errors import IngestError
from stupid_dagster.event_model import EventModel, model_hash
from stupid_dagster.event_model.expressions import cleaned, without_nulls
from stupid_dagster.event_model.timestamps import parse_timestamps
from stupid_dagster.ingest.readers import Reader, open_file, reader_of
from stupid_dagster.ingest.routing import (
    date_of_path,
    event_type_of_path,
    match_event_type,
    unknown_event_type,
)
from stupid_dagster.ingest.source import Source, SourceFile
from stupid_dagster.stores.durable import write_durably

# A day with fewer rows in a file than this share of its fullest day's is a stray in it.
_STRAY = 0.02
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class LandingFile:
    """A landing file as it was when it was looked at.

    `event_types` and `days` have the number of its rows by event type, and by the event day of
    its usable timestamps. `strays` has the positions of the rows of days that have few of its
    rows, so that they are found without reading all of its timestamps again. `whole` is set by
    the sensor that has seen it unchanged for long enough; a run takes files as they are.
    """

    path: str
    size: int
    stamp: str
    date: str | None
    rows: int
    event_types: dict[str, int]
    days: dict[str, int]
    strays: dict[str, list[int]]
    problem: str | None = None
    whole: bool = False

    @property
    def state(self) -> str:
        """The same as that of the `SourceFile` for as long as the file doesn't change."""
        return SourceFile(self.path, self.size, self.stamp).state

    @property
    def untold(self) -> bool:
        """Whether it has a problem, and no date in its name by which a day could tell of it."""
        return bool(self.problem) and not self.date

    @property
    def own_days(self) -> set[str]:
        """The days that it is a file of: its date, and those that aren't strays in it."""
        return {*(self.days.keys() - self.strays.keys()), *([self.date] if self.date else [])}

    def home(self, partitions: tuple[date, date]) -> str | None:
        """Return the day that tells of the file as a whole: its date's, else its first rows'."""
        first, last = (day.isoformat() for day in partitions)
        days = [*([self.date] if self.date else []), *sorted(self.days)]
        return next((day for day in days if first <= day <= last), None)


@dataclass(frozen=True)
class LandingIndex:
    """All landing files of a folder; `ignored` are the paths of kinds that can't be read."""

    source: Source
    files: tuple[LandingFile, ...]
    ignored: tuple[str, ...] = ()

    def for_day(self, day: date) -> list[LandingFile]:
        """Return the files that have events of the day, or that are dated with it."""
        text = day.isoformat()
        return [file for file in self.files if text in file.days or file.date == text]

    def days(self) -> list[str]:
        """Return all event days that the files touch, ascending."""
        return sorted({d for f in self.files for d in (*f.days, *([f.date] if f.date else []))})


def index_landing(
    model: EventModel, landing: Source | str | Path, cache: Path | None = None
) -> LandingIndex:
    """Return the index of all files in a landing folder (itself, its path or its URL).

    `cache` spares reading unchanged files. Raises IngestError when the folder isn't there, and
    StoreError when its bucket can't be reached.
    """
    source = landing if isinstance(landing, Source) else Source(str(landing))
    found = source.files()
    return index_files(model, source, found, cache)


def index_files(
    model: EventModel, source: Source, found: Iterable[SourceFile], cache: Path | None = None
) -> LandingIndex:
    """Return the index of the given files of a landing folder; see `index_landing`."""
    known = read_cache(model, cache)
    files: list[LandingFile] = []
    ignored: list[str] = []
    for file in found:
        old = known.get(file.path)
        if reader_of(file.path) is None:
            ignored.append(file.path)
        # What made a file unreadable may have passed without changing it.
        elif old and old.state == file.state and not old.problem:
            files.append(old)
        else:
            files.append(_inspect(model, source, file))
    if cache and {file.path: file for file in files} != known:
        write_cache(model, cache, files)
    return LandingIndex(source, tuple(files), tuple(ignored))


def read_timestamps(
    model: EventModel, reader: Reader, records: pl.Series | None = None
) -> tuple[pl.Series, pl.Series]:
    """Return records' times (UTC ms; null where unusable) and the texts they come from.

    `records` are positions in the file, None is all. Raises IngestError when the file can't be
    read.
    """
    present = set(reader.columns)
    fields = [field for field in timestamp_columns(model) if field in present]
    if not fields:
        height = reader.height if records is None else len(records)
        texts = pl.Series("timestamp", [None], dtype=pl.String).new_from_index(0, height)
    elif len(fields) == 1:
        # Without the white space stripped: few texts have any, and parsing does it for those.
        texts = reader.read(fields, records).select(
            without_nulls(pl.first(), model.nulls).alias("timestamp")
        )["timestamp"]
    else:
        clean = (cleaned(field, model.nulls) for field in fields)
        frame = reader.read(fields, records)
        texts = frame.select(pl.coalesce(*clean).alias("timestamp"))["timestamp"]
    return parse_timestamps(texts, model.timestamp), texts


def read_event_types(
    model: EventModel, reader: Reader, records: pl.Series | None = None
) -> tuple[pl.Series, pl.Series]:
    """Return each record's event type (null where unknown) and the cleaned text that names it.

    `records` are positions in the file, None is all. Raises IngestError when the file can't be
    read, or names its event types nowhere.
    """
    column = model.event_type_column
    if column is None or column not in reader.columns:
        found = event_type_of_path(model, reader.path)
        if found is None:
            where = f", and it has no column {column!r}" if column else ""
            raise IngestError(f"{unknown_event_type(model, reader.path)}{where}")
        height = reader.height if records is None else len(records)
        one = pl.Series([found]).new_from_index(0, height)
        return one, one
    texts = reader.read([column], records).select(cleaned(column, model.nulls)).to_series()
    names = texts.drop_nulls().unique()
    matched = pl.Series([match_event_type(model, name) for name in names], dtype=pl.String)
    return texts.replace_strict(names, matched, default=None, return_dtype=pl.String), texts


def timestamp_columns(model: EventModel) -> list[str]:
    """Return the columns that an event's time may stand in, with their other spellings."""
    spellings = (s for f in model.timestamp.fields for s in model.spellings(f))
    return list(dict.fromkeys(spellings))


def _inspect(model: EventModel, source: Source, file: SourceFile) -> LandingFile:
    dated = date_of_path(file.path)
    rows, event_types, days, strays, problem = 0, {}, {}, {}, None
    try:
        if file.size == 0:
            raise IngestError(f"{file.path}: the file is empty (0 bytes)")
        reader = open_file(source, file.path)
        types, _ = read_event_types(model, reader)
        event_types = _counted(types)
        times, _ = read_timestamps(model, reader)
        rows = reader.height + len(reader.bad_records)
        local_days = times.dt.convert_time_zone(model.timezone).dt.date().cast(pl.String)
        days = _counted(local_days)
        strays = _strays(local_days, days, dated)
        if dated is None and times.null_count():
            problem = (
                f"{times.null_count()} of {rows} rows have no usable timestamp, and the "
                "file's name has no date (YYYY-MM-DD) that could stand for it"
            )
    except IngestError as error:
        problem = str(error)
    if problem:
        log.warning("landing file has a problem", file=file.path, problem=problem)
    return LandingFile(
        file.path, file.size, file.stamp, dated, rows, event_types, days, strays, problem
    )


def _strays(local_days: pl.Series, days: dict[str, int], dated: str | None) -> dict[str, list[int]]:
    """Return the rows of the days that have few of the file's rows, its own date aside."""
    most = _STRAY * max(days.values(), default=0)
    few = [day for day, rows in days.items() if rows <= most and day != dated]
    # In one pass: rubbish that reads as times makes thousands of days.
    rows = local_days.to_frame("day").with_row_index("row").filter(pl.col("day").is_in(few))
    grouped = rows.group_by("day", maintain_order=True).agg("row").sort("day")
    return dict(grouped.iter_rows())


def _counted(values: pl.Series) -> dict[str, int]:
    counts = values.drop_nulls().alias("value").value_counts(sort=False).sort("value")
    return dict(counts.iter_rows())


def _cache_key(model: EventModel) -> str:
    return f"4:{model_hash(model)}"


def write_cache(model: EventModel, cache: Path, files: Iterable[LandingFile]) -> None:
    """Replace the written index by these files."""
    cache.parent.mkdir(parents=True, exist_ok=True)
    tree = {"key": _cache_key(model), "files": [asdict(file) for file in files]}
    write_durably(cache, json.dumps(tree))


def read_cache(model: EventModel, cache: Path | None) -> dict[str, LandingFile]:
    """Return the files of a written index by path; none where it is missing or of no use."""
    if cache is None or not cache.exists():
        return {}
    try:
        tree = json.loads(cache.read_text(encoding="utf-8"))
        if tree["key"] != _cache_key(model):
            return {}
        return {row["path"]: LandingFile(**row) for row in tree["files"]}
    except (ValueError, KeyError, TypeError) as error:
        log.warning("landing index is unreadable and is made anew", file=str(cache), error=error)
        return {}
