"""Conversations of a lake in a bucket: where all servers find them, and what removes them.

    <prefix>/.sessions/<SHA-256 of the session's id>.json

An id comes from a client, and whoever knows one can read the session: neither may it be part of a
key as it is, nor be told by a listing. Each turn names the snapshot that it was answered from, and
goes with it.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from stupid_dagster.stores.changing import changed
from stupid_dagster.stores.files import Files

FOLDER = ".sessions"
SECONDS_UNUSED = 3600.0
_PATIENCE = 15.0
_AT_ONCE = 16


@dataclass(frozen=True)
class KeptSession:
    """A session as it is kept: times in seconds since 1970, turns as plain data with `snapshot`."""

    created: float
    used: float
    turns: tuple[dict[str, Any], ...] = ()
    forgotten: int = 0
    written: str = ""
    """By whom: no two writings are the same."""

    def only(self, wanted: Callable[[str], bool]) -> KeptSession:
        """Return it without the turns of unwanted snapshots."""
        turns = tuple(turn for turn in self.turns if wanted(turn["snapshot"]))
        if len(turns) == len(self.turns):
            return self
        forgotten = self.forgotten + len(self.turns) - len(turns)
        return replace(self, turns=turns, forgotten=forgotten)


def session_key(session_id: str) -> str:
    """Return where the session of an id is, whatever stands in that."""
    name = sha256(session_id.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{FOLDER}/{name}.json"


def read_session(files: Files, key: str) -> tuple[KeptSession, str]:
    """Return a session and its tag; raises FileNotFoundError, also for what is none."""
    stored = files.read(key)
    try:
        found = KeptSession(**json.loads(stored.data))
        return replace(
            found, turns=tuple(one for one in found.turns if one["snapshot"])
        ), stored.tag
    except (ValueError, TypeError, KeyError) as error:
        # Of another release, perhaps: it ends, as one that isn't used.
        raise FileNotFoundError(f"{files.url}/{key} is no session: {error}") from error


def write_session(files: Files, key: str, session: KeptSession, tag: str | None) -> bool:
    """Write a session, a new one without a tag; False: it was changed meanwhile, or is gone."""
    tree = {**vars(session), "written": secrets.token_hex(8)}
    data = json.dumps(tree, ensure_ascii=False).encode("utf-8", "surrogatepass")
    return files.create(key, data) if tag is None else files.replace(key, data, tag)


def change_session(
    files: Files, key: str, change: Callable[[KeptSession], KeptSession]
) -> KeptSession:
    """Return a session as it was changed, again and again while others change it too.

    Raises FileNotFoundError where it is gone, ConflictError where others are always faster.
    """
    return changed(
        f"{files.url}/{key}",
        lambda: read_session(files, key),
        change,
        lambda session, tag: write_session(files, key, session, tag),
        _PATIENCE,
    )


def sweep_sessions(files: Files, snapshots: Callable[[], Collection[str]], now: datetime) -> None:
    """Remove the sessions that nobody used for an hour, and of others the turns whose snapshots
    are gone. `snapshots` returns the ids of those that there are.
    """
    entries = [*files.below(FOLDER)]
    oldest = now - timedelta(seconds=SECONDS_UNUSED)
    files.remove(entry.key for entry in entries if entry.changed < oldest)

    def sweep(key: str) -> None:
        def kept(session: KeptSession) -> KeptSession:
            # Asked after the session was read: before a turn was written, its snapshot was there.
            there = snapshots() if session.turns else ()
            return session.only(lambda name: name in there)

        with suppress(FileNotFoundError):
            change_session(files, key, kept)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for _ in pool.map(sweep, [entry.key for entry in entries if entry.changed >= oldest]):
            pass
