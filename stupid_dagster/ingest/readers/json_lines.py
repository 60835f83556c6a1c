"""JSON Lines: an object a line, packed by gzip or not."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.json as pajson

from stupid_dagster.errors import IngestError
from stupid_dagster.ingest.readers.base import BadRecord, Reader, content, from_arrow

_BLOCK = 1 << 23
# Carries the number of records of a table whose objects are all empty.
_RECORDS = "\x1a:records:"
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class JsonLinesReader(Reader):
    """A file of one JSON object a line; its columns are the keys of all of them.

    A line that is no object is a bad record. Empty lines are no records.
    """

    def _open(self) -> None:
        text = content(self.source, self.path)
        self._refuse_a_list(text)
        self._bad: list[BadRecord] = []
        # Columns that were strings so far; pyarrow guesses the types of others.
        self._strings: dict[str, pa.DataType] = {}
        tables, row = [_table({}, 0)], 0
        for block in _blocks(text):
            known = len(self._bad)
            tables.append(self._plain(block) or self._mixed(block, row))
            row += tables[-1].num_rows + len(self._bad) - known
        # Of all values as they stand in the file, and so not more than it.
        table = pa.concat_tables(tables, promote_options="default")
        self._table = table
        self.columns = [name for name in table.schema.names if name != _RECORDS]
        if self._bad and not table.num_rows:
            raise self._unreadable(
                "no line of it is a JSON object (an object a line is expected), the first "
                + self._bad[0].reason
            )

    @property
    def height(self) -> int:
        return self._table.num_rows

    @property
    def bad_records(self) -> Sequence[BadRecord]:
        return self._bad

    def _read(self, columns: list[str], records: pl.Series | None) -> pl.DataFrame:
        frame = from_arrow(self._table.select(columns), columns).cast(pl.String)
        return frame if records is None else frame[records]

    def _plain(self, block: bytes) -> pa.Table | None:
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
        return _table(columns, found.num_rows)

    def _mixed(self, block: bytes, row: int) -> pa.Table:
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
        return _table(columns, len(good))

    def _refuse_a_list(self, text: bytes) -> None:
        first = next(_lines(text[:_BLOCK]), b"").strip()
        if first.startswith(b"["):
            try:
                json.loads(first)
            except (ValueError, RecursionError):
                raise self._unreadable(
                    "it is one JSON list; an object a line is expected, without a list around them"
                ) from None

    def _unreadable(self, reason: str) -> IngestError:
        return IngestError(f"{self.path}: the file can't be read: {reason}")


def _blocks(text: bytes) -> Iterator[bytes]:
    """Yield the text in blocks of whole lines."""
    start = 0
    while start < len(text):
        end = text.find(b"\n", start + _BLOCK) + 1 or len(text)
        if block := text[start:end].strip():
            yield block
        start = end


def _lines(block: bytes) -> Iterator[bytes]:
    return (line for line in block.split(b"\n") if line.strip())


def _count_lines(block: bytes) -> int:
    return block.count(b"\n") + 1


def _table(columns: dict[str, Any], records: int) -> pa.Table:
    return pa.table(columns | {_RECORDS: pa.nulls(records)})


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
