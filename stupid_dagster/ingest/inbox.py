"""The inbox: events that were handed in one by one, as files in the landing layout.

Unlike the landing folder it is ours. A file is written whole under a hidden name, synced, renamed
and never touched again, so that nobody sees half of one, and what was accepted survives a crash.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl

from stupid_dagster.errors import StoreError, hint
from stupid_dagster.event_model import EventModel
from stupid_dagster.event_model.expressions import cleaned
from stupid_dagster.event_model.timestamps import parse_timestamps
from stupid_dagster.ingest.landing import timestamp_columns
from stupid_dagster.ingest.routing import match_event_type
from stupid_dagster.stores.full_disk import full_disk_told

_LEFT_SECONDS = 3600.0
"""After which a hidden file is nobody's any more: writing one takes far less."""
Event = Mapping[str, Any]
Lines = Mapping[tuple[str, str], Sequence[str]]
"""Events as lines of JSON, by event type and day."""


@dataclass(frozen=True)
class Checked:
    """Events that can be kept, and what is wrong with the others: position, and what."""

    lines: Lines
    mistakes: Sequence[tuple[int, str]]


def check_events(
    model: EventModel,
    events: Sequence[Event],
    event_type: str | None,
    partitions: tuple[date, date],
) -> Checked:
    """Return events as the files that they belong in have them, and all mistakes.

    An event's type is in the model's column for it, else in `event_type` of the event, else that
    of all of them. Its day, which must be in `partitions`, is the model's. A value that is an
    object or a list is kept as it is: the reader of such files makes it JSON text.
    """
    mistakes: list[tuple[int, str]] = []
    types: list[str | None] = []
    for place, event in enumerate(events):
        name = _named(model, event, event_type)
        found = match_event_type(model, name) if name else None
        types.append(found)
        if found is None:
            near = hint(name[:80], model.events) if name else ""
            told = f"no event type is named {name[:80]!r}{near}" if name else "it has no event type"
            mistakes.append((place, f"{told}; there are {', '.join(model.events)}"))
    texts = _time_texts(model, events)
    times = parse_timestamps(texts, model.timestamp)
    days = times.dt.convert_time_zone(model.timezone).dt.date().to_list()
    first, last = partitions
    lines: dict[tuple[str, str], list[str]] = defaultdict(list)
    for place, (event, kind, day, text) in enumerate(zip(events, types, days, texts, strict=True)):
        if day is None:
            fields = " or ".join(model.timestamp.fields)
            what = "is no time" if text else "is missing"
            mistakes.append((place, f"the timestamp ({fields}) {what}; give one such as {_now()}"))
        elif not first <= day <= last:
            mistakes.append((place, f"its day {day} is outside the partitions, {first} to {last}"))
        elif kind:
            line = json.dumps(_with_type(model, event, kind), ensure_ascii=True)
            lines[kind, day.isoformat()].append(line)
    return Checked(lines, sorted(mistakes))


@dataclass
class Inbox:
    """A folder that events are added to, by any number of threads.

    Those that come while others are being synced wait for them and are then written together:
    so many writers need no more files and syncs than few do.
    """

    folder: Path
    _turn: threading.Condition = field(default_factory=threading.Condition)
    _writing: bool = False
    _tidied: bool = False
    _pending: list[tuple[Lines, Future[str]]] = field(default_factory=list)

    def add(self, lines: Lines) -> str:
        """Return the id of the files that keep the events, once no crash can lose them.

        Raises StoreError for a full disk, and OSError for what else there is: none is kept then.
        """
        kept: Future[str] = Future()
        with self._turn:
            self._pending.append((lines, kept))
            while self._writing and not kept.done():
                self._turn.wait()
            if kept.done():
                return kept.result()
            self._writing = True
            batch, self._pending = self._pending, []
        try:
            self._write(batch)
        finally:
            with self._turn:
                self._writing = False
                self._turn.notify_all()
        return kept.result()

    def _write(self, batch: Sequence[tuple[Lines, Future[str]]]) -> None:
        joined: dict[tuple[str, str], list[str]] = defaultdict(list)
        for lines, _ in batch:
            for place, found in lines.items():
                joined[place] += found
        name = f"{datetime.now(UTC):%H%M%S%f}-{secrets.token_hex(4)}"
        try:
            with full_disk_told(self.folder):
                if not self._tidied:
                    _remove_leftovers(self.folder)
                    self._tidied = True
                _write_files(self.folder, joined, name)
        except Exception as error:
            for _, kept in batch:
                kept.set_exception(error)
            return
        except BaseException:
            # It ends this thread, and not those that wait for it.
            for _, kept in batch:
                kept.set_exception(StoreError("the writing was interrupted, and nothing was kept"))
            raise
        for _, kept in batch:
            kept.set_result(name)


def _write_files(folder: Path, lines: Lines, name: str) -> None:
    """Write a file for each event type and day; leaves none when it fails."""
    hidden: dict[Path, Path] = {}
    try:
        for (event_type, day), found in lines.items():
            # Its punctuation isn't needed to know it by.
            place = folder / re.sub(r"^[._]|[/\\\0]", "-", event_type)
            _make_folder(place)
            file = place / f"{day}-{name}.jsonl"
            hidden[file] = file.with_name(f".{file.name}")
            with hidden[file].open("x", encoding="ascii") as stream:
                stream.write("".join(f"{line}\n" for line in found))
                stream.flush()
                os.fsync(stream.fileno())
        for file, temporary in hidden.items():
            temporary.rename(file)
        for place in {file.parent for file in hidden}:
            _sync_folder(place)
    except BaseException:
        for file, temporary in hidden.items():
            for left in (temporary, file):
                with suppress(OSError):
                    left.unlink(missing_ok=True)
        raise


def _remove_leftovers(folder: Path) -> None:
    """Remove the hidden files of writers that crashed; another server's may be in use yet."""
    now = time.time()
    for file in folder.glob("*/.*.jsonl"):
        with suppress(OSError):
            if now - file.stat().st_mtime > _LEFT_SECONDS:
                file.unlink()


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it, so that a crash doesn't lose them."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _named(model: EventModel, event: Event, event_type: str | None) -> str | None:
    given = event.get(model.event_type_column) if model.event_type_column else None
    found = given or event.get("event_type") or event_type
    return found if isinstance(found, str) else None if found is None else str(found)


def _with_type(model: EventModel, event: Event, event_type: str) -> Event:
    """Return the event with its type where the reader looks for it before the folder's name."""
    column = model.event_type_column
    return {**event, column: event_type} if column else event


def _time_texts(model: EventModel, events: Sequence[Event]) -> pl.Series:
    fields = timestamp_columns(model)
    rows = {field: [_text(event.get(field)) for event in events] for field in fields}
    frame = pl.DataFrame(rows, schema=dict.fromkeys(fields, pl.String))
    clean = (cleaned(field, model.nulls) for field in fields)
    return frame.select(pl.coalesce(*clean).alias("timestamp"))["timestamp"]


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value)


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
