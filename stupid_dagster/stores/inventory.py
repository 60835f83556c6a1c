"""What lies in a lake, named or not: what a collection of garbage and the audit look through."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from stupid_dagster.stores.folders import changed, disk_bytes, folders_in
from stupid_dagster.stores.ledger import FOLDER, SNAPSHOT_ID
from stupid_dagster.stores.locks import is_locked
from stupid_dagster.stores.version import VERSION_FILE

CURRENT = "CURRENT"
"""In a partition: the name of its live version."""
TEMPORARY = ".writing-"
"""What the name of a folder begins with in which a version is written."""


@dataclass(frozen=True)
class Held:
    """What lies in a partition: a version, or what a writer has left of one."""

    table: str
    partition: str
    name: str
    bytes: int
    changed: datetime

    @property
    def address(self) -> str:
        """`<table>/<partition>/<name>`."""
        return f"{self.table}/{self.partition}/{self.name}"


@dataclass(frozen=True)
class PartitionHeld:
    """A partition: its live version's name, when that was last replaced, and all versions.

    `damaged`: it can't be told which is live. `abandoned` are of writers that were killed, and
    `others` are the names of whatever else there is.
    """

    table: str
    partition: str
    live: str | None
    damaged: bool
    replaced: datetime
    versions: list[Held] = field(default_factory=list)
    abandoned: list[Held] = field(default_factory=list)
    others: list[str] = field(default_factory=list)


class Inventory(Protocol):
    """What lies in a lake."""

    def partitions(self, table: str | None = None) -> Iterator[PartitionHeld]:
        """Yield the partitions of a table, or of all, in no order."""
        ...

    def tables(self) -> list[str]:
        """Return the names of all tables of which there is anything, ascending."""
        ...

    def bytes(self, name: str = "") -> int:
        """Return the size of all that lies below a name; of one that goes meanwhile nothing."""
        ...

    def touch(self, addresses: Iterable[str], now: datetime) -> None:
        """Note that versions and partitions were last changed now, not in the future."""
        ...

    def remove(self, found: Collection[Held], named: Callable[[], set[str]]) -> None:
        """Remove what is garbage, but nothing that is `named` by now, and empty partitions."""
        ...


class FolderInventory:
    """What lies in a lake in a folder. Who removes anything holds the lake's lock."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def partitions(self, table: str | None = None) -> Iterator[PartitionHeld]:
        for name in self.tables() if table is None else [table]:
            for folder in folders_in(self._root / name):
                yield _partition(name, folder)

    def tables(self) -> list[str]:
        return [folder.name for folder in folders_in(self._root) if folder.name != FOLDER]

    def bytes(self, name: str = "") -> int:
        return disk_bytes(self._root / name)

    def touch(self, addresses: Iterable[str], now: datetime) -> None:
        for address in addresses:
            os.utime(self._root / address, (now.timestamp(), now.timestamp()))

    def remove(self, found: Collection[Held], named: Callable[[], set[str]]) -> None:
        for held in found:
            shutil.rmtree(self._root / held.address)
        for table in self.tables():
            for folder in folders_in(self._root / table):
                for left in folder.glob(f".{CURRENT}.*"):  # Of a writer that was killed.
                    left.unlink()
                if not any(folder.iterdir()):
                    folder.rmdir()


def _partition(table: str, folder: Path) -> PartitionHeld:
    live, damaged = None, False
    try:
        live = (folder / CURRENT).read_text(encoding="utf-8").strip()
        damaged = not (folder / live / VERSION_FILE).exists()
    except FileNotFoundError:
        pass
    except (OSError, UnicodeDecodeError):
        damaged = True
    # A commit or a drop changes the folder, so that this is when the last was replaced.
    held = PartitionHeld(table, folder.name, live, damaged, changed(folder))
    for path in sorted(folder.iterdir()):
        if path.name == CURRENT:
            continue
        with suppress(FileNotFoundError):  # Its writer has just ended.
            what = Held(table, folder.name, path.name, disk_bytes(path), changed(path))
            if path.is_dir() and SNAPSHOT_ID.fullmatch(path.name):
                held.versions.append(what)
            elif path.name.startswith(TEMPORARY):
                if not is_locked(path):
                    held.abandoned.append(what)
            elif not path.name.startswith("."):
                held.others.append(path.name)
    return held
