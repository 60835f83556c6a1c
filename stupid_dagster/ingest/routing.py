"""Which event type and which date a landing file's path speaks of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from pathlib import PurePosixPath

from stupid_dagster.errors import hint
from stupid_dagster.event_model import EventModel
from stupid_dagster.ingest.readers import without_kind

_DATE = re.compile(r"(?<!\d)((?:19|20)\d\d)([-_.]?)(\d{2})\2(\d{2})")
_FOLDERS = re.compile(
    r"(?:^|/)(?:\w+=)?((?:19|20)\d\d)/(?:\w+=)?(\d{1,2})/(?:\w+=)?(\d{1,2})(?=/|$)"
)


def match_event_type(model: EventModel, name: str) -> str | None:
    """Return the event type that a name or alias means, None if none does.

    Case and punctuation count only where two names differ in nothing else.
    """
    for alike in (str, str.casefold, _letters):
        wanted = alike(name)
        for event_type, rule in model.events.items():
            if wanted and wanted in map(alike, (event_type, *rule.aliases)):
                return event_type
    return None


def event_type_of_path(model: EventModel, path: str) -> str | None:
    """Return the event type that a file's path names, None if it names none.

    The nearest folder that names one counts (`Login/…`, `event=Login/…`), else the file's name
    without its date and what follows (`login-2025-03-01-part-7.csv.gz`).
    """
    candidates = (match_event_type(model, name) for name in _names(path))
    return next((found for found in candidates if found), None)


def event_type_candidate(path: str) -> str:
    """Return what a file's path most likely names as its event type."""
    return next(_names(path), path)


def unknown_event_type(model: EventModel, path: str) -> str:
    """Return what to say of a path that names no event type."""
    name = event_type_candidate(path)
    return f"no event type is named {name!r}{hint(name, model.events)}"


def date_of_path(path: str) -> str | None:
    """Return the date (YYYY-MM-DD) in a file's name, else in a folder's or folders' names."""
    parts = PurePosixPath(path).parts
    for name in reversed(parts):
        if found := _first_date(_DATE.finditer(name), (1, 3, 4)):
            return found
    folders = PurePosixPath(path).parent.as_posix()
    stem = f"{folders}/{_stem(parts[-1])}"
    return _first_date(_FOLDERS.finditer(stem), (1, 2, 3))


def _names(path: str) -> Iterator[str]:
    """Yield the names that may be an event type's, the most telling first."""
    file = PurePosixPath(path)
    for folder in reversed(file.parent.parts):
        name = folder.rpartition("=")[2]
        if any(character.isalpha() for character in name):
            yield name
    name = without_kind(file.name)
    dated = _DATE.search(name)
    # What stands before the date, or behind it where nothing does.
    parts = [name[: dated.start()], name[dated.end() :]] if dated else [name]
    found = ([word for word in re.split(r"[-_. ]+", part) if word] for part in parts)
    words = next((words for words in found if words), [])
    while words and words[-1].isdigit():
        words.pop()
    for length in range(len(words), 0, -1):
        yield " ".join(words[:length])


def _stem(name: str) -> str:
    return re.sub(r"(\.[A-Za-z]\w*)+$", "", name)


def _letters(name: str) -> str:
    return "".join(c for c in name.casefold() if c.isalnum())


def _first_date(matches: Iterator[re.Match[str]], groups: tuple[int, int, int]) -> str | None:
    for match in matches:
        year, month, day = (int(match[group]) for group in groups)
        try:
            return date(year, month, day).isoformat()
        except ValueError:
            continue
    return None
