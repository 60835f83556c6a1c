"""The inbox: events that were handed in one by one, as files in the landing layout.

Unlike the landing folder it is ours, a folder or a place in a bucket. Its files are never touched
again: nobody sees half of one, and what was accepted survives a crash.

In a folder all files of a batch are written under hidden names and synced before the first gets its
name. A bucket has no names to hide behind and renames nothing, but shows an object only when it is
whole: a batch's files come one after another, for a moment some are seen without the others, and
those that a failure or a crash leaves are the files of nobody's 202. What is sent again then is
known by the event model's `duplicate_key`.
"""

from __future__ import annotations

import json
import re
import secrets
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
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
from stupid_dagster.stores.durable import durable_file, sync
from stupid_dagster.stores.files import Files
from stupid_dagster.stores.full_disk import full_disk_told

_LEFT_SECONDS = 3600.0
"""After which a hidden file is nobody's any more: writing one takes far less."""
_AT_ONCE = 8
"""Files that are put into a bucket at a time."""
_PERHAPS = "a part may be kept: send it again, `duplicate_key` tells what is there twice"
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
    """A folder or a place in a bucket that events are added to, by any number of threads.

    Those that come while others are being written wait for them and are then written together:
    so many writers need no more files and syncs than few do. Any number of processes, on several
    machines where it is in a bucket, may have one over the same files.
    """

    files: Files
    _turn: threading.Condition = field(default_factory=threading.Condition)
    _writing: bool = False
    _tidied: bool = False
    _pending: list[tuple[Lines, Future[str]]] = field(default_factory=list)

    def add(self, lines: Lines) -> str:
        """Return the id of the files that keep the events, once no crash can lose them.

        Raises StoreError when they can't be written, which says whether some may be kept.
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
        name = f"{datetime.now(UTC):%H%M%S%f}-{secrets.token_hex(4)}"
        joined: dict[str, list[str]] = defaultdict(list)
        for lines, _ in batch:
            for (event_type, day), found in lines.items():
                joined[_key(event_type, day, name)] += found
        failure: StoreError | None = self._failure("stopped", _PERHAPS)
        try:
            self._tidy()
            content = {
                key: "".join(f"{line}\n" for line in found).encode("ascii")
                for key, found in joined.items()
            }
            _write_files(self.files, content)
        except BaseException as error:
            reason = error.strerror if isinstance(error, OSError) else None
            failure = self._failure(reason or str(error) or "stopped", self._undo(joined))
            failure.__cause__ = error
            # It ends this thread, and not those that wait for it.
            if not isinstance(error, Exception):
                raise
        else:
            failure = None
        finally:
            for _, kept in batch:
                if failure:
                    kept.set_exception(failure)
                else:
                    kept.set_result(name)

    def _failure(self, reason: str, kept: str) -> StoreError:
        return StoreError(f"the inbox {self.files.url} can't be written to ({reason}); {kept}")

    def _tidy(self) -> None:
        if self.files.folder and not self._tidied:
            _remove_leftovers(self.files.folder)
            self._tidied = True

    def _undo(self, keys: Iterable[str]) -> str:
        """Remove what there is of a batch's files, and return whether there may be some yet.

        A request that a server has got, and whose answer was lost, may be done after this.
        """
        try:
            self.files.remove(keys)
        except StoreError:
            return _PERHAPS
        return "nothing was kept"


def _write_files(files: Files, content: Mapping[str, bytes]) -> None:
    """Write files that are not there yet; raises OSError or StoreError, and may leave some then."""
    if files.folder:
        _write_folder(files.folder, content)
        return

    def create(key: str) -> None:
        if not files.create(key, content[key]):
            raise StoreError(f"{files.url}/{key} is another's")

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        # A failure cancels what hasn't begun, and the end of the block waits for the others.
        for _ in pool.map(create, content):
            pass


def _write_folder(folder: Path, content: Mapping[str, bytes]) -> None:
    hidden = {file: file.with_name(f".{file.name}") for file in (folder / key for key in content)}
    try:
        for temporary, data in zip(hidden.values(), content.values(), strict=True):
            with durable_file(temporary) as stream:
                stream.write(data)
        with full_disk_told(folder):
            for file, temporary in hidden.items():
                temporary.rename(file)
            for place in {file.parent for file in hidden}:
                sync(place)
    except BaseException:
        for temporary in hidden.values():
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
        raise


def _key(event_type: str, day: str, name: str) -> str:
    # Its punctuation isn't needed to know it by.
    folder = re.sub(r"^[._]|[/\\\0]", "-", event_type)
    return f"{folder}/{day}-{name}.jsonl"


def _remove_leftovers(folder: Path) -> None:
    """Remove the hidden files of writers that crashed; another server's may be in use yet."""
    now = time.time()
    for file in folder.glob("*/.*.jsonl*"):
        with suppress(OSError):
            if now - file.stat().st_mtime > _LEFT_SECONDS:
                file.unlink()


def _named(model: EventModel, event: Event, event_type: str | None) -> str | None:
    given = event.get(model.event_type_column) if model.event_type_column else None
    found = given or event.get("event_type") or event_type
    return None if found is None else str(found)


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
