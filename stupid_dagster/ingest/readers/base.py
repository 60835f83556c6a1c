"""What all readers of landing files have in common."""

from __future__ import annotations

import gzip
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import polars as pl
import pyarrow as pa

from stupid_dagster.errors import IngestError
from stupid_dagster.ingest.source import Source


@dataclass(frozen=True)
class BadRecord:
    """A record of a file that could not be read: its number (from 0), its text, and why."""

    row: int
    raw: str
    reason: str


class Reader(ABC):
    """One landing file; its columns are read as strings, whatever their own types are.

    All methods raise IngestError when the file can't be read.
    """

    bad_records: Sequence[BadRecord] = ()

    def __init__(self, source: Source, path: str) -> None:
        self.source = source
        self.path = path
        with self._guarded():
            self._open()

    columns: list[str]
    """Names of its columns, in its order."""

    height: int
    """Number of its records that can be read."""

    def numbers(self) -> pl.Series:
        """Return each readable record's number in the file, from 0; UInt32."""
        numbers = pl.Series(range(self.height + len(self.bad_records)), dtype=pl.UInt32)
        return numbers.filter(~numbers.is_in([bad.row for bad in self.bad_records]))

    def read(self, columns: Sequence[str], records: pl.Series | None = None) -> pl.DataFrame:
        """Return columns as strings, a row a record, in the file's order.

        `records` are the positions (ascending, UInt32) of those that are wanted; None is all.
        With no columns the frame has no width, and so no height.
        """
        with self._guarded():
            return self._read(list(columns), records)

    def filled(self, columns: Sequence[str], nulls: Sequence[str]) -> dict[str, int]:
        """Return how many values columns hold that are not null or one of its spellings.

        An upper bound where a file can tell it without decoding them.
        """
        with self._guarded():
            return self._filled(list(columns), nulls)

    @abstractmethod
    def _open(self) -> None: ...

    @abstractmethod
    def _read(self, columns: list[str], records: pl.Series | None) -> pl.DataFrame: ...

    def _filled(self, columns: list[str], nulls: Sequence[str]) -> dict[str, int]:
        frame = self._read(columns, None)
        held = frame.select(
            (pl.col(c).is_not_null() & ~pl.col(c).str.strip_chars().is_in(list(nulls))).sum()
            for c in columns
        )
        return held.row(0, named=True) if columns else {}

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        name = self.path.rsplit("/", 1)[-1]
        try:
            yield
        # Polars panics on some damaged files, which is no `Exception`.
        except (
            pl.exceptions.PolarsError,
            pl.exceptions.PanicException,
            pa.ArrowException,
            EOFError,
            zlib.error,
            UnicodeDecodeError,
            OSError,
        ) as error:
            reason = " ".join(str(error).split())[:300]
            raise IngestError(f"{name}: the file can't be read: {reason}") from error


def content(source: Source, path: str) -> bytes:
    """Return a file's bytes, unpacked where its name ends in `.gz`; raises OSError, EOFError."""
    with source.open(path) as stream:
        if path.lower().endswith(".gz"):
            with gzip.open(stream) as unpacked:
                return unpacked.read()
        return stream.read()
