"""The landing folder: a directory of this machine, a bucket, or a place that fsspec has an URL for.

It is somebody's production data: files are listed and read, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import IO

from stupid_dagster.errors import IngestError
from stupid_dagster.ingest.places import Folder, Place, SourceFile, place_of
from stupid_dagster.stores.files import DEFAULT_OPTIONS, StorageOptions

INBOX = "_inbox/"
"""What the paths of an inbox's files begin with. No landing file's do: `_` would hide it."""


@dataclass(frozen=True)
class Source:
    """A landing folder; `location` is a path or an URL such as `s3://bucket/events`.

    The files of an `inbox`, a folder of this machine or an URL `s3://...`, are among its own.
    `options` say how long a bucket's server is waited for.
    """

    location: str
    inbox: Path | str | None = None
    options: StorageOptions = DEFAULT_OPTIONS

    @cached_property
    def _landing(self) -> Place:
        try:
            return place_of(self.location, self.options)
        # Each file system is another package, with errors of its own.
        except Exception as error:
            raise self._unusable("used", error) from error

    @cached_property
    def _inbox(self) -> Place | None:
        return place_of(self.inbox, self.options) if self.inbox else None

    def files(self) -> list[SourceFile]:
        """Return all files below the folder, sorted by path (relative to it).

        Hidden ones, and those of which a part of the path begins with `_`, are left out: so
        writers name what isn't finished. Raises IngestError when the folder isn't there.
        """
        landing = self._landing
        try:
            found = landing.files()
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
        try:
            found = self._inbox.files() if self._inbox else []
        # It is made when the first events come.
        except FileNotFoundError:
            return []
        except Exception as error:
            raise IngestError(f"inbox {self.inbox} can't be listed: {error}") from error
        return [replace(f, path=f"{INBOX}{f.path}") for f in found if not _hidden(f.path)]

    def _place(self, path: str) -> tuple[Place, str]:
        """Return where a file is, and its path there."""
        if self._inbox and path.startswith(INBOX):
            return self._inbox, path.removeprefix(INBOX)
        return self._landing, path

    def local_path(self, path: str) -> Path | None:
        """Return where a file is on this machine; None for one that is elsewhere."""
        place, within = self._place(path)
        return place.path(within) if isinstance(place, Folder) else None

    def look(self, path: str) -> SourceFile:
        """Return a file as it is now; raises OSError, or what its file system raises."""
        place, within = self._place(path)
        return replace(place.look(within), path=path)

    def open(self, path: str) -> IO[bytes]:
        """Return a file, open for reading; raises OSError, or what its file system raises."""
        place, within = self._place(path)
        return place.open(within)

    def _unusable(self, done: str, error: Exception) -> IngestError:
        reason = str(error) or type(error).__name__
        if isinstance(error, ImportError):
            reason = f"{reason} (a package that is missing here: install it and try again)"
        elif isinstance(error, ValueError):
            reason = f"{reason} (give a path, or an URL that fsspec knows, such as s3://...)"
        return IngestError(f"landing folder {self.location} can't be {done}: {reason}")


def _hidden(path: str) -> bool:
    # `.` and `..` hide nothing: in a bucket they are names, of files that are refused.
    parts = (part for part in path.split("/") if part not in {".", ".."})
    return any(part.startswith((".", "_")) for part in parts)
