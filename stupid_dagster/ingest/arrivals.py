"""Which landing files have come or changed, and have been left alone long enough to be whole."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from pathlib import Path

from stupid_dagster.event_model import EventModel
from stupid_dagster.ingest.landing import LandingFile, index_files, read_cache, write_cache
from stupid_dagster.ingest.readers import reader_of
from stupid_dagster.ingest.routing import date_of_path
from stupid_dagster.ingest.source import INBOX, Source, SourceFile

# A file that has changed for so many times `stable_seconds` holds up nobody but itself.
_PATIENCE = 10


@dataclass(frozen=True)
class Waiting:
    """A file that isn't used yet: its state, since when it has it, and since when it waits.

    Times are seconds since 1970.
    """

    size: int
    stamp: str
    seen: float
    since: float


@dataclass(frozen=True)
class Arrivals:
    """A landing folder as it was at a look.

    `files` are those that were whole and have been read, by path; `waiting` are those that
    aren't whole yet, and `unread` those that are whole and that a later look will read;
    `expected` are those of the last two for which it's worth waiting. `ignored` are of kinds
    that can't be read.
    """

    files: Mapping[str, LandingFile]
    waiting: Mapping[str, Waiting]
    unread: Mapping[str, Waiting]
    expected: frozenset[str]
    ignored: tuple[str, ...]

    @property
    def present(self) -> set[str]:
        """Paths of all files that are there, but the ignored ones."""
        return {*self.files, *self.waiting, *self.unread}

    @cached_property
    def expected_days(self) -> set[str]:
        """Dates in the names of the expected files."""
        return {day for path in self.expected if (day := date_of_path(path))}


def look_for_arrivals(
    model: EventModel,
    source: Source,
    cache: Path,
    before: Mapping[str, Waiting],
    *,
    now: float,
    stable_seconds: float,
    read_seconds: float = 20.0,
) -> Arrivals:
    """Return what is in a landing folder at `now` (seconds since 1970).

    A file is whole when it hasn't changed for `stable_seconds`, which the landing index, kept in
    `cache`, then remembers; `before` are the files that waited or were unread at the last look.
    Those that the index lacks are read into it, the newest dates first, until
    `read_seconds` have passed, one at least. Raises IngestError when the folder can't be listed.
    """
    found = source.files()
    usable = [file for file in found if reader_of(file.path)]
    known = read_cache(model, cache)
    # Runs add what they meet to the index, whole or not.
    indexed = {
        file.path: old
        for file in usable
        if (old := known.get(file.path)) and old.state == file.state
    }
    files = {path: file for path, file in indexed.items() if file.whole}
    new = {file.path: file for file in usable if file.path not in files}
    seen = {path: _seen(file, before.get(path), now) for path, file in new.items()}
    waiting = {
        path: state
        for path, state in seen.items()
        # Files of an inbox are whole from the beginning.
        if now - state.seen < stable_seconds and not path.startswith(INBOX)
    }
    unread = seen.keys() - waiting.keys()
    read = _read(model, source, [new[path] for path in unread], indexed, read_seconds)
    if read or known.keys() - {file.path for file in found}:
        _remember(model, cache, read, {file.path for file in found})
    late = {path: state for path, state in seen.items() if path not in read}
    patience = _PATIENCE * stable_seconds
    return Arrivals(
        files={**files, **read},
        waiting=waiting,
        unread={path: state for path, state in late.items() if path not in waiting},
        expected=frozenset(path for path, state in late.items() if now - state.since <= patience),
        ignored=tuple(file.path for file in found if not reader_of(file.path)),
    )


def _seen(file: SourceFile, before: Waiting | None, now: float) -> Waiting:
    if before is None:
        return Waiting(file.size, file.stamp, now, now)
    changed = (before.size, before.stamp) != (file.size, file.stamp)
    # A clock that was set back starts the wait anew; it must not make it last for ever.
    seen = now if changed or before.seen > now else before.seen
    return Waiting(file.size, file.stamp, seen, min(before.since, now))


def _read(
    model: EventModel,
    source: Source,
    files: list[SourceFile],
    indexed: Mapping[str, LandingFile],
    seconds: float,
) -> dict[str, LandingFile]:
    end = time.monotonic() + seconds
    read: dict[str, LandingFile] = {}
    # The newest days are wanted first: they say which old ones are still of use.
    for file in sorted(files, key=_date, reverse=True):
        if read and time.monotonic() >= end:
            break
        found = indexed.get(file.path)
        if found is None or found.problem:
            (found,) = index_files(model, source, [file]).files
        read[file.path] = replace(found, whole=True)
    return read


def _date(file: SourceFile) -> tuple[str, str]:
    return date_of_path(file.path) or date.min.isoformat(), file.path


def _remember(
    model: EventModel, cache: Path, read: Mapping[str, LandingFile], present: Iterable[str]
) -> None:
    """Add files to the kept index, with what runs have added meanwhile; forget absent ones."""
    known = {**read_cache(model, cache), **read}
    write_cache(model, cache, [known[path] for path in sorted(known.keys() & set(present))])
