"""Collect what a day's files hold that can't be used, each with its reason and its number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import polars as pl

from stupid_dagster.ingest.readers import BadRecord
from stupid_dagster.tables import TABLES

Scope = Literal["file", "column", "row", "value"]
_SHOWN = 20
_LONGEST_RAW = 2000


class Rejects:
    """Grows into the table `rejects`; equal values of a file's field are one entry."""

    def __init__(self) -> None:
        self._frames: list[pl.DataFrame] = []
        self.rows_rejected = 0

    def add_file(self, file: str, reason: str) -> None:
        """Add a file of which nothing can be read."""
        self._add(file, None, 0, "file", None, reason, None)

    def add_column(self, file: str, values: int, column: str, why: str) -> None:
        """Add a column whose name says that it is junk, and how many rows have a value in it."""
        reason = f"junk column {column[:60]!r}: {why} (`junk_columns` of the event model)"
        self._add(file, None, values, "column", None, reason, column[:_LONGEST_RAW])

    def add_records(self, file: str, records: Sequence[BadRecord]) -> None:
        """Add a file's records that can't be parsed, an entry each."""
        if not records:
            return
        self.rows_rejected += len(records)
        # In one frame: a frame each would take a hundred times as long.
        entries = pl.DataFrame(
            {
                "row": [record.row for record in records],
                "reason": [record.reason for record in records],
                "raw": [record.raw[:_LONGEST_RAW] for record in records],
            }
        )
        nothing = pl.lit(None, dtype=pl.String)
        self._frames.append(
            _shaped(
                entries.with_columns(
                    file=pl.lit(file), rows=pl.lit(1), scope=pl.lit("row"), field=nothing
                )
            )
        )

    def add_file_part(self, file: str, rows: int, scope: Scope, field: str, reason: str) -> None:
        """Add something that concerns `rows` rows of a file alike."""
        self._add(file, 0, rows, scope, field, reason, None)

    def add_values(
        self, failed: pl.DataFrame, field: str, column: str, reason: str, scope: Scope = "value"
    ) -> None:
        """Add an entry per file and distinct value of `column` among the failed rows."""
        if scope == "row":
            self.rows_rejected += failed.height
        if failed.is_empty():
            return
        shown = pl.concat_str(pl.lit("'"), pl.col("raw").str.slice(0, 200), pl.lit("'"))
        entries = (
            failed.group_by(file=":file", raw=pl.col(column).str.slice(0, _LONGEST_RAW))
            .agg(row=pl.col(":row").min(), rows=pl.len())
            .with_columns(
                scope=pl.lit(scope),
                field=pl.lit(field),
                reason=pl.concat_str(
                    pl.lit(f"{field}: "), shown.fill_null("no value"), pl.lit(f" {reason}")
                ),
            )
        )
        self._frames.append(_shaped(entries))

    def table(self) -> pl.DataFrame:
        """Return the table `rejects`, in the order of files and rows."""
        table = pl.concat([TABLES["rejects"].empty(), *self._frames])
        return table.sort("file", "row", "scope", "field", "raw", nulls_last=False)

    def _add(
        self,
        file: str,
        row: int | None,
        rows: int,
        scope: Scope,
        field: str | None,
        reason: str,
        raw: str | None,
    ) -> None:
        entry = {"file": file, "row": row, "rows": rows, "scope": scope, "field": field}
        self._frames.append(_shaped(pl.DataFrame([entry | {"reason": reason, "raw": raw}])))


def weightiest(rejects: pl.DataFrame) -> pl.DataFrame:
    """Return the first entries to look at of a table `rejects`, 20 at most, without raw values.

    What concerns most rows comes first, junk columns last; reasons are cut to 200 characters.
    """
    junk = pl.col("scope") == "column"
    first = rejects.sort(junk, "rows", descending=[False, True], maintain_order=True).head(_SHOWN)
    return first.select("file", "row", "rows", "scope", pl.col("reason").str.slice(0, 200))


def _shaped(entries: pl.DataFrame) -> pl.DataFrame:
    return entries.select(pl.col(c).cast(t) for c, t in TABLES["rejects"].schema.items())
