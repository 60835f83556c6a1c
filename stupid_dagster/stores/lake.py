"""The lake: every table's partitions as immutable versions, one of them live.

    <root>/<table>/<partition>/<version>/...   the files of a version, and its `_version.json`
    <root>/<table>/<partition>/CURRENT         the name of the live version

A version is written under a temporary name, synced, and renamed; `CURRENT` then names it.
A reader therefore sees a version whole or not at all, whatever kills the writer.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

import polars as pl
import xxhash

from stupid_dagster.errors import MissingVersionError, StoreError
from stupid_dagster.stores.full_disk import full_disk_told

CURRENT = "CURRENT"
VERSION_FILE = "_version.json"
_TEMPORARY = ".writing-"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Version:
    """One immutable state of a table's partition."""

    table: str
    partition: str
    name: str
    created: str
    rows: int
    files: Mapping[str, FileStamp]
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """`<table>/<partition>/<name>`, which no other version has."""
        return f"{self.table}/{self.partition}/{self.name}"

    @property
    def bytes(self) -> int:
        """Size of all its files."""
        return sum(stamp.size for stamp in self.files.values())


@dataclass(frozen=True)
class FileStamp:
    """Size in bytes and XXH3 checksum of a file."""

    size: int
    checksum: str


class VersionWriter:
    """A version in the making: write files into `path`, then state its rows."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = 0
        # Of Parquet's row groups and pages; empty: as Polars likes them.
        self.layout: dict[str, Any] = {}
        self.metadata: dict[str, Any] = {}
        self.version: Version | None = None

    def write(self, frame: pl.DataFrame, name: str = "part", *, deltas: Sequence[str] = ()) -> None:
        """Write a frame as `<name>.parquet` and count its rows.

        `deltas` are Parquet columns of integers or times that are near their neighbours: written
        as differences they take less room.
        """
        file = self.path / f"{name}.parquet"
        if deltas:
            # Polars can't choose a column's encoding.
            options = {
                "column_encoding": dict.fromkeys(deltas, "DELTA_BINARY_PACKED"),
                "use_dictionary": [leaf for leaf in _leaves(frame) if leaf not in deltas],
            }
            frame.write_parquet(file, compression="zstd", use_pyarrow=True, pyarrow_options=options)
        else:
            frame.write_parquet(file, compression="zstd", **self.layout)
        self.rows += frame.height

    @property
    def committed(self) -> Version:
        """The version that was made live; raises StoreError before the writer is closed."""
        if self.version is None:
            raise StoreError(f"{self.path} isn't committed yet")
        return self.version


class Lake:
    """All tables below one root folder, which is made on first use."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def partition_path(self, table: str, partition: str) -> Path:
        """Return the folder of a partition; raises StoreError for a name that is no plain name."""
        for name in (table, partition):
            if not NAME.fullmatch(name):
                raise StoreError(f"{name!r} can't be a table's or partition's name")
        return self.root / table / partition

    def version_path(self, version: Version) -> Path:
        """Return the folder that holds a version's files."""
        return self.partition_path(version.table, version.partition) / version.name

    @contextmanager
    def write(self, table: str, partition: str) -> Iterator[VersionWriter]:
        """Yield a writer whose files become the partition's live version when the block ends.

        Where the files equal the live version's, that one stays, and nothing grows. When the
        block raises, nothing changes. Raises StoreError when the disk is full.
        """
        folder = self.partition_path(table, partition)
        name = new_name()
        temporary = folder / f"{_TEMPORARY}{name}"
        with full_disk_told(folder), ExitStack() as stack:
            # The folder's lock tells a writer at work from one that was killed: it dies with its
            # process. No garbage collection may see the folder before it is locked.
            with self.exclusive():
                temporary.mkdir(parents=True)
                stack.enter_context(_locked(temporary))
            try:
                writer = VersionWriter(temporary)
                yield writer
                writer.version = self._commit(table, partition, name, writer)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)

    def _commit(self, table: str, partition: str, name: str, writer: VersionWriter) -> Version:
        folder = self.partition_path(table, partition)
        files = {
            str(file.relative_to(writer.path)): _stamp_and_sync(file)
            for file in sorted(writer.path.rglob("*"))
            if file.is_file()
        }
        metadata = json.loads(json.dumps(writer.metadata))
        live = None
        with suppress(StoreError):  # What is damaged is replaced.
            live = self.find(table, partition)
        same = live and live.files == files and live.metadata == metadata
        if live and same and not self.damaged(live, checksums=True):
            return live
        created = datetime.now(UTC).isoformat(timespec="milliseconds")
        version = Version(table, partition, name, created, writer.rows, files, metadata)
        write_durably(writer.path / VERSION_FILE, json.dumps(asdict(version), indent=1))
        for directory in [d for d in writer.path.rglob("*") if d.is_dir()]:
            _sync(directory)
        _sync(writer.path)
        # A garbage collection in between would find a version that nothing names yet.
        with self.exclusive():
            writer.path.rename(folder / name)
            _sync(folder)
            write_durably(folder / CURRENT, name)
        return version

    def damaged(self, version: Version, *, checksums: bool = False) -> list[Path]:
        """Return the files of a version that are missing or have lost or gained bytes.

        With `checksums` also those that can't be read or whose bytes are others, which takes
        reading them.
        """
        folder = self.version_path(version)
        return [
            folder / name
            for name, stamp in version.files.items()
            if not _is_as_stamped(folder / name, stamp, checksums=checksums)
        ]

    def find(self, table: str, partition: str, name: str | None = None) -> Version | None:
        """Return the live (or the named) version of a partition, None where there is none.

        Raises StoreError when its description, or CURRENT, is damaged or can't be read.
        """
        folder = self.partition_path(table, partition)
        try:
            name = name or (folder / CURRENT).read_text(encoding="utf-8").strip()
            return read_version(folder / name)
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise StoreError(
                f"{folder / CURRENT} can't be read ({error}); materialise {table} {partition} again"
            ) from error

    def live(self, table: str, partition: str) -> Version:
        """Return the live version of a partition; raises MissingVersionError."""
        version = self.find(table, partition)
        if version is None:
            raise MissingVersionError(
                f"{table} has no partition {partition} in {self.root}; materialise it first"
            )
        return version

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
        versions = [v for day in days if (v := self.find(table, day))]
        if not versions:
            raise MissingVersionError(f"{table} has none of the days asked for in {self.root}")
        return self.scan_versions(versions, with_day=True)

    def scan_versions(self, versions: Iterable[Version], *, with_day: bool = False) -> pl.LazyFrame:
        """Return the rows of the given versions' Parquet files, columns matched by name.

        Raises StoreError when they have none.
        """
        frames = []
        for version in versions:
            for name in version.files:
                if name.endswith(".parquet"):
                    frame = pl.scan_parquet(self.version_path(version) / name, glob=False)
                    if with_day:
                        day = pl.lit(version.partition).str.to_date().alias("day")
                        frame = frame.with_columns(day)
                    frames.append(frame)
        if not frames:
            raise StoreError(f"none of the versions asked for in {self.root} has Parquet files")
        return pl.concat(frames, how="diagonal_relaxed")

    def drop(self, table: str, partition: str) -> bool:
        """Take a partition's live version away; its files go with the next garbage collection.

        Returns whether there was one.
        """
        current = self.partition_path(table, partition) / CURRENT
        existed = current.exists()
        current.unlink(missing_ok=True)
        return existed

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the lake's lock: commits, publishing and garbage collection never overlap."""
        self.root.mkdir(parents=True, exist_ok=True)
        with _locked(self.root):
            yield

    def abandoned(self, table: str, partition: str) -> list[Path]:
        """Return the temporary folders whose writers were killed."""
        folder = self.partition_path(table, partition)
        return sorted(left for left in folder.glob(f"{_TEMPORARY}*") if not _is_locked(left))


