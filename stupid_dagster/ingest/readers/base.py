"""What all readers of landing files have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import polars as pl
import pyarrow as pa

from stupid_dagster.errors import IngestError, StoreError
from stupid_dagster.ingest.source import Source


@dataclass(frozen=True)
class BadRecord:
    """A record of a file that could not be read: its number (from 0), its text, and why."""

    row: int
    raw: str
    reason: str


class Reader(ABC):
    """One landing file; its columns are read as strings, whatever their own types are.

    All methods raise IngestError when the file can't be read, and StoreError when its bucket
    doesn't give it.
    """

    columns: list[str]
    """Names of its columns, in its order."""

    def __init__(self, source: Source, path: str) -> None:
        self.source = source
        self.path = path
        with guarded(self.path):
            self._open()

    @property
    @abstractmethod
    def height(self) -> int:
        """Number of its records that can be read."""

    @property
    def bad_records(self) -> Sequence[BadRecord]:
        """Its records that can't be read."""
        return ()

    def numbers(self) -> pl.Series:
        """Return each readable record's number in the file, from 0; UInt32."""
        bad = pl.Series([record.row for record in self.bad_records], dtype=pl.UInt32)
        numbers = pl.int_range(self.height + len(bad), dtype=pl.UInt32, eager=True)
        return numbers if bad.is_empty() else numbers.filter(~numbers.is_in(bad.implode()))

    def read(self, columns: Sequence[str], records: pl.Series | None = None) -> pl.DataFrame:
        """Return columns as strings, a row a record, in the file's order.

        `records` are the positions (ascending, UInt32) of those that are wanted; None is all.
        With no columns the frame has no width, and so no height.
        """
        with guarded(self.path):
            return self._read(list(columns), records) if columns else pl.DataFrame()

    def filled(self, columns: Sequence[str], nulls: Sequence[str]) -> dict[str, int]:
        """Return how many values columns hold that are not null or one of its spellings.

        An upper bound where a file can tell it without decoding them.
        """
        with guarded(self.path):
            return self._filled(list(columns), nulls) if columns else {}

    @abstractmethod
    def _open(self) -> None: ...

    @abstractmethod
    def _read(self, columns: list[str], records: pl.Series | None) -> pl.DataFrame: ...

    def _filled(self, columns: list[str], nulls: Sequence[str]) -> dict[str, int]:
        # One column after another: all of a file's columns are several times the file.
        return {
            column: count_values(self._read([column], None), nulls)[column] for column in columns
        }


@contextmanager
def guarded(path: str) -> Iterator[None]:
    """Raise IngestError for whatever the block, which reads a file, can't read.

    StoreError where its bucket refuses it or can't be reached: that is nothing of the file's, and
    to do without it would lose its rows. One that is gone meanwhile is a FileNotFoundError.
    """
    try:
        yield
    except (IngestError, StoreError):
        raise
    # What a damaged file, or a file system of another package, raises can't be foretold.
    # Polars panics on some damaged files, which is no `Exception`.
    except (Exception, pl.exceptions.PanicException) as error:
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise unreadable(path, reason) from error


def unreadable(path: str, reason: str) -> IngestError:
    """Return what to raise of a file that can't be read."""
    return IngestError(f"{path}: the file can't be read: {reason}")


def from_arrow(table: pa.Table | pa.RecordBatch, columns: list[str]) -> pl.DataFrame:
    """Return Arrow's columns as a frame's, by these names; Polars would rename one without."""
    frame = cast(pl.DataFrame, pl.from_arrow(table))
    frame.columns = columns
    return frame


def count_values(frame: pl.DataFrame, nulls: Sequence[str]) -> dict[str, int]:
    """Return how many values columns of strings hold that are no spelling of null."""
    spellings = pl.Series(nulls, dtype=pl.String).implode()
    return {
        column: int((~frame[column].str.strip_chars().is_in(spellings)).sum())
        for column in frame.columns
    }
