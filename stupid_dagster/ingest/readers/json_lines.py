"""JSON Lines: an object a line, packed by gzip or not."""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.json as pajson

from stupid_dagster.ingest.readers.base import (
    BadRecord,
    Reader,
    count_values,
    from_arrow,
    unreadable,
)
from stupid_dagster.ingest.readers.text import as_utf8, text_pieces

_BLOCK = 1 << 23
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
# A block's columns (of strings, or of nulls alone), and the number of its records.
_Columns = tuple[Mapping[str, pa.ChunkedArray], int]


@dataclass(frozen=True)
class _Block:
    """The records of a block of lines, packed column by column."""

    rows: int
    places: dict[str, int]
    packed: bytes

    @classmethod
    def pack(cls, columns: Mapping[str, pa.ChunkedArray], rows: int) -> _Block:
        table = pa.table(dict(columns))
        sink = pa.BufferOutputStream()
        options = pa.ipc.IpcWriteOptions(compression="zstd", use_threads=False)
        with pa.ipc.new_stream(sink, table.schema, options=options) as stream:
            stream.write_table(table)
        # As bytes: the sink's buffer is up to twice as large.
        places = {name: place for place, name in enumerate(columns)}
        return cls(rows, places, sink.getvalue().to_pybytes())

    def read(self, columns: Sequence[str]) -> pa.Table:
        """Return columns as strings; only these are unpacked."""
        absent = pa.chunked_array([pa.nulls(self.rows, pa.string())])
        found = dict.fromkeys(columns, absent)
        if present := [column for column in columns if column in self.places]:
            options = pa.ipc.IpcReadOptions(
                included_fields=[self.places[column] for column in present], use_threads=False
            )
            with pa.ipc.open_stream(self.packed, options=options) as stream:
                table = stream.read_all()
            # The others are of nulls alone.
            texts = [field.name for field in table.schema if pa.types.is_string(field.type)]
            found |= {column: table[column] for column in texts}
        return pa.table(found)


