"""What all readers of landing files have in common."""

from __future__ import annotations

import codecs
import gzip
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import polars as pl
import pyarrow as pa

from stupid_dagster.errors import IngestError, StupidError
from stupid_dagster.ingest.source import Source

GZIP = b"\x1f\x8b"
NO_TEXT = {
    b"PAR1": "Parquet file",
    b"PK\x03\x04": "zip archive",
    b"\x28\xb5\x2f\xfd": "zstd archive",
    b"\xfd7zXZ": "xz archive",
}
UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


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

    columns: list[str]
    """Names of its columns, in its order."""

    def __init__(self, source: Source, path: str) -> None:
        self.source = source
        self.path = path
        with self._guarded():
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
        with self._guarded():
            return self._read(list(columns), records) if columns else pl.DataFrame()

    def filled(self, columns: Sequence[str], nulls: Sequence[str]) -> dict[str, int]:
        """Return how many values columns hold that are not null or one of its spellings.

        An upper bound where a file can tell it without decoding them.
        """
        with self._guarded():
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
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except StupidError:
            raise
        # What a damaged file, or a file system of another package, raises can't be foretold.
        # Polars panics on some damaged files, which is no `Exception`.
        except (Exception, pl.exceptions.PanicException) as error:
            reason = " ".join(str(error).split())[:300] or type(error).__name__
            raise IngestError(f"{self.path}: the file can't be read: {reason}") from error


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


def content(source: Source, path: str) -> bytes:
    """Return a text file's content in UTF-8, unpacked and without a byte-order mark.

    A byte that fits nowhere becomes a replacement character. Raises IngestError for what is no
    text, and what reading and unpacking raise.
    """
    with source.open(path) as stream:
        text = stream.read()
    if path.lower().endswith(".gz") or text.startswith(GZIP):
        text = gzip.decompress(text)
    for magic, kind in NO_TEXT.items():
        if text.startswith(magic):
            raise IngestError(f"{path}: the file can't be read: by its content it is a {kind}")
    if text.startswith(UTF_16):
        return text.decode("utf-16", errors="replace").encode()
    text = text.removeprefix(codecs.BOM_UTF8)
    return text if _is_utf8(text) else as_utf8(text)


def as_utf8(text: bytes) -> bytes:
    """Return text with a replacement character for each byte that is no UTF-8."""
    return text.decode(errors="replace").encode()


def _is_utf8(text: bytes) -> bool:
    # Several times faster than to decode it, and in no memory.
    offsets = pa.array([0, len(text)], pa.int64()).buffers()[1]
    array = pa.Array.from_buffers(pa.large_string(), 1, [None, offsets, pa.py_buffer(text)])
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True
