"""Documents in the order of a column: each day's first ones, merged; and those after a cursor."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import polars as pl

from stupid_dagster.query.frames import scanned
from stupid_dagster.query.paging import Cursor, no_cursor
from stupid_dagster.stores.version import Version

SORTED_BY = "\x1fsorted by"
DAY = "\x1fday"
ROW = "\x1frow"
_ENDS_OF_TIME = pl.Series([datetime.min, datetime.max]).dt.replace_time_zone("UTC")


def first_sorted(
    days: Sequence[tuple[str, pl.LazyFrame]],
    columns: Sequence[str],
    column: str,
    dtype: pl.DataType,
    descending: bool,
    most: int,
    begin: Cursor | None = None,
) -> pl.DataFrame:
    """Return the first `most` rows of the days by a column, missing values last.

    Ties come by day and row. `begin` is the last row of the page before. To `columns` are added
    `SORTED_BY`, `DAY` and `ROW`. Only as many rows as are asked for are kept of a day.
    Raises InvalidQueryError for a cursor with no value of the column.
    """
    order: dict[str, Any] = {
        "by": [SORTED_BY, DAY, ROW],
        "descending": [descending, False, False],
        "nulls_last": True,
    }
    found: list[pl.DataFrame] = []
    # One at a time, that it ends soon after its deadline and holds two days' rows at most.
    for day, scan in days:
        keyed = scan.select(
            *columns,
            pl.col(column).alias(SORTED_BY),
            pl.lit(day).alias(DAY),
            pl.col("row").alias(ROW),
        )
        if begin:
            keyed = keyed.filter(_after(begin, day, dtype, descending))
        found += scanned([keyed.sort(**order).head(most)])
        found = [pl.concat(found).sort(**order).head(most)]
    return found[0]


def cursor_after(rows: pl.DataFrame, version: str) -> Cursor:
    """Return the cursor that asks for what follows the last of the rows."""
    last = rows.tail(1)
    value = last[SORTED_BY].to_physical().item()
    return Cursor(last[DAY].item(), last[ROW].item(), version, (value,))


def order_version(sort: str, versions: Iterable[Version]) -> str:
    """Return what tells an order of these documents from any other, for cursors."""
    names = "\n".join([sort, *(f"{version.partition}/{version.name}" for version in versions)])
    return hashlib.blake2b(names.encode(), digest_size=8).hexdigest()


def _after(begin: Cursor, day: str, dtype: pl.DataType, descending: bool) -> pl.Expr:
    (value,) = begin.after
    column, row = pl.col(SORTED_BY), pl.col(ROW)
    tie = row > begin.row if day == begin.day else pl.lit(day > begin.day)
    if value is None:
        return column.is_null() & tie
    physical = dtype
    if dtype.is_temporal():
        # Polars panics at times that no datetime can state.
        ends = _ENDS_OF_TIME.cast(dtype).to_physical()
        if type(value) is not int or not ends[0] <= value <= ends[1]:
            raise no_cursor()
        physical = ends.dtype
    try:
        last = pl.Series([value], dtype=physical, strict=True).cast(dtype).item()
    except (TypeError, OverflowError, pl.exceptions.PolarsError):
        raise no_cursor() from None
    literal = pl.lit(last, dtype=dtype)
    beyond = column < literal if descending else column > literal
    return beyond | ((column == literal) & tie) | column.is_null()
