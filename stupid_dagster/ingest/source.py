"""The landing folder: a directory of this machine, or any place that fsspec has an URL for.

It is somebody's production data: files are listed and read, and nothing else.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import IO, Any, cast

from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from stupid_dagster.errors import IngestError

INBOX = "_inbox/"
"""What the paths of an inbox's files begin with. No landing file's do: `_` would hide it."""
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


@dataclass(frozen=True)
class Source:
    """A landing folder; `location` is a path or an fsspec URL such as `s3://bucket/events`.

    The files of an `inbox`, a folder of this machine, are among its own.
    """

    location: str
    inbox: Path | None = None

    @cached_property
    def _root(self) -> tuple[AbstractFileSystem, str]:
        try:
            files, root = url_to_fs(self.location)
        # Each file system is another package, with errors of its own.
        except Exception as error:
            raise self._unusable("used", error) from error
        return files, root.rstrip("/") or root

    @property
    def is_local(self) -> bool:
        """Whether it is a directory of this machine."""
        return isinstance(self._root[0], LocalFileSystem)

    def files(self) -> list[SourceFile]:
        """Return all files below the folder, sorted by path (relative to it).

        Hidden ones, and those of which a part of the path begins with `_`, are left out: so
        writers name what isn't finished. Raises IngestError when the folder isn't there.
        """
        files, root = self._root
        try:
            if self.is_local:
                found = _local_files(root)
            else:
                files.invalidate_cache()
                if not files.isdir(root):
                    raise FileNotFoundError(root)
                found = _remote_files(files, root)
        except FileNotFoundError as error:
            raise IngestError(
                f"landing folder {self.location} does not exist; set `landing` in stupid.toml, or "
                "make sample data with `stupid-dagster sample flights --out DIR`"
            ) from error
        except Exception as error:
            raise self._unusable("listed", error) from error
        shown = [file for file in found if not _hidden(file.path)] + self._inbox_files()
        return sorted(shown, key=lambda file: file.path)

    def _inbox_files(self) -> list[SourceFile]:
        # It is made when the first events come.
        if self.inbox is None or not self.inbox.exists():
            return []
        try:
            found = _local_files(str(self.inbox))
        except OSError as error:
            raise IngestError(f"inbox {self.inbox} can't be listed: {error}") from error
        return [replace(f, path=f"{INBOX}{f.path}") for f in found if not _hidden(f.path)]

    def _in_inbox(self, path: str) -> Path | None:
        """Return where a file of the inbox is; None for a landing file."""
        if self.inbox is None or not path.startswith(INBOX):
            return None
        return self.inbox / path.removeprefix(INBOX)

    def local_path(self, path: str) -> Path | None:
        """Return where a file is on this machine; None for one that is elsewhere."""
        if own := self._in_inbox(path):
            return own
        return Path(self._root[1]) / path if self.is_local else None

    def look(self, path: str) -> SourceFile:
        """Return a file as it is now; raises OSError, or what its file system raises."""
        if own := self._in_inbox(path):
            return _local_file(path, own.stat())
        files, root = self._root
        if self.is_local:
            return _local_file(path, os.stat(os.path.join(root, path)))
        # Many answer from listings that they keep. Without a path, for some (FTP), given that of a
        # file, keep its folder's listing.
        files.invalidate_cache()
        return _remote_file(path, files.info(f"{root}/{path}"))

    def open(self, path: str) -> IO[bytes]:
        """Return a file, open for reading; raises OSError, or what its file system raises."""
        if own := self._in_inbox(path):
            return own.open("rb")
        files, root = self._root
        return cast(IO[bytes], files.open(f"{root}/{path}", "rb"))

    def _unusable(self, done: str, error: Exception) -> IngestError:
        reason = str(error) or type(error).__name__
        if isinstance(error, ImportError):
            reason = f"{reason} (a package that is missing here: install it and try again)"
        elif isinstance(error, ValueError):
            reason = f"{reason} (give a path, or an URL that fsspec knows, such as s3://...)"
        return IngestError(f"landing folder {self.location} can't be {done}: {reason}")


def _local_files(root: str) -> list[SourceFile]:
    """Return the regular files below a directory, and those that links lead to."""
    if not os.path.isdir(root):
        raise FileNotFoundError(root)

    def refuse(error: OSError) -> None:
        # A folder that can't be read would look like one whose files are gone.
        if not isinstance(error, FileNotFoundError):
            raise error

    found = []
    for folder, _, names in os.walk(root, onerror=refuse):
        for name in names:
            path = os.path.join(folder, name)
            try:
                state = os.stat(path)
            except FileNotFoundError:  # It just went, or is a link to nothing.
                continue
            if stat.S_ISREG(state.st_mode):
                relative = os.path.relpath(path, root).replace(os.sep, "/")
                # A name that is no text can't be told in any table; so changed, the file is told
                # as one that isn't there.
                relative = os.fsencode(relative).decode(errors="replace")
                found.append(_local_file(relative, state))
    return found


def _local_file(path: str, state: os.stat_result) -> SourceFile:
    return SourceFile(path, state.st_size, str(state.st_mtime_ns))


def _remote_files(files: AbstractFileSystem, root: str) -> list[SourceFile]:
    found = []
    for path, listed in cast(dict[str, dict[str, Any]], files.find(root, detail=True)).items():
        # Some (HTTP) tell nothing of a file before they are asked for it alone.
        info = listed if listed.get("size") is not None else files.info(path)
        found.append(_remote_file(path.removeprefix(root).lstrip("/"), info))
    return found


def _remote_file(path: str, info: dict[str, Any]) -> SourceFile:
    size = info.get("size")
    stamp = next((str(info[key]) for key in _STAMPS if info.get(key)), "")
    return SourceFile(path, -1 if size is None else int(size), stamp)


def _hidden(path: str) -> bool:
    return any(part.startswith((".", "_")) for part in path.split("/"))
