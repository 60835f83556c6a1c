"""The lake in a bucket, where no folder can be renamed and nobody can be locked out.

    <prefix>/<table>/<partition>/<version>/...             the files of a version
    <prefix>/<table>/<partition>/<version>/_version.json   its description, which is written last
    <prefix>/<table>/<partition>/CURRENT                   the live version's name; empty: dropped
    <prefix>/<table>/PARTITIONS.json, <prefix>/TABLES.json  see `stores/bucket/partitions.py`
    <prefix>/LEDGER.json                                   see `stores/bucket/ledger.py`

No listing decides what a reader, a writer, or an eviction finds: an index names the partitions,
`CURRENT` says which are live, and the ledger names the snapshots.

A version without a description isn't there. A collection of garbage first puts a *tombstone* in the
place of the description, then looks again whether the version is named by now. Who names a version
looks at its description afterwards. So of a collector and a writer that meet, the one who comes
second sees what the other did: a bucket answers each read with what was written last
(https://aws.amazon.com/s3/consistency/). Both may give way; never do both go on. Of collectors that
meet one has its way with a version (`stores/bucket/tombstones.py`).
"""

from __future__ import annotations

import io
import os
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from threading import Lock

from stupid_dagster.errors import ConflictError, DamagedError, SnapshotError, StoreError
from stupid_dagster.stores.bucket.current import current_key, is_live, read_current
from stupid_dagster.stores.bucket.inventory import BucketInventory
from stupid_dagster.stores.bucket.ledger import BucketLedger
from stupid_dagster.stores.bucket.partitions import Partitions
from stupid_dagster.stores.bucket.tombstones import is_tombstone
from stupid_dagster.stores.cache import VersionCache
from stupid_dagster.stores.files import Files
from stupid_dagster.stores.folders import remove_path
from stupid_dagster.stores.inventory import FolderInventory
from stupid_dagster.stores.lake import Lake, S, T
from stupid_dagster.stores.ledger import SNAPSHOT_ID
from stupid_dagster.stores.stamps import FileStamp, checksum
from stupid_dagster.stores.version import (
    VERSION_FILE,
    Version,
    VersionWriter,
    described,
    new_name,
    version_of,
)

_AT_ONCE = 16
_READ_BYTES = 4 << 20
_MOST_KNOWN = 20_000
_SHARED = "shared"


