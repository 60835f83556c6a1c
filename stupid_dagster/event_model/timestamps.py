"""Read the spellings of time that occur in event logs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import polars as pl

from stupid_dagster.event_model.schema import TimestampRule
from stupid_dagster.tables import TIME

_WITH_OFFSET = ["%Y-%m-%dT%H:%M:%S%.f%:z", "%Y-%m-%d %H:%M:%S%.f%:z", "%Y-%m-%dT%H:%M:%S%.f%z"]
_LOCAL = [
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M",
    "%Y/%m/%d %H:%M:%S%.f",
]


def parse_timestamps(texts: pl.Series, rule: TimestampRule) -> pl.Series:
    """Return times (UTC, milliseconds) for cleaned texts; null where none of the forms fits.

    Years before 2 and after 9998 are no times either.

    The model's own formats come first, then ISO 8601, then epoch seconds (10 digits) and
    milliseconds (13 digits). Times that state no zone are in the rule's timezone.
    """
    result = pl.Series(texts.name, [None], dtype=TIME).new_from_index(0, len(texts))
    todo = pl.Series(range(len(texts)), dtype=pl.UInt32).filter(texts.is_not_null())
    for parse in _parsers(rule):
        if todo.is_empty():
            break
        parsed = parse(texts.gather(todo))
        found = parsed.is_not_null()
        if found.any():
            result = result.scatter(todo.filter(found), parsed.filter(found))
            todo = todo.filter(~found)
    # Python's dates end there, and so does what can be a time of an event.
    return result.set(~result.dt.year().is_between(2, 9998), None)


def _parsers(rule: TimestampRule) -> list[Callable[[pl.Series], pl.Series]]:
    zoned = [f for f in rule.formats if "%z" in f or "%:z" in f]
    naive = [f for f in rule.formats if f not in zoned]
    return [
        *(partial(_aware, form=form) for form in zoned),
        *(partial(_naive, form=form, zone=rule.timezone) for form in naive),
        # By far the commonest form, and several times faster to read than a general offset.
        partial(_naive, form="%Y-%m-%dT%H:%M:%S%.fZ", zone="UTC"),
        *(partial(_aware, form=form) for form in _WITH_OFFSET),
        *(partial(_naive, form=form, zone=rule.timezone) for form in _LOCAL),
        _epoch,
    ]


def _aware(texts: pl.Series, form: str) -> pl.Series:
    return texts.str.to_datetime(form, time_unit="ms", time_zone="UTC", strict=False)


def _naive(texts: pl.Series, form: str, zone: str) -> pl.Series:
    local = texts.str.to_datetime(form, time_unit="ms", strict=False)
    # An hour that occurs twice (clocks set back) is taken as the first; one that does not
    # occur at all is no time.
    aware = local.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    return aware.dt.convert_time_zone("UTC")


def _epoch(texts: pl.Series) -> pl.Series:
    number = texts.cast(pl.Int64, strict=False)
    digits = texts.str.len_bytes()
    frame = pl.select(
        pl.when(digits == 10).then(number * 1000).when(digits == 13).then(number).alias("ms")
    )
    return frame["ms"].cast(pl.Datetime("ms")).dt.replace_time_zone("UTC")
