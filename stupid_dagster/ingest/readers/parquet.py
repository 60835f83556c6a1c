"""Parquet files: only the columns asked for are decoded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import polars as pl
import pyarrow.parquet as pq

from stupid_dagster.errors import IngestError
from stupid_dagster.ingest.readers.base import Reader
from stupid_dagster.ingest.readers.strings import as_strings

_INDEX = ":index"
# Fewer of a file's records than this share are picked while it is decoded.
_FEW = 0.5


class ParquetReader(Reader):
    """A Parquet file, on this machine or elsewhere."""

    def _open(self) -> None:
        # The footer by pyarrow, which survives damage that Polars aborts on.
        with self.source.open(self.path) as stream:
            self._footer = pq.read_metadata(stream)
        self.height = self._footer.num_rows
        self.columns = self._footer.schema.to_arrow_schema().names
        if repeated := {name for name in self.columns if self.columns.count(name) > 1}:
            raise IngestError(
                f"{self.path}: the file can't be read: more than one column is named "
                + ", ".join(sorted(repeated))
            )

    def _read(self, columns: list[str], records: pl.Series | None) -> pl.DataFrame:
        if not columns:
            return pl.DataFrame()
        local = self.source.local_path(self.path)
        if local is None:
            # Fetches the columns' byte ranges, not the file.
            with self.source.open(self.path) as stream:
                frame = cast(pl.DataFrame, pl.from_arrow(pq.read_table(stream, columns=columns)))
            frame = frame if records is None else frame[records]
        else:
            # With `glob`, a name such as `2013-02-08[1].parquet` would be a pattern.
            rows = pl.scan_parquet(local, glob=False)
            if records is not None and len(records) < _FEW * self.height:
                wanted = pl.col(_INDEX).is_in(records.implode())
                frame = rows.with_row_index(_INDEX).filter(wanted).select(columns).collect()
            else:
                frame = rows.select(columns).collect()
                if records is not None and len(records) < frame.height:
                    frame = frame[records]
        return as_strings(frame.select(columns))

    def _filled(self, columns: list[str], nulls: Sequence[str]) -> dict[str, int]:
        held = dict.fromkeys(columns, 0)
        unknown = set()
        for group in range(self._footer.num_row_groups):
            chunks = self._footer.row_group(group)
            for number in range(chunks.num_columns):
                chunk = chunks.column(number)
                name = chunk.path_in_schema
                if name in held and chunk.statistics is not None:
                    held[name] += _not_null(chunk, nulls)
                elif name in held or name.partition(".")[0] in held:
                    unknown.add(name if name in held else name.partition(".")[0])
        return held | super()._filled(sorted(unknown), nulls)


def _not_null(chunk: Any, nulls: Sequence[str]) -> int:
    """Return the values of a column chunk, none where all are one spelling of null."""
    statistics = chunk.statistics
    if statistics.has_min_max and statistics.min == statistics.max and statistics.min in nulls:
        return 0
    return chunk.num_values - (statistics.null_count if statistics.has_null_count else 0)
