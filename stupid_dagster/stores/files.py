"""Files below one root, on this machine or in a bucket: all that the lake needs of a storage.

Keys are relative to the root, with `/` between their parts. What decides anything is decided by
`create` and `replace`, each of which has one winner; a listing is a hint. A small object that is
written with a condition needs something in it that nobody else writes (the name of a version, the
id of a snapshot): after an answer that was lost, a writer knows its own work by its bytes.
"""

from __future__ import annotations

import errno
import io
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Protocol

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from stupid_dagster.errors import StoreError
from stupid_dagster.stores.durable import (
    MISSING,
    TEMPORARY,
    durable_file,
    held,
    link_new,
)

# 247 bytes: a file system's 255, less what a temporary name adds. 900: S3's 1,024, less a prefix.
_PART_BYTES, _KEY_BYTES = 247, 900
PROBE = ".conditions-"
"""Part of the name of an object that tries a server, and is gone a moment later."""
_AT_ONCE = 4
# What XML can't say; and backslashes, which SeaweedFS takes for slashes.
_UNUSABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff\\]")


@dataclass(frozen=True)
class Stored:
    """Content of a small object, and the tag by which a change is told."""

    data: bytes
    tag: str


@dataclass(frozen=True)
class Entry:
    """An object: its key, its size in bytes, and when it was last changed (UTC).

    `stamp` tells a change of it without its being read: an ETag, or the time in nanoseconds.
    """

    key: str
    size: int
    changed: datetime
    stamp: str


@dataclass(frozen=True)
class StorageOptions:
    """How long a bucket's server is waited for.

    `request_seconds` is for one request with its body, `retries` for how often a request is sent
    again, `retry_seconds` for all of them together.
    """

    request_seconds: float = 30
    retries: int = 10
    retry_seconds: float = 180


DEFAULT_OPTIONS = StorageOptions()


class Files(Protocol):
    """Files below one root. All methods raise StoreError where the storage fails."""

    @property
    def url(self) -> str:
        """The root: `/abs/lake` or `s3://bucket/prefix`."""
        ...

    @property
    def folder(self) -> Path | None:
        """The root on this machine; None where it is elsewhere."""
        ...

    def read(self, key: str) -> Stored:
        """Return a small object; raises FileNotFoundError."""
        ...

    def read_unless(self, key: str, tag: str) -> Stored | None:
        """Return a small object, None while it has that tag; raises FileNotFoundError."""
        ...

    def entry(self, key: str) -> Entry | None:
        """Return an object's size and time, None where there is none."""
        ...

    def create(self, key: str, data: bytes, *, private: bool = False) -> bool:
        """Write an object that isn't there yet, durably; False: somebody else's is there.

        A `private` one is a file that its owner alone reads; a bucket has one right for all.
        """
        ...

    def replace(self, key: str, data: bytes, tag: str | None = None) -> bool:
        """Write an object durably and in one step; with a tag only if it still has that.

        False: it has another, or is gone. A reader sees the old bytes or the new ones.
        """
        ...

    def upload(self, folder: Path, prefix: str) -> None:
        """Write all files below a local folder to below a prefix, in bounded memory."""
        ...

    def download(self, key: str, file: Path) -> None:
        """Write an object to a local file, whole or not at all; raises FileNotFoundError."""
        ...

    def remove(self, keys: Iterable[str]) -> None:
        """Remove objects; missing ones are no error."""
        ...

    def below(self, prefix: str) -> Iterator[Entry]:
        """Yield all objects below a prefix, in no order: a hint, nothing may rest on it."""
        ...

    def everything(self) -> list[Entry]:
        """Return all objects, in no order, also those with keys that no other method takes."""
        ...

    def names(self, prefix: str) -> list[str]:
        """Return the folders directly below a prefix, ascending: a hint."""
        ...

    def open(self, key: str) -> io.RawIOBase:
        """Return an object to read and seek in, without a buffer; raises FileNotFoundError."""
        ...

    def scan_parquet(self, key: str) -> pl.LazyFrame:
        """Return the rows of a Parquet file; what it lacks is told when it is collected."""
        ...

    def footer(self, key: str) -> pq.FileMetaData:
        """Return the footer of a Parquet file; raises FileNotFoundError."""
        ...


def open_files(location: str | Path, options: StorageOptions = DEFAULT_OPTIONS) -> Files:
    """Return the files below a folder, or below an URL `s3://bucket/prefix`.

    Raises StoreError for an URL of another kind, or where obstore isn't installed.
    """
    text = str(location)
    if isinstance(location, str) and text.startswith("s3://"):
        from stupid_dagster.stores.s3 import S3Files

        return S3Files(text, options)
    # `Path("s3://bucket")` is `s3:/bucket`.
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", text):
        raise StoreError(
            f"{text} can't be written to: give a folder, or an URL s3://bucket/prefix as a text"
        )
    return LocalFiles(Path(location))


def is_key(key: str) -> bool:
    """Return whether every storage can hold a key."""
    parts = key.split("/")
    return (
        not _UNUSABLE.search(key)
        and not any(part in {"", ".", ".."} for part in parts)
        and not any(TEMPORARY.fullmatch(part) for part in parts)
        and all(len(part.encode()) <= _PART_BYTES for part in parts)
        and len(key.encode()) <= _KEY_BYTES
    )


def checked_key(key: str) -> str:
    """Return a key that every storage can hold; raises StoreError for any other."""
    if not is_key(key):
        raise StoreError(
            f"{key!r} can't be a file's key: it needs names with `/` between them, each of at most "
            f"{_PART_BYTES} bytes, {_KEY_BYTES} together, without control "
            "characters and backslashes"
        )
    return key


