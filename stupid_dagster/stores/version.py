"""A version: one immutable state of a table's partition, its description and how it's written."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from stupid_dagster.errors import DamagedError, StoreError
from stupid_dagster.stores.stamps import FileStamp

VERSION_FILE = "_version.json"
"""The description of a version, beside its files."""


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


def described(version: Version) -> str:
    """Return the description of a version, as `version_of` reads it."""
    return json.dumps(asdict(version), indent=1)


def version_of(text: str | bytes, place: str) -> Version:
    """Return the version that is described; raises DamagedError when the description is.

    `place` is where it stands: `.../<table>/<partition>/<version>/_version.json`.
    """
    try:
        tree = json.loads(text)
        tree["files"] = {name: FileStamp(**stamp) for name, stamp in tree["files"].items()}
        return Version(**tree)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise damaged_description(place, error) from error


def damaged_description(place: str, error: Exception) -> DamagedError:
    """Return the error that the description of a version can't be read."""
    table, partition = place.split("/")[-4:-2]
    return DamagedError(f"{place} is damaged ({error}); materialise {table} {partition} again")


def _leaves(frame: pl.DataFrame) -> Iterator[str]:
    """Yield the names of a frame's Parquet columns; a list's values are a column of their own."""
    for name, dtype in frame.schema.items():
        yield f"{name}.list.element" if isinstance(dtype, pl.List) else name
