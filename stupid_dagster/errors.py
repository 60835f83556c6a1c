"""Every error that the project raises on purpose.

    StupidError
    ├── SettingsError          a setting is unknown or has a value that can't be used
    ├── EventModelError        the event model has mistakes (all of them are in `.problems`)
    ├── InferenceError         no event model can be drafted from a sample
    ├── IngestError            landing files can't be found or read as a whole
    ├── StoreError             a store can't do what was asked
    │   ├── MissingVersionError    a table has no live version for a partition
    │   ├── DamagedError           what is there can't be read as what it should be
    │   ├── UnavailableError       a bucket's server refuses, or gives no answer
    │   ├── ConflictError          another run changed meanwhile what this one works on
    │   ├── SnapshotError          no published snapshot, or one that lost files
    │   ├── SearchIndexError       the LanceDB search index
    │   └── GraphStoreError        the graph database
    ├── EmbedderError          an embedding model can't be loaded or run
    ├── ComputeError           an algorithm was given input that it can't work on
    ├── LanguageModelError     a language model can't be reached or gave no usable answer
    ├── QueryError             a request asks for something that can't be answered
    │   ├── NotFoundError          ... because it isn't there
    │   ├── InvalidQueryError      ... because it's malformed
    │   │   └── InvalidPlanError       a query plan has mistakes (all of them are in `.problems`)
    │   ├── TimedOutError          ... in the time that it may take
    │   └── BusyError              ... now, for too much else is being worked on
    ├── ApiError               the Python client: a server refused a request or can't be reached
    └── InstanceError          the Dagster instance lacks what is needed

A message says what is wrong, where (file, row, field), and what to do.
"""

from __future__ import annotations

import difflib
import errno
import os
import re
import sqlite3
from collections.abc import Iterable


class StupidError(Exception):
    """Root of the tree: catch this to catch everything raised on purpose."""


class SettingsError(StupidError):
    """A setting is unknown or has a value that can't be used."""


class EventModelError(StupidError):
    """The event model has mistakes; `problems` lists all of them, with their lines."""

    def __init__(self, source: str, problems: Iterable[str]) -> None:
        self.source = source
        self.problems = list(problems)
        lines = "\n".join(f"  - {problem}" for problem in self.problems)
        super().__init__(f"{source}: {len(self.problems)} mistake(s) in the event model\n{lines}")


class InferenceError(StupidError):
    """No event model can be drafted from a sample; the message says what was looked for."""


class IngestError(StupidError):
    """Landing files can't be found or read as a whole."""


class StoreError(StupidError):
    """A store can't do what was asked."""


class MissingVersionError(StoreError):
    """A table has no live version for a partition."""


class DamagedError(StoreError):
    """What is there can't be read as what it should be: making it again mends it."""


class UnavailableError(StoreError):
    """A bucket's server refuses, or gives no answer: what it holds isn't known now.

    Nothing may be taken for damaged or missing because of it.
    """


class ConflictError(StoreError):
    """Another run changed meanwhile what this one works on: doing it again helps."""


class SnapshotError(StoreError):
    """There is no published snapshot, or one that lost files."""


class SearchIndexError(StoreError):
    """The search index can't be built, opened or searched."""


class GraphStoreError(StoreError):
    """The graph database can't be built, opened or read."""


class EmbedderError(StupidError):
    """An embedding model can't be loaded or run."""


class ComputeError(StupidError):
    """An algorithm was given input that it can't work on."""


class LanguageModelError(StupidError):
    """A language model can't be reached or gave no usable answer."""


class QueryError(StupidError):
    """A request asks for something that can't be answered."""


class NotFoundError(QueryError):
    """The thing asked for isn't in the snapshot."""


class InvalidQueryError(QueryError):
    """The request is malformed; `problems` lists its mistakes where they are known by place."""

    def __init__(self, message: str, problems: Iterable[tuple[str, str]] = ()) -> None:
        self.problems = list(problems)
        super().__init__(message)


