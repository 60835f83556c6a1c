"""Which version of a partition is live: the object CURRENT, which is empty of a dropped one.

That stays: when it was last changed is when the partition was dropped, and later no collection can
remove it safely. obstore deletes without a condition, so whoever makes the partition again between
the collector's look and its delete would lose what he has made live. A mark in PARTITIONS.json
doesn't help: a delete may be late by any time, and a lock would outlive a collector that is killed.
What it costs: a year of evicted days adds a page of 1,000 keys to the listings of the whole lake
for each three tables, and nothing to any other request.
"""

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
