"""Read landing files as columns of strings, whatever their own types are."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import polars as pl

from stupid_dagster.errors import IngestError

_SCANNERS: dict[str, Callable[[Path], pl.LazyFrame]] = {
    # With `glob`, a name such as `2013-02-08[1].parquet` would be a pattern.
    ".parquet": partial(pl.scan_parquet, glob=False),
}
T = TypeVar("T")
SUFFIXES = tuple(_SCANNERS)


def column_names(file: Path) -> list[str]:
    """Return a file's column names; raises IngestError when it can't be read."""
    return _guarded(file, lambda: scan(file).collect_schema().names())


def read_strings(file: Path, columns: Sequence[str]) -> pl.DataFrame:
    """Return the named columns of a file as strings, one row an event, in the file's order.

    With no columns the frame has no width, and so no height. Raises IngestError when the file
    can't be read.
    """

    def read() -> pl.DataFrame:
        frame = scan(file).select(columns).collect()
        return frame.select(_as_string(frame[column]) for column in frame.columns)

    return _guarded(file, read)


def row_count(file: Path) -> int:
    """Return the number of a file's rows; raises IngestError when it can't be read."""
    return _guarded(file, lambda: scan(file).select(pl.len()).collect().item())


def scan(file: Path) -> pl.LazyFrame:
    """Return a file's rows, not read yet; raises IngestError for an unknown kind of file."""
    scanner = _SCANNERS.get(file.suffix.lower())
    if scanner is None:
        known = ", ".join(SUFFIXES)
        raise IngestError(f"{file}: files of this kind can't be read (known kinds: {known})")
    return scanner(file)


def _as_string(series: pl.Series) -> pl.Series:
    if series.dtype.is_nested():
        return _as_json(series)
    if series.dtype == pl.Duration:
        return series.dt.to_string("iso")
    if series.dtype == pl.Binary:
        try:
            return series.cast(pl.String)
        except pl.exceptions.ComputeError:  # Not UTF-8; Polars has no lossy decoding.
            return series.map_elements(lambda raw: raw.decode(errors="replace"), pl.String)
    return series.cast(pl.String)


def _as_json(series: pl.Series) -> pl.Series:
    if "Binary" in str(series.dtype):  # Polars' encoder would panic.
        values = [None if v is None else json.dumps(v, default=str) for v in series.to_list()]
        return pl.Series(series.name, values, dtype=pl.String)
    whole = series.alias("").to_frame().select(pl.struct("").struct.json_encode())
    text = whole.to_series().str.strip_prefix('{"":').str.strip_suffix("}")
    return text.set(series.is_null(), None).alias(series.name)


def _guarded(file: Path, read: Callable[[], T]) -> T:
    try:
        if file.stat().st_size == 0:
            raise IngestError(f"{file.name}: the file is empty (0 bytes)")
        return read()
    # Polars panics on some damaged files, which is no `Exception`.
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        reason = " ".join(str(error).split())[:300]
        raise IngestError(f"{file.name}: the file can't be read: {reason}") from error
