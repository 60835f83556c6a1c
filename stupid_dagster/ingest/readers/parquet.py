"""Parquet files: only the columns asked for are decoded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from stupid_dagster.ingest.readers.base import Reader, from_arrow, unreadable
from stupid_dagster.ingest.readers.strings import as_strings


class ParquetReader(Reader):
    """A Parquet file, on this machine or elsewhere."""

    def _open(self) -> None:
        # The footer by pyarrow, which survives damage that Polars aborts on.
        with self.source.open(self.path) as stream:
            self._footer = pq.read_metadata(stream)
        schema = self._footer.schema.to_arrow_schema()
        self.columns = schema.names
        self._nested = {field.name for field in schema if pa.types.is_nested(field.type)}
        if repeated := {name for name in self.columns if self.columns.count(name) > 1}:
            named = ", ".join(sorted(repeated))
            raise unreadable(self.path, f"more than one column is named {named}")

    @property
    def height(self) -> int:
        return self._footer.num_rows

    def _read(self, columns: list[str], records: pl.Series | None) -> pl.DataFrame:
        local = self.source.local_path(self.path)
        if local is None:
            frame = self._fetched(columns, records)
        else:
            first = 0 if records is None or records.is_empty() else records[0]
            end = self.height if records is None else records[-1] + 1 if len(records) else 0
            # With `glob`, a name such as `2013-02-08[1].parquet` would be a pattern, and without
            # `by_name` a column's such as `^.*$`.
            rows = pl.scan_parquet(local, glob=False).slice(first, end - first)
            frame = rows.select(pl.selectors.by_name(*columns)).collect()
            if records is not None and len(records) < frame.height:
                # A mask is several times faster than a gather.
                wanted = np.zeros(frame.height, dtype=np.bool_)
                wanted[records.to_numpy() - first] = True
                frame = frame.filter(wanted)
        return as_strings(frame[columns])

    def _fetched(self, columns: list[str], records: pl.Series | None) -> pl.DataFrame:
        """Return columns of a file elsewhere: of the row groups that have any of the records."""
        sizes = [self._footer.row_group(n).num_rows for n in range(self._footer.num_row_groups)]
        groups = np.arange(len(sizes))
        if records is not None:
            within = np.searchsorted(np.cumsum(sizes), records.to_numpy(), side="right")
            skipped = np.cumsum(np.where(np.isin(groups, within), 0, sizes))
            records = pl.Series(records.to_numpy() - skipped[within])
            groups = np.unique(within)
        # Fetches the columns' byte ranges, with those that are neighbours in one request.
        with self.source.open(self.path) as stream:
            file = pq.ParquetFile(stream, metadata=self._footer, pre_buffer=True)
            table = file.read_row_groups(groups.tolist(), columns)
        # A part of a nested column may go by the name of another column.
        frame = from_arrow(table.select(columns), columns)
        return frame if records is None else frame[records]

    def _filled(self, columns: list[str], nulls: Sequence[str]) -> dict[str, int]:
        held = {column: 0 for column in columns if column not in self._nested}
        untold = self._nested.intersection(columns)
        for group in range(self._footer.num_row_groups):
            chunks = self._footer.row_group(group)
            for number in range(chunks.num_columns):
                chunk = chunks.column(number)
                name = chunk.path_in_schema
                if name in held:
                    held[name] += _not_null(chunk, nulls)
                    if chunk.statistics is None:
                        untold.add(name)
        held |= super()._filled(sorted(untold), nulls)
        return {column: held[column] for column in columns}


def _not_null(chunk: Any, nulls: Sequence[str]) -> int:
    """Return the values of a column chunk, none where all are one spelling of null."""
    statistics = chunk.statistics
    if statistics is None:
        return chunk.num_values
    # Of other types not every least value can be told.
    if chunk.physical_type == "BYTE_ARRAY" and statistics.has_min_max:
        try:
            low, high = statistics.min_raw, statistics.max_raw
        except (pa.ArrowException, NotImplementedError):
            low = high = None
        if low is not None and low == high and low in [null.encode() for null in nulls]:
            return 0
    return chunk.num_values - (statistics.null_count if statistics.has_null_count else 0)
