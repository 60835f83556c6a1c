"""Conversations: what was asked and found before, so that "them" and "those" can be resolved.

They are in memory, or in the bucket that several servers share (`shared_sessions`); bounded in
number, length and age. What they know of results is tied to the snapshot that it came from:
`keep_only` is called before each use with the snapshots that are still kept, so that nothing found
in evicted days is used or shown again; the planner is told that something is missing. Whoever knows
a session's id can read it: ids are never listed.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Protocol

import polars as pl

from stupid_dagster.errors import NotFoundError
from stupid_dagster.stores.sessions import SECONDS_UNUSED

MOST_SESSIONS = 1000
MOST_TURNS = 5
_MOST_COLUMNS, _MOST_VALUES, _MOST_LENGTH = 6, 20, 200


@dataclass(frozen=True)
class Turn:
    """A question, its plan, and columns of what it found: the first distinct texts."""

    question: str
    plan: dict[str, Any]
    snapshot: str
    found: Mapping[str, list[str]]


@dataclass
class Session:
    """A conversation's last turns."""

    id: str
    created: datetime
    turns: list[Turn] = field(default_factory=list)
    used: float = 0
    forgotten: int = 0
    """Turns whose snapshots are gone."""


class Sessions(Protocol):
    """The conversations that go on. Any number of threads may use one."""

    def create(self) -> Session:
        """Return a new session, with an id that nobody guesses; the longest unused may go."""
        ...

    def __len__(self) -> int: ...

    def find(self, session_id: str) -> Session:
        """Return a session as it is now, which counts as using it; raises NotFoundError."""
        ...

    def delete(self, session_id: str) -> None:
        """Forget a session; raises NotFoundError."""
        ...

    def add(self, session_id: str, turn: Turn) -> None:
        """Add a turn; the oldest goes, and all is well where the session has gone meanwhile."""
        ...

    def keep_only(self, snapshots: Collection[str]) -> None:
        """Forget the turns of all other snapshots: their days may have been evicted."""
        ...


class MemorySessions:
    """The conversations of this process."""

    def __init__(
        self,
        most: int = MOST_SESSIONS,
        seconds: float = SECONDS_UNUSED,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most = most
        self._seconds = seconds
        self._clock = clock
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()

    def create(self) -> Session:
        session = Session(new_session_id(), datetime.now(UTC), used=self._clock())
        with self._lock:
            self._expire()
            while len(self._sessions) >= self._most:
                del self._sessions[min(self._sessions.values(), key=lambda s: s.used).id]
            self._sessions[session.id] = session
        return session

    def __len__(self) -> int:
        with self._lock:
            self._expire()
            return len(self._sessions)

    def find(self, session_id: str) -> Session:
        with self._lock:
            session = self._open(session_id)
            session.used = self._clock()
            return _copy(session)

    def delete(self, session_id: str) -> None:
        with self._lock:
            del self._sessions[self._open(session_id).id]

    def add(self, session_id: str, turn: Turn) -> None:
        with self._lock:
            if session := self._sessions.get(session_id):
                session.turns = [*session.turns, turn][-MOST_TURNS:]
                session.used = self._clock()

    def keep_only(self, snapshots: Collection[str]) -> None:
        with self._lock:
            for session in self._sessions.values():
                kept = [turn for turn in session.turns if turn.snapshot in snapshots]
                session.forgotten += len(session.turns) - len(kept)
                session.turns = kept

    def _open(self, session_id: str) -> Session:
        self._expire()
        if session_id not in self._sessions:
            raise no_session(session_id, self._seconds)
        return self._sessions[session_id]

    def _expire(self) -> None:
        oldest = self._clock() - self._seconds
        for session in [*self._sessions.values()]:
            if session.used < oldest:
                del self._sessions[session.id]


def new_session_id() -> str:
    """Return an id that nobody guesses."""
    return secrets.token_urlsafe(18)


def no_session(session_id: str, seconds: float) -> NotFoundError:
    """Return what is raised where there is no session, of those that end unused after so long."""
    return NotFoundError(
        f"there is no session {session_id[:80]!r}: it was deleted, or not used for "
        f"{seconds / 60:g} minutes; begin a new one"
    )


def found_columns(rows: pl.DataFrame) -> dict[str, list[str]]:
    """Return the first distinct values of the first columns of texts: what "them" may mean."""
    texts = [name for name, dtype in rows.schema.items() if dtype == pl.String][:_MOST_COLUMNS]
    return {
        name: [
            value
            for value in rows[name].drop_nulls().unique(maintain_order=True).head(_MOST_VALUES)
            if len(value) <= _MOST_LENGTH
        ]
        for name in texts
    }


def _copy(session: Session) -> Session:
    return replace(session, turns=[*session.turns])
