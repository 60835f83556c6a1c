"""Conversations that go on at any server of a lake in a bucket.

All that is known of one is in one small object, which is written only if it is still what was
read: of two servers that add turns at the same time, both are heard. A listing tells no more than
how many there are. When one was used is noted to the minute, by the clock of the server that was
asked; servers' clocks that differ make a session's hour longer or shorter by that.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime

from stupid_dagster.query.questions.sessions import (
    MOST_SESSIONS,
    MOST_TURNS,
    MemorySessions,
    Session,
    Sessions,
    Turn,
    new_session_id,
    no_session,
)
from stupid_dagster.stores.files import Entry, Files
from stupid_dagster.stores.lake import Lake
from stupid_dagster.stores.sessions import (
    FOLDER,
    SECONDS_UNUSED,
    KeptSession,
    change_session,
    read_session,
    session_key,
    write_session,
)

_NOTES = 60
"""In the time after which an unused session ends, how often it is noted that one is used."""


def sessions_of(lake: Lake) -> Sessions:
    """Return the conversations of a lake: of this process alone, or, in a bucket, of all servers.

    A server writes nothing to a lake in a folder, which it may be unable to.
    """
    return MemorySessions() if lake.files.folder else SharedSessions(lake.files, lake.ledger.ids)


class SharedSessions:
    """The conversations of all servers of a bucket. Any number of threads may use one.

    `snapshots` returns the ids of those that there are.
    All methods raise StoreError where the storage fails.
    """

    def __init__(
        self,
        files: Files,
        snapshots: Callable[[], Collection[str]],
        most: int = MOST_SESSIONS,
        seconds: float = SECONDS_UNUSED,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._files = files
        self._there = snapshots
        self._most = most
        self._seconds = seconds
        self._clock = clock
        self._snapshots: Collection[str] | None = None

    def create(self) -> Session:
        """Return a new session; those longest unused go, and so do those that have ended."""
        listed = sorted(self._files.below(FOLDER), key=lambda entry: entry.changed, reverse=True)
        self._files.remove(
            entry.key
            for place, entry in enumerate(listed)
            if place >= self._most - 1 or not self._goes_on(entry)
        )
        session_id, now = new_session_id(), self._clock()
        made = KeptSession(created=now, used=now)
        write_session(self._files, session_key(session_id), made, None)
        return _session(session_id, made)

    def __len__(self) -> int:
        return sum(map(self._goes_on, self._files.below(FOLDER)))

    def find(self, session_id: str) -> Session:
        """Return a session as it is now, which counts as using it; raises NotFoundError."""
        key = session_key(session_id)
        before, tag = self._open(session_id, key)
        found = before.only(self._is_wanted)
        now = self._clock()
        if found is not before or now - before.used > self._seconds / _NOTES:
            found = replace(found, used=now)
            # Who changed it meanwhile has used it.
            write_session(self._files, key, found, tag)
        return _session(session_id, found)

    def delete(self, session_id: str) -> None:
        """Forget a session; raises NotFoundError."""
        key = session_key(session_id)
        self._open(session_id, key)
        self._files.remove([key])

    def add(self, session_id: str, turn: Turn) -> None:
        """Add a turn; the oldest goes, and all is well where the session has gone meanwhile.

        One of a snapshot that has gone meanwhile isn't kept. Raises ConflictError where too many
        add to it at the same time.
        """

        def longer(session: KeptSession) -> KeptSession:
            kept = session.only(self._is_wanted)
            turns = (*kept.turns, asdict(turn))[-MOST_TURNS:]
            return replace(kept, turns=turns, used=self._clock())

        def without(session: KeptSession) -> KeptSession:
            return session.only(lambda name: name != turn.snapshot)

        key = session_key(session_id)
        with suppress(FileNotFoundError):
            change_session(self._files, key, longer)
            # Asked after it was written: a snapshot that goes later takes its turns with it, and
            # of one that has gone nobody looks for any more.
            if turn.snapshot not in self._there():
                change_session(self._files, key, without)

    def keep_only(self, snapshots: Collection[str]) -> None:
        """Forget the turns of all other snapshots, of each session when it is next used.

        One that is newer than all these stays: another server has opened it before this one.
        """
        self._snapshots = frozenset(snapshots)

    def _is_wanted(self, snapshot: str) -> bool:
        wanted = self._snapshots
        # Their names tell when they were made.
        return wanted is None or snapshot in wanted or snapshot > max(wanted, default=snapshot)

    def _open(self, session_id: str, key: str) -> tuple[KeptSession, str]:
        try:
            found, tag = read_session(self._files, key)
        except FileNotFoundError:
            raise no_session(session_id, self._seconds) from None
        if found.used < self._clock() - self._seconds:
            raise no_session(session_id, self._seconds)
        return found, tag

    def _goes_on(self, entry: Entry) -> bool:
        return entry.changed.timestamp() >= self._clock() - self._seconds


def _session(session_id: str, kept: KeptSession) -> Session:
    return Session(
        session_id,
        datetime.fromtimestamp(kept.created, UTC),
        [Turn(**turn) for turn in kept.turns],
        kept.used,
        kept.forgotten,
    )
