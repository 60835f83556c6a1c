"""Read columns as times: which spelling, how fine, over what span."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from stupid_dagster.event_model.inference import names
from stupid_dagster.event_model.schema import TimestampRule
from stupid_dagster.event_model.timestamps import parse_timestamps

_FORMATS = [
    "%d/%b/%Y:%H:%M:%S %z",
    "%a, %d %b %Y %H:%M:%S %z",
    "%m/%d/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M",
    "%d/%m/%Y %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%d-%m-%Y %H:%M:%S",
    "%Y%m%d%H%M%S",
    "%Y/%m/%d",
    "%d.%m.%Y",
    "%m/%d/%Y",
    "%d/%m/%Y",
]
_TWINS = {
    "%m/%d/%Y %H:%M:%S": "%d/%m/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M": "%d/%m/%Y %H:%M",
    "%m/%d/%Y": "%d/%m/%Y",
}
_DATE = r"^\d{4}-\d{2}-\d{2}$"
_OFFSET = r"(?::[0-9]{2}|T[0-9]{4,6})(?:[.,][0-9]+)? ?(Z|[+-][0-9]{2}(?::?[0-9]{2})?)$"
_NO_OFFSET = ("Z", "+00", "+0000", "+00:00", "-00", "-0000", "-00:00")
_ENOUGH = 0.95
_TRIED = 400


@dataclass(frozen=True)
class TimeFit:
    """How a column is read as times."""

    share: float
    """Share of the values that can be read (0 to 1)."""
    format: str | None
    """strptime format; None where ISO 8601 or epoch seconds fit."""
    epoch: bool
    has_clock: bool
    """Whether it has hours, not dates alone."""
    span_days: float
    """Days from the 5th to the 95th of a hundred values."""
    ambiguous: bool
    """Whether day and month may be the other way round."""


def fit_times(name: str, distinct: pl.Series) -> TimeFit | None:
    """Return how distinct values can be read as times; None where they can't.

    Digits alone are times only where the column's name says so.
    """
    tried = distinct.head(_TRIED)
    starts = tried.str.contains(r"^([A-Z][a-z]{2}, )?\d{1,4}[-/.]?(\d|[A-Z][a-z]{2})")
    looks = starts & tried.str.len_bytes().is_between(8, 40)
    if not len(tried) or looks.mean() < _ENOUGH:  # type: ignore[operator]  # of booleans: a float
        return None
    digits = bool(tried.str.contains(r"^\d+(\.\d+)?$").all())
    if digits and not names.has(name, names.TIME):
        return None
    best: tuple[float, str | None, pl.Series] | None = None
    for form in [None, *_FORMATS]:
        if form and tried.head(20).str.to_datetime(form, strict=False).is_null().all():
            continue
        found = _parsed(tried, form)
        share = found.len() / len(tried)
        if share >= _ENOUGH and (best is None or share > best[0]):
            best = share, form, found
            if share == 1:
                break
    if best is None:
        return None
    share, form, found = best
    times = found.dt.epoch("ms")
    twin = _TWINS.get(form or "")
    dates = len(tried.filter(tried.str.contains(_DATE)))
    span = (float(times.quantile(0.95) or 0) - float(times.quantile(0.05) or 0)) / 86_400_000
    return TimeFit(
        share=share,
        format=form,
        epoch=form is None and digits,
        has_clock="%H" in form if form else dates < _ENOUGH * len(tried),
        span_days=span,
        ambiguous=twin is not None and _parsed(tried, twin).len() == len(tried),
    )


def offsets(values: pl.DataFrame) -> list[str]:
    """Return the offsets from UTC that times state, as they are spelled, the commonest first.

    None where all are UTC. `values` has (value, count).
    """
    seen = (
        values.select("count", offset=pl.col("value").str.extract(_OFFSET))
        .drop_nulls()
        .group_by("offset")
        .agg(pl.col("count").sum())
        .sort("count", "offset", descending=[True, False])["offset"]
        .to_list()
    )
    return [] if set(seen) <= set(_NO_OFFSET) else seen


def _parsed(texts: pl.Series, form: str | None) -> pl.Series:
    rule = TimestampRule(fields=["x"], formats=[form] if form else [])
    times = parse_timestamps(texts, rule)
    # Nothing is logged in other years; numbers that aren't times often fall there.
    return times.filter(times.dt.year().is_between(1990, 2100))
