"""Which version of a partition is live: the object CURRENT, which is empty of a dropped one."""

from __future__ import annotations

from dataclasses import dataclass

from stupid_dagster.stores.files import Files
from stupid_dagster.stores.inventory import CURRENT


@dataclass(frozen=True)
class Current:
    """The name of a live version, maybe a damaged one, and the tag by which a change is told."""

    name: str
    tag: str


def current_key(table: str, partition: str) -> str:
    """Return where it is."""
    return f"{table}/{partition}/{CURRENT}"


def read_current(files: Files, table: str, partition: str) -> Current | None:
    """Return which version is live, None where none is; raises StoreError."""
    try:
        stored = files.read(current_key(table, partition))
    except FileNotFoundError:
        return None
    name = stored.data.decode(errors="replace").strip()
    return Current(name, stored.tag) if name else None


def is_live(files: Files, table: str, partition: str) -> bool:
    """Return whether any version is live; raises StoreError."""
    entry = files.entry(current_key(table, partition))
    return entry is not None and entry.size > 0
