"""The lake: every table's partitions as immutable versions, one of them live.

    <root>/<table>/<partition>/<version>/...   the files of a version, and its `_version.json`
    <root>/<table>/<partition>/CURRENT         the name of the live version

A version is written under a temporary name, synced, and renamed; `CURRENT` then names it.
A reader therefore sees a version whole or not at all, whatever kills the writer. How a lake in a
bucket keeps to that, `stores/bucket/lake.py` says.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

import polars as pl
import pyarrow.parquet as pq

from stupid_dagster.errors import DamagedError, MissingVersionError, StoreError
from stupid_dagster.stores.durable import sync, write_durably
from stupid_dagster.stores.files import Files, LocalFiles
from stupid_dagster.stores.folders import NAME
from stupid_dagster.stores.full_disk import full_disk_told
from stupid_dagster.stores.inventory import (
    CURRENT,
    TEMPORARY,
    FolderInventory,
    Inventory,
)
from stupid_dagster.stores.ledger import FolderLedger, Ledger
from stupid_dagster.stores.locks import locked
from stupid_dagster.stores.stamps import is_as_stamped, stamp_and_sync
from stupid_dagster.stores.version import (
    VERSION_FILE,
    Version,
    VersionWriter,
    damaged_description,
    described,
    new_name,
    version_of,
)

S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True)
class LakeFile:
    """A Parquet file of a version; two are equal that are the same file."""

    url: str
    key: str
    files: Files = field(compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.url}/{self.key}"

    @property
    def name(self) -> str:
        """Its name in the version."""
        return self.key.split("/", 3)[3]

    def scan(self) -> pl.LazyFrame:
        """Return its rows."""
        return self.files.scan_parquet(self.key)

    def footer(self) -> pq.FileMetaData:
        """Return its footer; raises FileNotFoundError."""
        return self.files.footer(self.key)


class Lake:
    """All tables below one root folder, which is made on first use.

    `root` is where this machine works on it; `files` are its small objects by key, and `ledger`
    says which snapshots there are. The `inventory` is what lies in it, named or not.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files: Files = LocalFiles(root)
        self.ledger: Ledger = FolderLedger(root)
        self.inventory: Inventory = FolderInventory(root)

    @property
    def url(self) -> str:
        """Where it is: a path, or an URL."""
        return str(self.root)

    def partition_path(self, table: str, partition: str) -> Path:
        """Return the folder of a partition; raises StoreError for a name that is no plain name."""
        for name in (table, partition):
            if not NAME.fullmatch(name):
                raise StoreError(f"{name!r} can't be a table's or partition's name")
        return self.root / table / partition

    def version_path(self, version: Version) -> Path:
        """Return the folder of this machine that holds a version's files; raises StoreError.

        They stay there until as many calls of `release`, or the end of this process.
        """
        return self.partition_path(version.table, version.partition) / version.name

    def release(self, version: Version) -> None:
        """Say that what `version_path` returned isn't used any more."""

    def tidy(self) -> None:
        """Remove what this machine keeps of versions that are gone, where it keeps copies."""

    @contextmanager
    def lent(self, version: Version) -> Iterator[Path]:
        """Lend the folder of this machine that holds a version's files; raises StoreError."""
        path = self.version_path(version)
        try:
            yield path
        finally:
            self.release(version)

    def each(self, ask: Callable[[S], T], of: Iterable[S]) -> list[T]:
        """Return what a question says of each of several things, in their order.

        Where an answer is a request, several are on their way at once. Raises the first error.
        """
        return list(map(ask, of))

    def file(self, version: Version, name: str) -> LakeFile:
        """Return one of a version's Parquet files, to be read where it is."""
        return LakeFile(self.url, f"{version.address}/{name}", self.files)

    @contextmanager
    def write(self, table: str, partition: str) -> Iterator[VersionWriter]:
        """Yield a writer whose files become the partition's live version when the block ends.

        Where the files equal the live version's, that one stays, and nothing grows. When the
        block raises, nothing changes. Raises StoreError when the disk is full.
        """
        folder = self.partition_path(table, partition)
        name = new_name()
        with full_disk_told(folder), self._writing(folder, name) as temporary:
            writer = VersionWriter(temporary)
            yield writer
            writer.version = self._commit(table, partition, name, writer)

    @contextmanager
    def _writing(self, folder: Path, name: str) -> Iterator[Path]:
        """Yield a new folder below another, which is removed at the end."""
        temporary = folder / f"{TEMPORARY}{name}"
        with ExitStack() as stack:
            # The folder's lock tells a writer at work from one that was killed: it dies with its
            # process. No garbage collection may see the folder before it is locked.
            with self.exclusive():
                temporary.mkdir(parents=True)
                stack.enter_context(locked(temporary))
            try:
                yield temporary
            finally:
                shutil.rmtree(temporary, ignore_errors=True)

    def _commit(self, table: str, partition: str, name: str, writer: VersionWriter) -> Version:
        files = {
            str(file.relative_to(writer.path)): stamp_and_sync(file)
            for file in sorted(writer.path.rglob("*"))
            if file.is_file()
        }
        metadata = json.loads(json.dumps(writer.metadata))
        live = None
        with suppress(DamagedError):  # It is replaced.
            live = self.find(table, partition)
        same = live and live.files == files and live.metadata == metadata
        if live and same and not self.damaged(live, checksums=True):
            return live
        created = datetime.now(UTC).isoformat(timespec="milliseconds")
        version = Version(table, partition, name, created, writer.rows, files, metadata)
        self._put(version, writer.path)
        return version

    def _put(self, version: Version, written: Path) -> None:
        """Bring a version's files to their place, and make it live."""
        write_durably(written / VERSION_FILE, described(version))
        for directory in [d for d in written.rglob("*") if d.is_dir()]:
            sync(directory)
        sync(written)
        folder = self.partition_path(version.table, version.partition)
        # A garbage collection in between would find a version that nothing names yet.
        with self.exclusive():
            written.rename(folder / version.name)
            sync(folder)
            write_durably(folder / CURRENT, version.name)

    def damaged(self, version: Version, *, checksums: bool = False) -> list[str]:
        """Return the files of a version that are missing or have lost or gained bytes.

        With `checksums` also those that can't be read or whose bytes are others, which takes
        reading them.
        """
        folder = self.partition_path(version.table, version.partition) / version.name
        return [
            str(folder / name)
            for name, stamp in version.files.items()
            if not is_as_stamped(folder / name, stamp, checksums=checksums)
        ]

    def check_kept(self, versions: Iterable[Version]) -> None:
        """Raise SnapshotError where a collection of garbage takes one of what is kept by now.

        Here none can: it and whoever keeps anything hold the lake's lock.
        """

    def find(self, table: str, partition: str, name: str | None = None) -> Version | None:
        """Return the live (or the named) version of a partition, None where there is none.

        Raises DamagedError when its description, or CURRENT, is damaged or can't be read here,
        and another StoreError when a bucket doesn't give it.
        """
        folder = self.partition_path(table, partition)
        try:
            name = name or (folder / CURRENT).read_text(encoding="utf-8").strip()
            return read_version(folder / name)
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise DamagedError(
                f"{folder / CURRENT} can't be read ({error}); materialise {table} {partition} again"
            ) from error

    def live(self, table: str, partition: str) -> Version:
        """Return the live version of a partition; raises MissingVersionError."""
        version = self.find(table, partition)
        if version is None:
            raise MissingVersionError(
                f"{table} has no partition {partition} in {self.url}; materialise it first"
            )
        return version

    def kept(self, table: str, partition: str) -> list[Version]:
        """Return the versions of a partition that weren't collected yet, the newest first.

        A hint: any but the live one may go at any moment. Left out are damaged ones.
        """
        names = sorted(self._kept_names(table, partition), reverse=True)

        def find(name: str) -> Version | None:
            with suppress(DamagedError):
                return self.find(table, partition, name)
            return None

        return [version for version in self.each(find, names) if version]

    def _kept_names(self, table: str, partition: str) -> Iterable[str]:
        folder = self.partition_path(table, partition)
        return [file.parent.name for file in folder.glob(f"*/{VERSION_FILE}")]

    def partitions(self, table: str) -> list[str]:
        """Return the partitions of a table that have a live version, ascending."""
        folder = self.root / table
        if not folder.is_dir():
            return []
        return sorted(p.name for p in folder.iterdir() if (p / CURRENT).exists())

    def tables(self) -> list[str]:
        """Return the tables that have any partition, ascending."""
        if not self.root.is_dir():
            return []
        return sorted(
            folder.name
            for folder in self.root.iterdir()
            if NAME.fullmatch(folder.name) and folder.is_dir() and self.partitions(folder.name)
        )

    def scan(self, table: str, partition: str) -> pl.LazyFrame:
        """Return a partition's live rows; raises MissingVersionError."""
        return self.scan_versions([self.live(table, partition)])

    def read(self, table: str, partition: str) -> pl.DataFrame:
        """Return a partition's live rows, loaded; raises MissingVersionError."""
        return self.scan(table, partition).collect()

    def scan_days(self, table: str, days: Iterable[str]) -> pl.LazyFrame:
        """Return the live rows of several partitions with their `day` (Date) as last column.

        Days that the table lacks are left out; raises MissingVersionError when it lacks all.
        """
        versions = [v for v in self.each(partial(self.find, table), days) if v]
        if not versions:
            raise MissingVersionError(f"{table} has none of the days asked for in {self.url}")
        return self.scan_versions(versions, with_day=True)

    def scan_versions(self, versions: Iterable[Version], *, with_day: bool = False) -> pl.LazyFrame:
        """Return the rows of the given versions' Parquet files, columns matched by name.

        Raises StoreError when they have none.
        """
        frames = []
        for version in versions:
            for name in version.files:
                if name.endswith(".parquet"):
                    frame = self.file(version, name).scan()
                    if with_day:
                        day = pl.lit(version.partition).str.to_date().alias("day")
                        frame = frame.with_columns(day)
                    frames.append(frame)
        if not frames:
            raise StoreError(f"none of the versions asked for in {self.url} has Parquet files")
        return pl.concat(frames, how="diagonal_relaxed")

    def is_live(self, table: str, partition: str) -> bool:
        """Return whether a partition has a live version."""
        # Not by paths as objects: the API looks twice a second at hundreds of partitions.
        return os.path.exists(f"{self.root}/{table}/{partition}/{CURRENT}")

    def named_at(self, table: str, partition: str) -> str | None:
        """Return what changes whenever a partition gets a live version, None where it has none."""
        try:
            current = self.partition_path(table, partition) / CURRENT
            return str(current.stat().st_mtime_ns)
        except FileNotFoundError:
            return None

    def drop(self, table: str, partition: str) -> bool:
        """Take a partition's live version away; its files go with the next garbage collection.

        Returns whether there was one.
        """
        current = self.partition_path(table, partition) / CURRENT
        existed = current.exists()
        current.unlink(missing_ok=True)
        return existed

    def drop_all(self, partitions: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
        """Drop partitions (table, partition), of which any may not be there; yield what is done."""
        for table, partition in partitions:
            self.drop(table, partition)
            yield table, partition

    @contextmanager
    def shared(self, name: str) -> Iterator[Path]:
        """Lend a file of the lake that may not be there yet; what the block changes is kept.

        For what can be made again: of two who change it at the same time one may be forgotten.
        """
        yield self.root / name

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the lake's lock: commits, publishing and garbage collection never overlap."""
        self.root.mkdir(parents=True, exist_ok=True)
        with locked(self.root):
            yield


def read_version(folder: Path) -> Version:
    """Return the version in a folder; raises FileNotFoundError where there is none.

    Raises DamagedError when its description is damaged or can't be read.
    """
    file = folder / VERSION_FILE
    try:
        return version_of(file.read_bytes(), str(file))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise damaged_description(str(file), error) from error
