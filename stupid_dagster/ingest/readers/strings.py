"""Columns of any type as strings."""

from __future__ import annotations

import io
import json

import polars as pl


def as_strings(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the frame with all columns as strings; nested values become JSON."""
    return frame.select([_as_string(series) for series in frame])


def _as_string(series: pl.Series) -> pl.Series:
    if series.dtype == pl.String:
        return series
    if series.dtype.is_nested():
        return _as_json(series)
    if series.dtype.is_float():
        return _number(series)
    if series.dtype == pl.Duration:
        return series.dt.to_string("iso")
    if series.dtype == pl.Binary:
        try:
            return series.cast(pl.String)
        except pl.exceptions.ComputeError:  # Not UTF-8; Polars has no lossy decoding.
            return series.map_elements(lambda raw: raw.decode(errors="replace"), pl.String)
    return series.cast(pl.String)


def _number(series: pl.Series) -> pl.Series:
    """Return `7`, not `7.0`, for a whole number: one missing value makes floats of all ids."""
    value = pl.first()
    # Beyond that, no integer type holds them, and they are as good as told by their exponent.
    whole = (value == value.round()) & (value.abs() < 2.0**63)
    text = pl.when(whole).then(value.cast(pl.Int64, strict=False).cast(pl.String))
    # Not a number is what some writers put for a missing value.
    other = pl.when(value.is_not_nan()).then(value.cast(pl.String))
    return series.to_frame().select(text.otherwise(other)).to_series().alias(series.name)


def _as_json(series: pl.Series) -> pl.Series:
    if "Binary" in str(series.dtype):  # Polars' encoder would panic.
        values = [None if v is None else json.dumps(v, default=str) for v in series.to_list()]
        return pl.Series(series.name, values, dtype=pl.String)
    lines = series.alias("").to_frame().select(pl.struct("").struct.json_encode()).to_series()
    if lines.is_empty():
        return series.cast(pl.String)
    # Read again, they look like what is nested in a file of JSON.
    text = "\n".join(lines.to_list()).encode()
    return pl.read_ndjson(io.BytesIO(text), schema={"": pl.String}).to_series().alias(series.name)