class BucketLake(Lake):
    """All tables below a prefix of a bucket.

    `root` is a folder of this machine, where versions are written before they are brought there,
    and kept after they were fetched from there (`cache`, bounded).
    """

    def __init__(self, files: Files, root: Path, most_bytes: int) -> None:
        super().__init__(root)
        self.files = files
        self.ledger = self._ledger = BucketLedger(files)
        self._partitions = Partitions(files)
        self.inventory = BucketInventory(files, self._partitions)
        self.cache = VersionCache(root / ".cache", most_bytes)
        self._known: OrderedDict[str, Version] = OrderedDict()
        self._lock = Lock()
        self._swept = False

    @property
    def url(self) -> str:
        return self.files.url

    def version_path(self, version: Version) -> Path:
        try:
            return self.cache.fetch(self.files, version.address, version.files)
        except FileNotFoundError as error:
            raise StoreError(f"{self.url}/{version.address} isn't there any more") from error

    def release(self, version: Version) -> None:
        self.cache.release(self.files, version.address)

    def tidy(self) -> None:
        self.cache.sweep(self.files, self._is_gone)

    def damaged(self, version: Version, *, checksums: bool = False) -> list[str]:
        """Return what is missing; nothing of a version that `find` returned.

        A bucket keeps what it has acknowledged, and the description is written after all files.
        With `checksums` all files are read there, whatever the cache has.
        """
        return self._not_so(version, self._is_as_stamped) if checksums else []

    def _not_so(self, version: Version, is_so: Callable[[str, FileStamp], bool]) -> list[str]:
        keys = [f"{version.address}/{name}" for name in version.files]
        stamps = version.files.values()
        found = self.each(lambda one: is_so(*one), zip(keys, stamps, strict=True))
        return [f"{self.url}/{key}" for key, so in zip(keys, found, strict=True) if not so]

    def _is_there(self, key: str, stamp: FileStamp) -> bool:
        entry = self.files.entry(key)
        return entry is not None and entry.size == stamp.size

    def _is_as_stamped(self, key: str, stamp: FileStamp) -> bool:
        try:
            with io.BufferedReader(self.files.open(key), _READ_BYTES) as stream:
                size = stream.seek(0, os.SEEK_END)
                stream.seek(0)
                return size == stamp.size and checksum(stream) == stamp.checksum
        except FileNotFoundError:
            return False

    def find(self, table: str, partition: str, name: str | None = None) -> Version | None:
        self.partition_path(table, partition)
        try:
            name = name or self._live_name(table, partition)
            return self._described(f"{table}/{partition}/{name}") if name else None
        except FileNotFoundError:
            return None

    def _live_name(self, table: str, partition: str) -> str | None:
        current = read_current(self.files, table, partition)
        if current and not SNAPSHOT_ID.fullmatch(current.name):
            raise DamagedError(
                f"{self.url}/{current_key(table, partition)} is damaged: it names no version; "
                f"materialise {table} {partition} again"
            )
        return current and current.name

    def _described(self, address: str) -> Version:
        """Return a version, which never changes; raises FileNotFoundError, StoreError."""
        with self._lock:
            if address in self._known:
                self._known.move_to_end(address)
                return self._known[address]
        key = f"{address}/{VERSION_FILE}"
        version = version_of(self.files.read(key).data, f"{self.url}/{key}")
        with self._lock:
            self._known[address] = version
            while len(self._known) > _MOST_KNOWN:
                self._known.popitem(last=False)
        return version

    def _kept_names(self, table: str, partition: str) -> Iterable[str]:
        self.partition_path(table, partition)
        keys = [entry.key.split("/") for entry in self.files.below(f"{table}/{partition}")]
        return [parts[2] for parts in keys if len(parts) == 4 and parts[3] == VERSION_FILE]

    def partitions(self, table: str) -> list[str]:
        """Return the partitions of a table that have a live version, ascending.

        The table's index names them, and `CURRENT` says which are live.
        """
        names = self._partitions.of(table)
        live = self.each(partial(self.is_live, table), names)
        return [name for name, is_live in zip(names, live, strict=True) if is_live]

    def tables(self) -> list[str]:
        def has_any(table: str) -> bool:
            return any(self.is_live(table, name) for name in reversed(self._partitions.of(table)))

        tables = self._partitions.tables()
        any_live = self.each(has_any, tables)
        return [table for table, has in zip(tables, any_live, strict=True) if has]

    def each(self, ask: Callable[[S], T], of: Iterable[S]) -> list[T]:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(ask, of))

    def is_live(self, table: str, partition: str) -> bool:
        return is_live(self.files, table, partition)

    def named_at(self, table: str, partition: str) -> str | None:
        current = read_current(self.files, table, partition)
        return current and current.tag

    @contextmanager
    def _writing(self, folder: Path, name: str) -> Iterator[Path]:
        self._sweep()
        with super()._writing(folder, name) as temporary:
            yield temporary

    def _sweep(self) -> None:
        """Remove what killed writers have left on this machine, where no collection looks."""
        if self._swept:
            return
        with self.exclusive():
            for held in FolderInventory(self.root).partitions():
                for left in held.abandoned:
                    remove_path(self.root / left.address)
        self.tidy()
        self._swept = True

    def _commit(self, table: str, partition: str, name: str, writer: VersionWriter) -> Version:
        version = super()._commit(table, partition, name, writer)
        # Also of one that was live already: who made it live may have been killed before this.
        self._partitions.put_in(table, partition)
        return version

    def _put(self, version: Version, written: Path) -> None:
        self.files.upload(written, version.address)
        key = f"{version.address}/{VERSION_FILE}"
        if not self.files.create(key, described(version).encode()):
            raise ConflictError(
                f"{self.url}/{version.address} was given up while it was written: run it again"
            )
        if missing := self._not_so(version, self._is_there):
            # Of a writer that was taken for dead.
            raise ConflictError(f"{missing[0]} was removed while it was written: run it again")
        current = current_key(version.table, version.partition)
        self._partitions.put_in(version.table, version.partition)
        before = None
        with suppress(FileNotFoundError):
            before = self.files.read(current)
        self.files.replace(current, version.name.encode())
        if is_tombstone(self.files.read(key).data):
            self._take_back(current, version.name.encode(), before.data if before else b"")
            self._partitions.put_in(version.table, version.partition)
            raise ConflictError(f"{self.url}/{version.address} was taken for garbage: run it again")

    def _take_back(self, current: str, mine: bytes, before: bytes) -> None:
        """Name what was live before, unless somebody else has named another since."""
        now = self.files.read(current)
        if now.data == mine:
            self.files.replace(current, before, now.tag)

    def check_kept(self, versions: Iterable[Version]) -> None:
        listed = list(versions)
        gone = self.each(self._is_gone, [version.address for version in listed])
        for version, is_gone in zip(listed, gone, strict=True):
            if is_gone:
                raise SnapshotError(
                    f"{self.url}/{version.address} is missing or damaged; materialise "
                    f"{version.table} {version.partition} again"
                )

    def _is_gone(self, address: str) -> bool:
        try:
            return is_tombstone(self.files.read(f"{address}/{VERSION_FILE}").data)
        except FileNotFoundError:
            return True

    @contextmanager
    def shared(self, name: str) -> Iterator[Path]:
        with self._writing(self.root / _SHARED / name, new_name()) as folder:
            file = folder / name
            with suppress(FileNotFoundError):
                self.files.download(name, file)
            before = file.read_bytes() if file.exists() else None
            yield file
            if file.exists() and (after := file.read_bytes()) != before:
                self.files.replace(name, after)

    def drop(self, table: str, partition: str) -> bool:
        return self._emptied([(table, partition)]) > 0

    def drop_all(self, partitions: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
        self._emptied(partitions)
        yield from partitions

    def _emptied(self, partitions: Iterable[tuple[str, str]]) -> int:
        """Drop partitions, and return how many were live.

        Tables side by side, a table's one after the other: they change one index. Noted once, since
        whoever follows the ledger's state then asks for all partitions of all windows.
        """
        by_table: dict[str, list[str]] = defaultdict(list)
        for table, partition in partitions:
            self.partition_path(table, partition)
            by_table[table].append(partition)
        emptied: list[tuple[str, str]] = []

        def empty(table: str, partition: str) -> bool:
            if not self.is_live(table, partition):
                return False
            # Not removed, see `stores/bucket/current.py`.
            self.files.replace(current_key(table, partition), b"")
            emptied.append((table, partition))
            return True

        def drop(table: str) -> None:
            for partition in by_table[table]:
                self._partitions.drop(table, partition, partial(empty, table, partition))

        try:
            self.each(drop, by_table)
        finally:
            if emptied:
                self._ledger.note_dropped()
        return len(emptied)
