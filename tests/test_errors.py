from __future__ import annotations

import errno
import inspect
import re
import sqlite3

import polars as pl
import pytest

from stupid_dagster import errors
from stupid_dagster.errors import (
    ConflictError,
    EventModelError,
    GraphStoreError,
    IngestError,
    SettingsError,
    StoreError,
    StupidError,
    hint,
    retry_helps,
)

CLASSES = {
    name: found
    for name, found in inspect.getmembers(errors, inspect.isclass)
    if issubclass(found, Exception) and found.__module__ == errors.__name__
}


def drawn_tree() -> dict[str, str]:
    """Return each error of the docstring's drawing with the one above it."""
    parents: dict[str, str] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if found := re.match(r"    ([│ ]*)(?:[├└]── )?([A-Z]\w+)( |$)", line):
            depth = (len(line) - len(line.lstrip(" │├└─"))) // 4 - 1
            path[depth:] = [found[2]]
            parents[found[2]] = path[depth - 1] if depth else "Exception"
    return parents


def test_the_tree_in_the_docstring_is_the_real_tree() -> None:
    assert drawn_tree() == {name: found.__bases__[0].__name__ for name, found in CLASSES.items()}
    assert all(issubclass(found, StupidError) for found in CLASSES.values())


def test_every_error_says_what_it_is() -> None:
    assert all(inspect.cleandoc(found.__doc__ or "") for found in CLASSES.values())


def test_mistakes_of_an_event_model_are_listed_one_a_line() -> None:
    error = EventModelError("my.yaml", iter(["line 3: a", "line 5: b"]))
    assert str(error).splitlines() == [
        "my.yaml: 2 mistake(s) in the event model",
        "  - line 3: a",
        "  - line 5: b",
    ]
    assert error.problems == ["line 3: a", "line 5: b"]


@pytest.mark.parametrize(
    ("word", "candidates", "wanted"),
    [
        ("Departur", ["Departure", "Cancellation"], " (did you mean 'Departure'?)"),
        ("DEPARTURE", ["Departure"], " (did you mean 'Departure'?)"),
        ("xyz", ["Departure"], ""),
        ("anything", [], ""),
        ("", ["Departure"], ""),
    ],
)
def test_hints(word: str, candidates: list[str], wanted: str) -> None:
    assert hint(word, candidates) == wanted
    assert hint(word, dict.fromkeys(candidates)) == wanted


def chained(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def sqlite_error(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("said by SQLite")
    error.sqlite_errorcode = code
    return error


RUST = "parquet: underlying IO error: No space left on device (os error 28)"
KUZU = "IO exception: Cannot write to file. path: x. Error: No space left on device"


@pytest.mark.parametrize(
    "error, helps",
    [
        *((OSError(getattr(errno, name), "x"), True) for name in ("ENOSPC", "EIO", "EMFILE")),
        *((OSError(getattr(errno, name), "x"), True) for name in ("ESTALE", "ENETUNREACH")),
        *((OSError(getattr(errno, name), "x"), False) for name in ("ENOENT", "EACCES", "ENOTDIR")),
        *((OSError(getattr(errno, name), "x"), False) for name in ("EROFS", "EISDIR", "EEXIST")),
        (OSError("no number: could be anything"), False),
        (OSError(RUST), True),
        (pl.exceptions.ComputeError(RUST), True),
        (FileNotFoundError("No such file or directory (os error 2): x"), False),
        (pl.exceptions.ComputeError("conversion failed for 'No space left on device'"), False),
        (RuntimeError("lance error: LanceError(IO): " + RUST), True),
        (RuntimeError(KUZU), True),
        (RuntimeError("IO exception: Could not set lock on file : x/graph.kuzu"), True),
        (RuntimeError("Runtime exception: Found duplicated primary key value"), False),
        (ConnectionResetError(), True),
        (TimeoutError("too slow"), True),
        (sqlite_error(sqlite3.SQLITE_BUSY), True),
        (sqlite_error(sqlite3.SQLITE_IOERR_WRITE), True),
        (sqlite_error(sqlite3.SQLITE_CORRUPT), False),
        (sqlite3.ProgrammingError("closed"), False),
        (ConflictError("two runs wrote the day"), True),
        (StoreError("x"), False),
        (chained(StoreError("x"), OSError(errno.ENOSPC, "x")), True),
        (chained(StoreError("x"), chained(GraphStoreError("x"), RuntimeError(KUZU))), True),
        (chained(IngestError("x"), PermissionError(errno.EACCES, "x")), False),
        (IngestError("bad data"), False),
        (SettingsError("wrong"), False),
        (KeyError("a bug"), False),
        (MemoryError(), False),
    ],
)
def test_retries_help_against_what_may_pass(error: Exception, helps: bool) -> None:
    assert retry_helps(error) is helps
