"""What lies in a lake in a bucket, by a listing: what it misses is found by the next."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog

from stupid_dagster.stores.bucket.current import read_current
from stupid_dagster.stores.bucket.partitions import PARTITIONS, Partitions
from stupid_dagster.stores.bucket.tombstones import bury, condemn, dig_out
from stupid_dagster.stores.files import PROBE, Entry, Files
from stupid_dagster.stores.folders import NAME
from stupid_dagster.stores.inventory import CURRENT, Held, PartitionHeld
from stupid_dagster.stores.ledger import FOLDER, SNAPSHOT_ID
from stupid_dagster.stores.version import VERSION_FILE

ABANDONED_AFTER = timedelta(hours=24)
"""After so long without a new file the writer of a version without a description was killed.

And who wrote a manifest that the ledger doesn't name.
"""
_AT_ONCE = 16
log = structlog.get_logger(__name__)


class BucketInventory:
    """What lies in a lake in a bucket."""

    def __init__(self, files: Files, partitions: Partitions) -> None:
        self._files = files
        self._partitions = partitions
        self.abandoned_after = ABANDONED_AFTER

    def tables(self) -> list[str]:
        names = self._files.names("")
        return [name for name in names if NAME.fullmatch(name) and name != FOLDER]

    def bytes(self, name: str = "") -> int:
        return sum(entry.size for entry in self._files.below(name))

    def touch(self, addresses: Iterable[str], now: datetime) -> None:
        """Do nothing: all times here are those of the bucket's own clock."""

    def partitions(self, table: str | None = None) -> Iterator[PartitionHeld]:
        found: dict[tuple[str, str], list[Entry]] = defaultdict(list)
        for entry in self._files.below(table or ""):
            parts = entry.key.split("/")
            if len(parts) > 2 and parts[0] != FOLDER and all(map(NAME.fullmatch, parts[:2])):
                found[parts[0], parts[1]].append(entry)
        tables = {table for table, _ in found}
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            named = dict(zip(tables, pool.map(self._partitions.of, tables), strict=True))
            for held in pool.map(self._partition, found, found.values()):
                if held.live is None and held.partition in named[held.table]:
                    held.others.append(PARTITIONS)
                yield held

    def _partition(self, place: tuple[str, str], entries: list[Entry]) -> PartitionHeld:
        table, partition = place
        versions: dict[str, list[Entry]] = defaultdict(list)
        replaced = min(entry.changed for entry in entries)
        live, others = None, []
        for entry in entries:
            name = entry.key.split("/")[2]
            if name == CURRENT and entry.key.count("/") == 2:
                replaced = entry.changed
                # Of a dropped one, which stays empty for ever, nothing is asked: what is removed
                # is looked at again before it goes.
                live = read_current(self._files, table, partition) if entry.size else None
            elif SNAPSHOT_ID.fullmatch(name):
                versions[name].append(entry)
            else:
                others.append(name)
        held = PartitionHeld(
            table,
            partition,
            live and live.name,
            live is not None and not _is_described(versions.get(live.name, [])),
            replaced,
            others=others,
        )
        old = datetime.now(UTC) - self.abandoned_after
        for name, files in versions.items():
            size, changed = sum(e.size for e in files), max(e.changed for e in files)
            what = Held(table, partition, name, size, changed)
            if _is_described(files):
                held.versions.append(what)
            elif changed < old:
                held.abandoned.append(what)
        return held

    def remove(self, found: Collection[Held], named: Callable[[], set[str]]) -> None:
        addresses = [held.address for held in found]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            stones = dict(zip(addresses, pool.map(self._bury, addresses), strict=True))
            # Named by now, since these were found to be garbage: by a snapshot, or as the live one.
            wanted = named() if stones else set()
            for _ in pool.map(partial(self._settle, wanted=wanted), stones, stones.values()):
                pass  # What failed is raised.
        listed = [*self._files.below("")]
        self._partitions.settle(listed)
        old = datetime.now(UTC) - self.abandoned_after
        self._files.remove(
            entry.key
            for entry in listed
            if PROBE in entry.key.rpartition("/")[2] and entry.changed < old
        )

    def _bury(self, address: str) -> bytes | None:
        return bury(self._files, f"{address}/{VERSION_FILE}")

    def _settle(self, address: str, stone: bytes | None, *, wanted: set[str]) -> None:
        """Erase a version that was buried, or dig it out where it is wanted by now."""
        if stone is None:
            return
        table, partition, name = address.split("/")
        current = read_current(self._files, table, partition)
        key = f"{address}/{VERSION_FILE}"
        if address in wanted or (current and current.name == name):
            if dig_out(self._files, key, stone):
                log.info("left what is named by now", version=address)
        elif condemn(self._files, key, stone):
            self._erase(address)

    def _erase(self, address: str) -> None:
        keys = [entry.key for entry in self._files.below(address)]
        description = f"{address}/{VERSION_FILE}"
        self._files.remove(key for key in keys if key != description)
        # Last: until then the next collection finds what is left.
        self._files.remove([description])


def _is_described(entries: Iterable[Entry]) -> bool:
    return any(entry.key.split("/", 3)[3] == VERSION_FILE for entry in entries)