def new_name(after: str | None = None) -> str:
    """Return a name that sorts by the time it was made: `20130209T101112345-1f2e3d`.

    It sorts behind `after`, even if the clock was set back since that was made.
    """
    now = datetime.now(UTC)
    if after:
        now = max(now, made_at(after) + timedelta(milliseconds=1))
    return f"{now:%Y%m%dT%H%M%S%f}"[:18] + f"-{secrets.token_hex(3)}"


def made_at(name: str) -> datetime:
    """Return the time at which a version or snapshot was begun, which its name tells."""
    return datetime.strptime(name[:18] + "000", "%Y%m%dT%H%M%S%f").replace(tzinfo=UTC)


def read_version(folder: Path) -> Version:
    """Return the version in a folder; raises FileNotFoundError where there is none.

    Raises StoreError when its description is damaged or can't be read.
    """
    file = folder / VERSION_FILE
    try:
        tree = json.loads(file.read_text(encoding="utf-8"))
        tree["files"] = {name: FileStamp(**stamp) for name, stamp in tree["files"].items()}
        return Version(**tree)
    except FileNotFoundError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        table, partition = folder.parts[-3:-1]
        raise StoreError(
            f"{file} is damaged ({error}); materialise {table} {partition} again"
        ) from error


def write_durably(file: Path, text: str) -> None:
    """Replace a file's content in one step that survives a crash.

    Raises StoreError when the disk is full.
    """
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(3)}")
    try:
        with full_disk_told(file), temporary.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(file)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync(file.parent)


def _leaves(frame: pl.DataFrame) -> Iterator[str]:
    """Yield the names of a frame's Parquet columns; a list's values are a column of their own."""
    for name, dtype in frame.schema.items():
        yield f"{name}.list.element" if isinstance(dtype, pl.List) else name


def _stamp_and_sync(file: Path) -> FileStamp:
    with file.open("rb") as stream:
        stamp = FileStamp(file.stat().st_size, _checksum(stream))
        os.fsync(stream.fileno())
    return stamp


def _is_as_stamped(file: Path, stamp: FileStamp, *, checksums: bool) -> bool:
    if not file.is_file() or file.stat().st_size != stamp.size:
        return False
    if not checksums:
        return True
    try:
        with file.open("rb") as stream:
            return _checksum(stream) == stamp.checksum
    except OSError:
        return False


def _checksum(stream: BinaryIO) -> str:
    digest = xxhash.xxh3_64()
    while block := stream.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _is_locked(directory: Path) -> bool:
    try:
        descriptor = os.open(directory, os.O_RDONLY)
    except FileNotFoundError:  # Its writer has just ended.
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