class InvalidPlanError(InvalidQueryError):
    """A query plan has mistakes; `problems` lists all of them: where in the plan, and what."""

    def __init__(self, problems: Iterable[tuple[str, str]]) -> None:
        found = list(problems)
        super().__init__("; ".join(f"{where}: {what}" for where, what in found), found)


class TimedOutError(QueryError):
    """The answer takes longer than it may."""


class BusyError(QueryError):
    """Too much else is being worked on: asking again later helps."""


class ApiError(StupidError):
    """A request of the Python client failed.

    `status` is the HTTP status, None where the server can't be reached; `type` and `detail` are
    the problem's (RFC 9457), `errors` every mistake of the request: where it is, and what.
    """

    def __init__(
        self,
        detail: str,
        *,
        status: int | None = None,
        type: str = "about:blank",
        errors: Iterable[tuple[str, str]] = (),
    ) -> None:
        self.status = status
        self.type = type
        self.detail = detail
        self.errors = list(errors)
        super().__init__(f"HTTP {status}: {detail}" if status else detail)


class InstanceError(StupidError):
    """The Dagster instance lacks what is needed."""


def hint(word: str, candidates: Iterable[str]) -> str:
    """Return ` (did you mean 'x'?)` for the candidate nearest to `word`, or an empty string."""
    near = nearest(word, candidates)
    return f" (did you mean {near!r}?)" if near else ""


def nearest(word: str, candidates: Iterable[str]) -> str | None:
    """Return the candidate nearest to `word`, None where none is near."""
    pool = {candidate.lower(): candidate for candidate in candidates}
    # What is half as long has its letters in it by chance: `like` isn't `le`.
    pool = {name: whole for name, whole in pool.items() if 2 * len(name) > len(word)}
    near = difflib.get_close_matches(word.lower(), pool, n=1, cutoff=0.6)
    return pool[near[0]] if near else None


# Of the disk, the network, and what the system has only so much of. By name, for systems lack some.
_PASSING_NAMES = (
    *("ENOSPC", "EDQUOT", "EIO", "EREMOTEIO", "ESTALE", "ENOLCK", "EBUSY", "ETXTBSY"),
    *("EMFILE", "ENFILE", "EAGAIN", "EINTR", "ENOBUFS", "ETIMEDOUT", "EPIPE"),
    *("ENETDOWN", "ENETUNREACH", "ENETRESET", "EHOSTDOWN", "EHOSTUNREACH"),
    *("ECONNABORTED", "ECONNREFUSED", "ECONNRESET"),
)
_PASSING = {getattr(errno, name) for name in _PASSING_NAMES if hasattr(errno, name)}
_PASSING_IN_SQLITE = {
    *(sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL)
}
# Polars, LanceDB: "No space left on device (os error 28)", whatever class the exception has.
_RUST_ERRNO = re.compile(r"\(os error (\d+)\)")
# Kuzu: a RuntimeError with the system's words, or its own for a file that somebody else has open.
_CPP_WORDS = ("Could not set lock on file", *(os.strerror(code) for code in _PASSING))


def retry_helps(error: BaseException) -> bool:
    """Return whether doing the same again may go well, for what was in the way may pass.

    True for a full disk, trouble with disk or network, a timeout, too many open files, a database
    that is locked, two runs that made the same thing, and errors raised `from` such ones. False for
    all else: data, settings, missing files and rights, bugs and too little memory stay as they are.
    """
    found: BaseException | None = error
    while found is not None:
        if _may_pass(found):
            return True
        found = found.__cause__
    return False


def _may_pass(error: BaseException) -> bool:
    if isinstance(error, (ConflictError, ConnectionError, TimeoutError)):
        return True
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _PASSING
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", None)
        return code is not None and code & 0xFF in _PASSING_IN_SQLITE
    said = str(error)
    if any(int(code) in _PASSING for code in _RUST_ERRNO.findall(said)):
        return True
    return isinstance(error, RuntimeError) and any(words in said for words in _CPP_WORDS)
