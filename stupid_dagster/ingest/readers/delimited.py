"""CSV files (and TSV), packed by gzip or not."""

from __future__ import annotations

import csv
import io
from typing import Any, cast

import polars as pl
import pyarrow as pa
import pyarrow.csv as pacsv

from stupid_dagster.errors import IngestError
from stupid_dagster.ingest.readers.base import BadRecord, Reader, content
from stupid_dagster.ingest.readers.strings import as_strings

_DELIMITERS = ",;\t|"


class DelimitedReader(Reader):
    """A file of delimited text, whose first record names the columns.

    A record with more or fewer fields than that is a bad record. Text that isn't UTF-8 is read
    with a replacement character for each byte that fits nowhere.
    """

    def _open(self) -> None:
        self._text = content(self.source, self.path).removeprefix(b"\xef\xbb\xbf")
        first = self._text[: 1 << 20].decode(errors="replace").splitlines(keepends=True)
        header = first[0] if first else ""
        self._delimiter = max(_DELIMITERS, key=header.count)
        # The header may go over several lines within quotes.
        self.columns = next(csv.reader(first, delimiter=self._delimiter), [])
        repeated = {name for name in self.columns if self.columns.count(name) > 1}
        if repeated or not self.columns:
            problem = f"more than one column is named {', '.join(sorted(repeated))}"
            raise IngestError(
                f"{self.path}: the file can't be read: {problem if repeated else 'no header'}"
            )
        bad: list[BadRecord] = []
        counted = self._parsed(self.columns[:1], bad)
        self.height = counted.num_rows
        self.bad_records = bad

    def _read(self, columns: list[str], records: pl.Series | None) -> pl.DataFrame:
        if not columns:
            return pl.DataFrame()
        try:
            frame = self._frame(columns, pa.string())
        except pa.ArrowInvalid:
            frame = self._frame(columns, pa.binary())
        return as_strings(frame if records is None else frame[records])

    def _frame(self, columns: list[str], column_type: Any) -> pl.DataFrame:
        return cast(pl.DataFrame, pl.from_arrow(self._parsed(columns, [], column_type)))

    def _parsed(
        self, columns: list[str], bad: list[BadRecord], column_type: Any = None
    ) -> pa.Table:
        def set_aside(record: Any) -> str:
            # The header is record 1.
            reason = f"has {record.actual_columns} fields, and the header {len(self.columns)}"
            bad.append(BadRecord(record.number - 2, record.text, reason))
            return "skip"

        column_type = column_type or pa.binary()
        return pacsv.read_csv(
            io.BytesIO(self._text),
            # On one thread, for only then is a record's number told.
            read_options=pacsv.ReadOptions(use_threads=False, block_size=1 << 24),
            parse_options=pacsv.ParseOptions(
                delimiter=self._delimiter,
                newlines_in_values=True,
                invalid_row_handler=set_aside,
            ),
            convert_options=pacsv.ConvertOptions(
                include_columns=columns,
                column_types=dict.fromkeys(columns, column_type),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
            ),
        )
