"""Where landing files may lie: a folder of this machine, a bucket, or any place fsspec knows."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol, cast

from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from stupid_dagster.errors import IngestError, StoreError
from stupid_dagster.stores.files import (
    Entry,
    Files,
    StorageOptions,
    checked_key,
    folders_of,
    open_files,
)

# What file systems call a file's fingerprint or time of change; the most telling first.
_STAMPS = (
    *("ETag", "etag", "md5", "md5Hash", "CRC", "sha", "checksum"),
    *("mtime", "LastModified", "last_modified", "updated", "modified", "modify"),
    *("last_write_time", "created"),
)


@dataclass(frozen=True)
class SourceFile:
    """A file, its size in bytes (-1: untold), and what tells a change of it (etag or time)."""

    path: str
    size: int
    stamp: str

    @property
    def state(self) -> str:
        """Changes when the file does."""
        return f"{self.size}:{self.stamp}"


class Place(Protocol):
    """A folder somewhere; paths are relative to it. All methods raise what its system raises."""

    def files(self) -> list[SourceFile]:
        """Return all files below it; raises FileNotFoundError when it isn't there."""
        ...

    def look(self, path: str) -> SourceFile:
        """Return a file as it is now."""
        ...

    def open(self, path: str) -> IO[bytes]:
        """Return a file, open for reading."""
        ...


def place_of(location: str | Path, options: StorageOptions) -> Place:
    """Return the place that a path or an URL names; raises what its file system does.

    One of `s3://` is read as the lake in a bucket is, so that it needs no other package, finds
    its credentials where that does, and is waited for by the same `options`.
    """
    if isinstance(location, Path):
        return Folder(str(location))
    if location.startswith("s3://"):
        return Bucket(open_files(location, options))
    files, root = url_to_fs(location)
    root = root.rstrip("/") or root
    return Folder(root) if isinstance(files, LocalFileSystem) else Elsewhere(files, root)


@dataclass(frozen=True)
class Folder:
    """A folder of this machine."""

    root: str

    def files(self) -> list[SourceFile]:
        """Return the regular files below it, and those that links lead to."""
        if not os.path.isdir(self.root):
            raise FileNotFoundError(self.root)

        def refuse(error: OSError) -> None:
            # A folder that can't be read would look like one whose files are gone.
            if not isinstance(error, FileNotFoundError):
                raise error

        found = []
        for folder, _, names in os.walk(self.root, onerror=refuse):
            for name in names:
                path = os.path.join(folder, name)
                try:
                    state = os.stat(path)
                except FileNotFoundError:  # It just went, or is a link to nothing.
                    continue
                if stat.S_ISREG(state.st_mode):
                    relative = os.path.relpath(path, self.root).replace(os.sep, "/")
                    # A name that is no text can't be told in any table; so changed, the file is
                    # told as one that isn't there.
                    relative = os.fsencode(relative).decode(errors="replace")
                    found.append(_local_file(relative, state))
        return found

    def look(self, path: str) -> SourceFile:
        return _local_file(path, os.stat(self.path(path)))

    def open(self, path: str) -> IO[bytes]:
        return self.path(path).open("rb")

    def path(self, path: str) -> Path:
        """Return where a file is."""
        return Path(self.root, path)


@dataclass(frozen=True)
class Bucket:
    """A place in a bucket. Of a file no more is fetched than is read of it."""

    stored: Files

    def files(self) -> list[SourceFile]:
        found = [entry for entry in self.stored.everything() if entry.key]
        # What S3's console makes for a folder. One without files is told as a file: it is empty.
        folders = {parent for entry in found for parent in folders_of(entry.key)}
        if not found:
            raise FileNotFoundError(self.stored.url)
        return [_stored_file(entry) for entry in found if entry.size or entry.key not in folders]

    def look(self, path: str) -> SourceFile:
        entry = self.stored.entry(path)
        if entry is None:
            raise FileNotFoundError(f"{self.stored.url}/{path} is not there")
        return _stored_file(entry)

    def open(self, path: str) -> IO[bytes]:
        try:
            checked_key(path)
        except StoreError as error:
            # S3 allows more: that is this file's trouble, and not the bucket's.
            raise IngestError(f"{self.stored.url}: {error}") from error
        return cast(IO[bytes], self.stored.open(path))


@dataclass(frozen=True)
class Elsewhere:
    """A folder of any other of fsspec's file systems."""

    system: AbstractFileSystem
    root: str

    def files(self) -> list[SourceFile]:
        self.system.invalidate_cache()
        if not self.system.isdir(self.root):
            raise FileNotFoundError(self.root)
        found = []
        listing = cast(dict[str, dict[str, Any]], self.system.find(self.root, detail=True))
        for path, listed in listing.items():
            # Some (HTTP) tell nothing of a file before they are asked for it alone.
            info = listed if listed.get("size") is not None else self.system.info(path)
            found.append(_remote_file(path.removeprefix(self.root).lstrip("/"), info))
        return found

    def look(self, path: str) -> SourceFile:
        # Many answer from listings that they keep. Without a path, for some (FTP), given that of a
        # file, keep its folder's listing.
        self.system.invalidate_cache()
        return _remote_file(path, self.system.info(f"{self.root}/{path}"))

    def open(self, path: str) -> IO[bytes]:
        return cast(IO[bytes], self.system.open(f"{self.root}/{path}", "rb"))


def _local_file(path: str, state: os.stat_result) -> SourceFile:
    return SourceFile(path, state.st_size, str(state.st_mtime_ns))


def _stored_file(entry: Entry) -> SourceFile:
    return SourceFile(entry.key, entry.size, entry.stamp)


def _remote_file(path: str, info: dict[str, Any]) -> SourceFile:
    size = info.get("size")
    stamp = next((str(info[key]) for key in _STAMPS if info.get(key)), "")
    return SourceFile(path, -1 if size is None else int(size), stamp)