class JsonLinesReader(Reader):
    """A file of one JSON object a line; its columns are the keys of all of them.

    A line that is no object is a bad record. Empty lines are no records.

    All keys are known only when all lines were parsed. That is done once, block by block, and
    each block's columns are kept packed (some quarter of the text); a read unpacks those that it
    is asked for. To parse the file again for each read would take several times the time.
    """

    def _open(self) -> None:
        self._bad: list[BadRecord] = []
        # Columns that were strings so far; pyarrow guesses the types of others.
        self._strings: dict[str, pa.DataType] = {}
        self._blocks: list[_Block] = []
        self._height = row = 0
        names: dict[str, None] = {}
        with self.source.open(self.path) as stream:
            for number, text in enumerate(_blocks(text_pieces(stream, self.path, _BLOCK))):
                if number == 0:
                    self._refuse_a_list(text)
                if not (text := text.strip()):
                    continue
                known = len(self._bad)
                block = _Block.pack(*(self._plain(text) or self._mixed(text, row)))
                self._blocks.append(block)
                names.update(dict.fromkeys(block.places))
                self._height += block.rows
                row += block.rows + len(self._bad) - known
        self.columns = list(names)
        if self._bad and not self._height:
            raise unreadable(
                self.path,
                "no line of it is a JSON object (an object a line is expected), the first "
                + self._bad[0].reason,
            )

    @property
    def height(self) -> int:
        return self._height

    @property
    def bad_records(self) -> Sequence[BadRecord]:
        return self._bad

    def _read(self, columns: list[str], records: pl.Series | None) -> pl.DataFrame:
        parts = [pa.table({column: pa.nulls(0, pa.string()) for column in columns})]
        if records is None:
            parts += [block.read(columns) for block in self._blocks]
        else:
            if len(records) and records[-1] >= self._height:
                raise IndexError(f"it has no record {records[-1]}")
            ends = np.cumsum([block.rows for block in self._blocks], dtype=np.int64)
            places = records.to_numpy()
            groups = np.split(places, np.searchsorted(places, ends))[: len(ends)]
            for block, end, wanted in zip(self._blocks, ends, groups, strict=True):
                if len(wanted) == block.rows:
                    parts.append(block.read(columns))
                elif len(wanted):
                    within = pa.array(wanted - np.int64(end - block.rows))
                    parts.append(block.read(columns).take(within))
        return from_arrow(pa.concat_tables(parts), columns)

    def _filled(self, columns: list[str], nulls: Sequence[str]) -> dict[str, int]:
        held = Counter(dict.fromkeys(columns, 0))
        for block in self._blocks:
            present = [column for column in columns if column in block.places]
            if present:
                held.update(count_values(from_arrow(block.read(present), present), nulls))
        return dict(held)

    def _plain(self, block: bytes) -> _Columns | None:
        """Return a block's records; None where one is no object, or a key's type changes."""
        try:
            found = pajson.read_json(
                pa.BufferReader(block),
                pajson.ReadOptions(use_threads=False, block_size=len(block) + 1),
                pajson.ParseOptions(explicit_schema=pa.schema(list(self._strings.items()))),
            )
            if found.num_rows != _count_lines(block):
                return None
            others = [
                field.name
                for field in found.schema
                if not (pa.types.is_string(field.type) or pa.types.is_null(field.type))
            ]
            texts = _texts(block, others) if others else {}
        except (pa.ArrowException, pl.exceptions.PolarsError, pl.exceptions.PanicException):
            return None
        for name in others:
            # Strings that look like times are guessed to be such.
            if pa.types.is_timestamp(found.schema.field(name).type):
                self._strings[name] = pa.string()
        for name in found.schema.names:
            if pa.types.is_string(found.schema.field(name).type):
                self._strings[name] = pa.string()
        columns = {name: texts.get(name, found[name]) for name in found.schema.names}
        return columns, found.num_rows

    def _mixed(self, block: bytes, row: int) -> _Columns:
        """Return a block's records, looked at one by one; those that are no objects are set aside.

        `row` is the number of the block's first record.
        """
        good: list[bytes] = []
        names: dict[str, None] = {}
        for number, line in enumerate(_lines(block), row):
            try:
                value = _loads(line)
                problem = "" if isinstance(value, dict) else "is no JSON object"
            except (ValueError, RecursionError) as error:
                value, problem = {}, f"is no JSON: {error}"
            if problem:
                self._bad.append(BadRecord(number, line.decode(), problem))
            else:
                good.append(line)
                names.update(dict.fromkeys(map(_whole, value)))
        text = b"\n".join(good)
        try:
            if _SURROGATE.search(text):
                raise ValueError
            columns = _texts(text, list(names))
        except (ValueError, pl.exceptions.PolarsError, pl.exceptions.PanicException):
            # What Polars doesn't take: NaN, numbers of any length, halves of characters.
            plain = (_as_texts(_loads(line)) for line in good)
            columns = _texts(b"\n".join(plain), list(names))
        return columns, len(good)

    def _refuse_a_list(self, text: bytes) -> None:
        first = next(_lines(text[:_BLOCK]), b"").strip()
        if first.startswith(b"["):
            try:
                json.loads(first)
            except (ValueError, RecursionError):
                raise unreadable(
                    self.path,
                    "it is one JSON list; an object a line is expected, without a list around them",
                ) from None


def _blocks(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield text in blocks of whole lines, with a replacement character for what is no UTF-8."""
    parts: list[bytes] = []
    size = 0
    for piece in pieces:
        parts.append(piece)
        size += len(piece)
        if size >= _BLOCK and (end := piece.rfind(b"\n") + 1):
            parts[-1] = piece[:end]
            yield _whole_text(parts)
            parts, size = [piece[end:]], len(piece) - end
    yield _whole_text(parts)


def _whole_text(parts: list[bytes]) -> bytes:
    text = b"".join(parts)
    return text if text.isascii() else as_utf8(text)


def _lines(block: bytes) -> Iterator[bytes]:
    return (line for line in block.split(b"\n") if line.strip())


def _count_lines(block: bytes) -> int:
    return block.count(b"\n") + 1


def _texts(text: bytes, columns: list[str]) -> dict[str, pa.ChunkedArray]:
    """Return columns as strings whatever they are: a number here may be an object there."""
    if not columns:
        return {}
    frame = pl.read_ndjson(io.BytesIO(text), schema=dict.fromkeys(columns, pl.String))
    table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    return {name: table[name].cast(pa.string()) for name in columns}


def _loads(line: bytes) -> Any:
    return json.loads(line, parse_constant=lambda _: None)


def _as_texts(record: dict[str, Any]) -> bytes:
    """Return a record as a line of JSON in which all values are texts."""
    return json.dumps({_whole(key): _text(value) for key, value in record.items()}).encode()


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return None if value is None else _whole(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 2.0**63:
        return str(int(value))
    return _whole(json.dumps(value, ensure_ascii=False))


def _whole(text: str) -> str:
    """Return text with a replacement character for each half of one."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