def folders_of(key: str) -> list[str]:
    """Return the folders that a key is in, the outermost first; not the root."""
    parts = key.split("/")
    return ["/".join(parts[:end]) for end in range(1, len(parts))]


def checked_prefix(prefix: str) -> str:
    """Return a prefix, which is a key or empty; raises StoreError for any other."""
    return checked_key(prefix) if prefix else prefix


class LocalFiles:
    """Files below a folder of this machine, which is made on first use."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.url = str(self.folder)

    def __repr__(self) -> str:
        return f"LocalFiles({self.url!r})"

    def _place(self, key: str) -> Path:
        return self.folder / checked_key(key)

    def read(self, key: str) -> Stored:
        file = self._place(key)
        with _missing_told(file):
            return _stored(file.read_bytes())

    def read_unless(self, key: str, tag: str) -> Stored | None:
        stored = self.read(key)
        return None if stored.tag == tag else stored

    def entry(self, key: str) -> Entry | None:
        file = self._place(key)
        try:
            return _entry(key, file) if file.is_file() else None
        except FileNotFoundError:
            return None

    def create(self, key: str, data: bytes, *, private: bool = False) -> bool:
        file = self._place(key)
        try:
            with _failure_told(file, FileExistsError), durable_file(file, link_new) as stream:
                if private:
                    os.fchmod(stream.fileno(), 0o600)
                stream.write(data)
        except FileExistsError:
            return False
        return True

    def replace(self, key: str, data: bytes, tag: str | None = None) -> bool:
        file = self._place(key)
        with _failure_told(file), held(file) as stream:
            if tag is not None and (stream is None or _stored(stream.read()).tag != tag):
                return False
            with durable_file(file) as new:
                new.write(data)
        return True

    def upload(self, folder: Path, prefix: str) -> None:
        for file in files_below(folder):
            key = "/".join(part for part in (prefix, file.relative_to(folder).as_posix()) if part)
            _copy(file, self._place(key))

    def download(self, key: str, file: Path) -> None:
        _copy(self._place(key), file)

    def remove(self, keys: Iterable[str]) -> None:
        for key in keys:
            file = self._place(key)
            with _failure_told(file), held(file) as stream:
                if stream is None:
                    continue
                file.unlink()
            # Folders are nothing of their own, as in a bucket. A writer that loses its folder
            # makes it again.
            for folder in file.parents:
                if folder == self.folder:
                    break
                try:
                    folder.rmdir()
                except OSError:
                    break

    def below(self, prefix: str) -> Iterator[Entry]:
        for file in files_below(self.folder / checked_prefix(prefix)):
            if not TEMPORARY.fullmatch(file.name):
                with suppress(FileNotFoundError):
                    yield _entry(file.relative_to(self.folder).as_posix(), file)

    def everything(self) -> list[Entry]:
        return [*self.below("")]

    def names(self, prefix: str) -> list[str]:
        folder = self.folder / checked_prefix(prefix)
        try:
            with _failure_told(folder, *MISSING):
                return sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
        except MISSING:
            return []

    def scan_parquet(self, key: str) -> pl.LazyFrame:
        return pl.scan_parquet(self._place(key), glob=False)

    def open(self, key: str) -> io.RawIOBase:
        file = self._place(key)
        with _missing_told(file):
            return file.open("rb", buffering=0)

    def footer(self, key: str) -> pq.FileMetaData:
        file = self._place(key)
        with _missing_told(file), self.open(key) as stream:
            return footer_of(stream, str(file))


def files_below(folder: Path) -> Iterator[Path]:
    """Yield all files below a folder, in no order; none where it is missing."""
    for base, _, names in os.walk(folder):
        for name in names:
            yield Path(base, name)


def side_by_side(work: Callable[[Path], None], files: Iterable[Path]) -> None:
    """Do some work for each of several files, a few at a time; raises the first one's error."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        # A failure cancels what hasn't begun.
        for _ in pool.map(work, files):
            pass


def footer_of(stream: BinaryIO | io.RawIOBase, url: str) -> pq.FileMetaData:
    """Return the footer of a Parquet file; raises StoreError when it is none."""
    try:
        return pq.read_metadata(stream)
    except pa.ArrowInvalid as error:
        raise StoreError(f"{url} is no Parquet file, or damaged ({error})") from error


def _copy(source: Path, file: Path) -> None:
    with _missing_told(source), source.open("rb") as old, durable_file(file) as new:
        shutil.copyfileobj(old, new, 1 << 20)


def _stored(data: bytes) -> Stored:
    return Stored(data, xxhash.xxh3_128_hexdigest(data))


def _entry(key: str, file: Path) -> Entry:
    status = file.stat()
    changed = datetime.fromtimestamp(status.st_mtime, UTC)
    return Entry(key, status.st_size, changed, str(status.st_mtime_ns))


@contextmanager
def _missing_told(file: Path) -> Iterator[None]:
    """Raise FileNotFoundError where there is no such file, StoreError where it can't be read."""
    try:
        with _failure_told(file, *MISSING):
            yield
    except MISSING as error:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(file)) from error


@contextmanager
def _failure_told(file: Path, *passed: type[OSError]) -> Iterator[None]:
    """Raise StoreError for what the system refuses, save the errors that are passed."""
    try:
        yield
    except passed:
        raise
    except OSError as error:
        raise StoreError(
            f"{file} can't be read or written ({error}); check its rights, and the disk"
        ) from error
