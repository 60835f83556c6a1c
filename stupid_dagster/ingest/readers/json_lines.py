"""JSON Lines: an object a line, packed by gzip or not."""

from __future__ import annotations

import io
import json

import polars as pl

from stupid_dagster.errors import IngestError
from stupid_dagster.ingest.readers.base import BadRecord, Reader, content
from stupid_dagster.ingest.readers.strings import as_strings


class JsonLinesReader(Reader):
    """A file of one JSON object a line; its columns are the keys of all of them, in no type.

    A line that is no object is a bad record. Empty lines are no records.
    """

    def _open(self) -> None:
        self._text = content(self.source, self.path).removeprefix(b"\xef\xbb\xbf")
        try:
            self._text.decode()
        except UnicodeDecodeError:
            self._text = self._text.decode(errors="replace").encode()
        try:
            schema = self._schema()
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
            self._set_bad_lines_aside()
            schema = self._schema()
        self.columns = schema
        self.height = self._frame(self.columns[:1]).height if self.columns else 0

    def _schema(self) -> list[str]:
        if not self._text.strip():
            return []
        lines = pl.scan_ndjson(io.BytesIO(self._text), infer_schema_length=None)
        return lines.collect_schema().names()

    def _read(self, columns: list[str], records: pl.Series | None) -> pl.DataFrame:
        if not columns:
            return pl.DataFrame()
        frame = as_strings(self._frame(columns))
        return frame if records is None else frame[records]

    def _frame(self, columns: list[str]) -> pl.DataFrame:
        # As strings whatever they are: a field may be a number here and an object there.
        return pl.read_ndjson(io.BytesIO(self._text), schema=dict.fromkeys(columns, pl.String))

    def _set_bad_lines_aside(self) -> None:
        good: list[bytes] = []
        bad: list[BadRecord] = []
        lines = (line for line in self._text.splitlines() if line.strip())
        for row, line in enumerate(lines):
            try:
                problem = "" if isinstance(json.loads(line), dict) else "is no JSON object"
            except (ValueError, RecursionError) as error:
                problem = f"is no JSON: {error}"
            if problem:
                bad.append(BadRecord(row, line.decode(), problem))
            else:
                good.append(line)
        if not good:
            raise IngestError(
                f"{self.path}: the file can't be read: no line of it is a JSON object (an object "
                "a line is expected, without a list around them)"
            )
        self.bad_records = bad
        self._text = b"\n".join(good)
