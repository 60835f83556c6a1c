"""The landing folder: a directory of this machine, or any place that fsspec has an URL for.

It is somebody's production data: files are listed and read, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any, cast

from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from stupid_dagster.errors import IngestError

# What file systems call a file's fingerprint or time of change; the most telling first.
_STAMPS = ("ETag", "etag", "md5", "mtime", "LastModified", "last_modified", "updated", "modified")


@dataclass(frozen=True)
class SourceFile:
    """A file, its size in bytes, and what its file system tells a change by (etag or time)."""

    path: str
    size: int
    stamp: str


@dataclass(frozen=True)
class Source:
    """A landing folder; `location` is a path or an fsspec URL such as `s3://bucket/events`."""

    location: str

    @cached_property
    def _root(self) -> tuple[AbstractFileSystem, str]:
        try:
            files, root = url_to_fs(self.location)
        except (ImportError, ValueError, OSError) as error:
            raise IngestError(f"landing folder {self.location} can't be used: {error}") from error
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
            files.invalidate_cache()
            if not files.isdir(root):
                raise FileNotFoundError(root)
            found = files.find(root, detail=True)
        except FileNotFoundError as error:
            raise IngestError(
                f"landing folder {self.location} does not exist; set `landing` in stupid.toml, or "
                "make sample data with `stupid-dagster sample flights --out DIR`"
            ) from error
        except OSError as error:
            raise IngestError(f"landing folder {self.location} can't be listed: {error}") from error
        listed = []
        for path, info in cast(dict[str, dict[str, Any]], found).items():
            name = path.removeprefix(root).lstrip("/")
            if not any(part.startswith((".", "_")) for part in name.split("/")):
                listed.append(SourceFile(name, int(info.get("size") or 0), _stamp(info)))
        return sorted(listed, key=lambda file: file.path)

    def local_path(self, path: str) -> Path | None:
        """Return where a file is on this machine; None for one that is elsewhere."""
        files, root = self._root
        return Path(root) / path if isinstance(files, LocalFileSystem) else None

    def open(self, path: str) -> IO[bytes]:
        """Return a file, open for reading; raises OSError."""
        files, root = self._root
        return cast(IO[bytes], files.open(f"{root}/{path}", "rb"))


def _stamp(info: dict[str, Any]) -> str:
    return next((str(info[name]) for name in _STAMPS if info.get(name)), "")
