"""Which snapshots a lake keeps, and which of them is published.

<root>/snapshots/<id>.json   a manifest, which never changes
<root>/SNAPSHOT              the id of the published one
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from stupid_dagster.errors import SnapshotError
from stupid_dagster.stores.durable import write_durably
from stupid_dagster.stores.folders import remove_path

POINTER = "SNAPSHOT"
FOLDER = "snapshots"
SNAPSHOT_ID = re.compile(r"\d{8}T\d{9}-[0-9a-f]{6}")
UNWANTED = ".unwanted"
"""Suffix of the file beside a manifest that tells, by its time, since when nobody asks for it."""


class Ledger(Protocol):
    """Which snapshots a lake keeps. All methods raise SnapshotError where it can't be read."""

    @property
    def state(self) -> str | None:
        """What changes whenever anything of this does, or a partition is dropped; None: untold."""
        ...

    def published(self) -> str | None:
        """Return the id of the published snapshot, None before the first."""
        ...

    def ids(self) -> list[str]:
        """Return the ids of all kept snapshots, oldest first."""
        ...

    def text(self, snapshot: str) -> bytes:
        """Return a manifest; raises FileNotFoundError."""
        ...

    def add(self, snapshot: str, text: str) -> None:
        """Keep a snapshot with its manifest; raises ConflictError where that was swept away."""
        ...

    def serve(self, snapshot: str, state: str | None) -> bool:
        """Publish a kept snapshot; False where something has changed since that state."""
        ...

    def remove(self, *snapshots: str) -> None:
        """Keep snapshots no longer."""
        ...

    def sweep(self) -> None:
        """Remove what publishers that were killed have left; nothing of a snapshot that is kept."""
        ...

    def unwanted_since(self, snapshot: str) -> datetime | None:
        """Return since when nobody asks for a snapshot, None where that isn't noted."""
        ...

    def note_unwanted(self, snapshot: str, since: datetime) -> None:
        """Note since when nobody asks for a snapshot."""
        ...

    def forget_unwanted(self, still: Collection[str]) -> None:
        """Forget the notes of all other snapshots, which are gone or wanted again."""
        ...


class FolderLedger:
    """The ledger of a lake in a folder. Who changes it holds the lake's lock."""

    state = None

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folder = root / FOLDER

    def published(self) -> str | None:
        file = self._root / POINTER
        try:
            return file.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise SnapshotError(
                f"{file} can't be read ({error}); publish the window again"
            ) from error

    def ids(self) -> list[str]:
        files = self._folder.glob("*.json")
        return sorted(file.stem for file in files if SNAPSHOT_ID.fullmatch(file.stem))

    def text(self, snapshot: str) -> bytes:
        return (self._folder / f"{snapshot}.json").read_bytes()

    def add(self, snapshot: str, text: str) -> None:
        self._folder.mkdir(exist_ok=True)
        write_durably(self._folder / f"{snapshot}.json", text)

    def serve(self, snapshot: str, state: str | None) -> bool:
        write_durably(self._root / POINTER, snapshot)
        return True

    def remove(self, *snapshots: str) -> None:
        for snapshot in snapshots:
            remove_path(self._folder / f"{snapshot}.json")

    def sweep(self) -> None:
        # A publisher at work would hold the lock.
        for file in [*self._root.glob(f".{POINTER}.*"), *self._folder.glob(".*.json.*")]:
            remove_path(file)

    def unwanted_since(self, snapshot: str) -> datetime | None:
        with suppress(FileNotFoundError):
            return datetime.fromtimestamp(self._mark(snapshot).stat().st_mtime, UTC)
        return None

    def note_unwanted(self, snapshot: str, since: datetime) -> None:
        self._mark(snapshot).touch()
        os.utime(self._mark(snapshot), (since.timestamp(), since.timestamp()))

    def forget_unwanted(self, still: Collection[str]) -> None:
        for mark in self._folder.glob(f"*{UNWANTED}"):
            if SNAPSHOT_ID.fullmatch(mark.stem) and mark.stem not in still:
                remove_path(mark)

    def _mark(self, snapshot: str) -> Path:
        return self._folder / f"{snapshot}{UNWANTED}"
