"""CSV files (and TSV), packed by gzip or not."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, cast

import polars as pl
import pyarrow as pa
import pyarrow.csv as pacsv

from stupid_dagster.ingest.readers.base import (
    BadRecord,
    Reader,
    count_values,
    from_arrow,
    unreadable,
)
from stupid_dagster.ingest.readers.text import as_utf8, content

_DELIMITERS = ",;\t|"
_HEADER_BLOCK, _BLOCK, _LARGEST_BLOCK = 1 << 16, 1 << 22, (1 << 31) - 1
_MOST_OPEN_QUOTES = 20


class DelimitedReader(Reader):
    """A file of delimited text, whose first record names the columns.

    A record with more or fewer fields than that is a bad record, and so is a line that opens a
    quote which is never closed. Text that isn't UTF-8 is read with a replacement character for
    each byte that fits nowhere.
    """

    def _open(self) -> None:
        self._text = content(self.source, self.path)
        self._block = _BLOCK
        self._height: int | None = None
        self._bad: list[BadRecord] = []
        # Lines that are put into the text here begin with it.
        self._mark = "\x1a"
        while self._mark.encode() in self._text:
            self._mark += "\x1a"
        self._cut: dict[str, str] = {}
        self._delimiter = self._guess_delimiter()
        header = self._header()
        # The columns by place: several may have no name.
        self._places: dict[str, str] = {}
        for place, name in enumerate(header):
            key = name if name or "" not in self._places else f"column {place + 1}"
            if key in self._places:
                raise unreadable(self.path, f"more than one column is named {key}")
            self._places[key] = f"f{place}"
        self.columns = list(self._places)
        # Of another number of fields than the header has, it is told as a bad record.
        self._end = self._mark + ("" if len(header) > 1 else self._delimiter)
        if b'"' in self._text:
            # A quote that is never closed swallows it.
            self._text += f"\n{self._end}\n".encode()
        elif not self._text.endswith((b"\n", b"\r")):
            self._text += b"\n"

    @property
    def height(self) -> int:
        if self._height is None:
            self.read(self.columns[:1])
        return cast(int, self._height)

    @property
    def bad_records(self) -> Sequence[BadRecord]:
        if self._height is None:
            self.read(self.columns[:1])
        return self._bad

    def _read(self, columns: list[str], records: pl.Series | None) -> pl.DataFrame:
        frame = from_arrow(self._parsed([self._places[column] for column in columns]), columns)
        return frame if records is None else frame[records]

    def _filled(self, columns: list[str], nulls: Sequence[str]) -> dict[str, int]:
        if self._height is None:
            self._parsed(["f0"])
        places = [self._places[column] for column in columns]
        held = Counter(dict.fromkeys(places, 0))
        try:
            for batch in self._batches(places, []):
                held.update(count_values(from_arrow(batch, places), nulls))
        except pa.ArrowInvalid as error:
            self._enlarge_block(error)
            return self._filled(columns, nulls)
        return {column: held[self._places[column]] for column in columns}

    def _guess_delimiter(self) -> str:
        first = re.sub(rb'"[^"]*"', b"", self._text[:_HEADER_BLOCK]).lstrip(b"\r\n")
        header = re.split(rb"[\r\n]", first, maxsplit=1)[0]
        if b"\0" in header:
            raise unreadable(self.path, "it is no text")
        if self.path.lower().endswith((".tsv", ".tsv.gz")):
            return "\t"
        return max(_DELIMITERS, key=lambda delimiter: header.count(delimiter.encode()))

    def _header(self) -> list[str]:
        if not self._text.strip():
            raise unreadable(self.path, "it has no header")
        size = _HEADER_BLOCK
        while True:
            # Another record, for pyarrow can't tell the columns of a header alone.
            start = as_utf8(self._text[:size]) + b"\n-\n"
            try:
                places = next(self._batches(None, [], start, skip=0)).schema.names
                first = next(self._batches(places, [], start, skip=0))
            except pa.ArrowInvalid:
                first = None
            # A header that reaches the end of what was looked at may go on behind it.
            if first is not None and (first.num_rows > 1 or size >= len(self._text)):
                return [value or "" for value in first.slice(0, 1).to_pylist()[0].values()]
            if size >= len(self._text):
                raise unreadable(
                    self.path, "it has no header, or one with a quote that isn't closed"
                )
            size *= 16

    def _parsed(self, places: list[str]) -> pa.Table:
        """Return columns of all good records, and set the bad ones aside."""
        while True:
            bad: list[BadRecord] = []
            try:
                table = pa.Table.from_batches(
                    self._batches(places, bad), pa.schema([(p, pa.string()) for p in places])
                )
            except pa.ArrowInvalid as error:
                self._enlarge_block(error)
                continue
            if b'"' not in self._text or (bad and bad[-1].raw == self._end):
                self._height = table.num_rows
                self._bad = [self._restored(record) for record in bad if record.raw != self._end]
                return table
            self._cut_open_quote(bad)

    def _batches(
        self,
        places: list[str] | None,
        bad: list[BadRecord],
        start: bytes | None = None,
        skip: int = 1,
    ) -> Iterator[pa.RecordBatch]:
        def set_aside(record: Any) -> str:
            reason = f"has {record.actual_columns} fields, and the header {record.expected_columns}"
            # The header is record 1.
            bad.append(BadRecord(record.number - 2, record.text, reason))
            return "skip"

        stream = pacsv.open_csv(
            pa.BufferReader(self._text if start is None else start),
            # On one thread, for only then is a record's number told.
            read_options=pacsv.ReadOptions(
                use_threads=False,
                block_size=self._block if start is None else len(start) + 1,
                autogenerate_column_names=True,
            ),
            parse_options=pacsv.ParseOptions(
                delimiter=self._delimiter,
                newlines_in_values=True,
                invalid_row_handler=set_aside,
            ),
            convert_options=pacsv.ConvertOptions(
                include_columns=places or [],
                column_types=dict.fromkeys(places or [], pa.string()),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
            ),
        )
        with stream:
            for batch in stream:
                yield batch.slice(skip)
                skip = max(0, skip - batch.num_rows)

    def _enlarge_block(self, error: pa.ArrowInvalid) -> None:
        """Let a record that is longer than a block be read; raises any other error."""
        largest = min(len(self._text), _LARGEST_BLOCK)
        if "straddling" not in str(error) or self._block >= largest:
            raise error
        self._block = min(self._block * 16, largest)

    def _cut_open_quote(self, bad: list[BadRecord]) -> None:
        """Put a mark in the place of the line that opens a quote which is never closed.

        The last record begins with it, and has swallowed all that comes after it.
        """
        if len(self._cut) == _MOST_OPEN_QUOTES:
            raise unreadable(self.path, "it has too many quotes that are never closed")
        last = list(self._places.values())[-1]
        value = None
        if bad and self._end in bad[-1].raw:
            opened = self._text.rfind(bad[-1].raw.strip("\r\n").encode())
        else:
            for batch in self._batches([last], []):
                value = batch[0][-1].as_py() if batch.num_rows else value
            if value is None:
                raise unreadable(self.path, "its header opens a quote that is never closed")
            opened = self._text.rfind(b'"' + value.replace('"', '""').encode())
        if opened < 0:
            raise unreadable(self.path, "it has a quote that is never closed")
        start = max(self._text.rfind(b"\n", 0, opened), self._text.rfind(b"\r", 0, opened)) + 1
        line = re.compile(rb"[^\r\n]*").match(self._text, start)
        end = line.end() if line else start
        mark = self._mark + str(len(self._cut)) + self._end.removeprefix(self._mark)
        self._cut[mark] = self._text[start:end].decode(errors="replace")
        self._text = self._text[:start] + mark.encode() + self._text[end:]

    def _restored(self, record: BadRecord) -> BadRecord:
        line = self._cut.get(record.raw)
        if line is None:
            return record
        return BadRecord(record.row, line, "opens a quote that is never closed")
