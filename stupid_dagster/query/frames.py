"""Small steps that all reading of a snapshot takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import polars as pl

from stupid_dagster.deadline import check, remaining, timed_out
from stupid_dagster.errors import SnapshotError

# Where queries with a deadline run, as many as requests at once and those that nobody awaits any
# more: Polars 2.1 can't stop a query within a scan. Its own background queries can't be used:
# cancelled ones go on too, and the process aborts when one is dropped before it has ended.
_THREADS = ThreadPoolExecutor(64, thread_name_prefix="query")


def collected(scan: pl.LazyFrame) -> pl.DataFrame:
    """Return the rows of a scan of a snapshot's files; raises SnapshotError, TimedOutError."""
    return collected_all([scan])[0]


def collected_all(scans: Sequence[pl.LazyFrame]) -> list[pl.DataFrame]:
    """Return the rows of each scan, read side by side; raises SnapshotError, TimedOutError."""
    with reading():
        if remaining() is None:
            return pl.collect_all(scans)
        check()
        running = [_THREADS.submit(scan.collect) for scan in scans]
        try:
            return [query.result(remaining()) for query in running]
        except TimeoutError:
            raise timed_out() from None
        finally:
            for query in running:
                query.cancel()


def schema_of(scan: pl.LazyFrame) -> dict[str, pl.DataType]:
    """Return the columns of a scan of a snapshot's files; raises SnapshotError."""
    with reading():
        return dict(scan.collect_schema())


@contextmanager
def reading() -> Iterator[None]:
    """Turn failures into SnapshotError: questions were checked, so that files are at fault."""
    try:
        yield
    except (OSError, pl.exceptions.ComputeError) as error:
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


def _hex_digits(hashes: pl.Series) -> pl.Series:
    big_endian = hashes.fill_null(0).to_numpy().astype(">u8")
    digits = np.frombuffer(big_endian.tobytes().hex().encode(), dtype="S16").astype("U16")
    texts = pl.Series(hashes.name, digits, dtype=pl.String)
    return texts.set(hashes.is_null(), None) if hashes.null_count() else texts
