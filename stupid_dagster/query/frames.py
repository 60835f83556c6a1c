"""Small steps that all reading of a snapshot takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from stupid_dagster.deadline import remaining
from stupid_dagster.errors import SnapshotError
from stupid_dagster.query.workers import Workers
from stupid_dagster.stores.s3_errors import told_of_scan

MOST_SCANS = 4
"""Scans of whole days that run at once, of all requests and plans; each uses all processors."""
MOST_LOOK_UPS = 64
"""Other reads that run at once: of milliseconds each, which scans must never keep waiting."""
# Where queries with a deadline run: Polars 2.1 can't stop one within a scan. Its own background
# queries can't be used: cancelled ones go on too, and the process aborts when one is dropped
# before it has ended.
_SCANS = Workers(MOST_SCANS)
_LOOK_UPS = Workers(MOST_LOOK_UPS)


def collected(scan: pl.LazyFrame) -> pl.DataFrame:
    """Return the few rows of a look-up in a snapshot's files; raises as `collected_all` does."""
    with reading():
        return scan.collect() if remaining() is None else _LOOK_UPS.run(scan.collect)


def collected_all(scans: Sequence[pl.LazyFrame]) -> list[pl.DataFrame]:
    """Return the rows of each look-up, made side by side.

    Raises SnapshotError, and with a deadline TimedOutError and BusyError.
    """
    return _all(scans, _LOOK_UPS)


def scanned(scans: Sequence[pl.LazyFrame]) -> list[pl.DataFrame]:
    """Return the rows of each scan that may read a day whole; raises as `collected_all` does.

    Give few at a time: what was begun can't be stopped, and has its place until it ends.
    """
    return _all(scans, _SCANS)


def abandoned() -> int:
    """Return how many queries still run that were given up at their deadlines."""
    return _SCANS.abandoned + _LOOK_UPS.abandoned


def _all(scans: Sequence[pl.LazyFrame], workers: Workers) -> list[pl.DataFrame]:
    with reading():
        if remaining() is None:
            return pl.collect_all(scans)
        return workers.run(partial(pl.collect_all, scans))


def schema_of(scan: pl.LazyFrame) -> dict[str, pl.DataType]:
    """Return the columns of a scan of a snapshot's files; raises SnapshotError."""
    with reading():
        return dict(scan.collect_schema())


@contextmanager
def reading() -> Iterator[None]:
    """Turn failures into SnapshotError: questions were checked, so that files are at fault.

    Or the bucket that they are in.
    """
    try:
        yield
    except (OSError, pl.exceptions.ComputeError) as error:
        if told := told_of_scan(error):
            # Not from the error itself: it repeats the server's answer, which may tell secrets.
            raise SnapshotError(str(told)) from told.__cause__
        raise SnapshotError(
            f"a file of the snapshot is missing or damaged ({error}); materialise its table "
            "again and publish the window"
        ) from error


def is_hash(column: str, dtype: pl.DataType) -> bool:
    """Return whether a column holds hashes, which queries see as 16 hexadecimal digits."""
    return dtype == pl.UInt64 and column.endswith("_id")


def shown_schema(schema: Mapping[str, pl.DataType]) -> dict[str, pl.DataType]:
    """Return the columns' types as `hex_ids` leaves them."""
    return {name: pl.String() if is_hash(name, dtype) else dtype for name, dtype in schema.items()}


def hex_ids(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows with hashes as 16 hexadecimal digits, as a client's float can't hold them."""
    return rows.with_columns(
        _hex_digits(column) for column in rows.get_columns() if is_hash(column.name, column.dtype)
    )


def hex_row(rows: pl.DataFrame) -> dict[str, Any]:
    """Return the first row's values by column, hashes as `hex_ids` has them."""
    return {
        name: f"{value:016x}" if value is not None and is_hash(name, rows.schema[name]) else value
        for name, value in rows.row(0, named=True).items()
    }


def _hex_digits(hashes: pl.Series) -> pl.Series:
    big_endian = hashes.fill_null(0).to_numpy().astype(">u8")
    digits = np.frombuffer(big_endian.tobytes().hex().encode(), dtype="S16").astype("U16")
    texts = pl.Series(hashes.name, digits, dtype=pl.String)
    return texts.set(hashes.is_null(), None) if hashes.null_count() else texts
