"""Read the spellings of time that occur in event logs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
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
_TEXT = pl.col("text")
# Rarer forms of ISO 8601. `[0-9]`, because `\d` takes the digits of all scripts.
_BASIC = r"^([0-9]{4})([0-9]{2})([0-9]{2})T([0-9]{2})([0-9]{2})([0-9]{2})"
_RARER = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?"
    r"(?:Z|[+-][0-9]{2}(?::?[0-9]{2})?)?$"
)
_ZONE = r"(?:Z|[+-][0-9:]{2,5})$"
_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_EPOCH_DECIMALS = r"^(?:[0-9]{10}|[0-9]{13})\.[0-9]+$"
# `2025-03-01T12:34:56.789Z`, the commonest form by far: where its digits and other signs are.
_ISO = "2025-03-01T12:34:56.789Z"
_SIGNS = {place: ord(sign) for place, sign in enumerate(_ISO) if not sign.isdigit()}
_DIGITS = [place for place in range(len(_ISO)) if place not in _SIGNS]
_BLOCK = 1 << 15
_MONTH_DAYS = np.array([31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], dtype=np.int32)


def parse_timestamps(texts: pl.Series, rule: TimestampRule) -> pl.Series:
    """Return times (UTC, milliseconds) for texts; null where none of the forms fits.

    White space around a text doesn't count. Years before 2 and after 9998 are no times either.

    The model's own formats come first, then ISO 8601, then epoch seconds (10 digits) and
    milliseconds (13 digits), both with any decimals. Times that state no zone are in the rule's
    timezone, and a date alone is its midnight there. Finer parts than milliseconds are cut off.
    Eight digits are no date: they may be anything else.
    """
    if rule.formats:
        result = pl.Series(texts.name, [None], dtype=TIME).new_from_index(0, len(texts))
    else:
        result = _iso_milliseconds(texts).cast(pl.Datetime("ms")).dt.replace_time_zone("UTC")
    missing = texts.is_not_null() & result.is_null()
    if missing.any():
        todo = missing.arg_true()
        left = texts.gather(todo).str.strip_chars().alias("text").to_frame()
        for parse in _parsers(rule):
            parsed = left.select(parse.alias("time"))["time"]
            if parsed.null_count() < len(parsed):
                found = parsed.is_not_null()
                result = result.scatter(todo.filter(found), parsed.filter(found))
                todo, left = todo.filter(~found), left.filter(~found)
            if todo.is_empty():
                break
    # Python's dates end there, and so does what can be a time of an event.
    return result.set(~result.dt.year().is_between(2, 9998), None)


def _parsers(rule: TimestampRule) -> Iterator[pl.Expr]:
    zoned = [form for form in rule.formats if "%z" in form or "%:z" in form]
    naive = [form for form in rule.formats if form not in zoned]
    for form in zoned:
        yield _aware(form)
    for form in naive:
        yield _naive(form, rule.timezone)
    yield _naive("%Y-%m-%dT%H:%M:%S%.fZ", "UTC")
    for form in _WITH_OFFSET:
        yield _aware(form)
    for form in _LOCAL:
        yield _naive(form, rule.timezone)
    # No text is both, so the commoner comes first.
    yield _epoch()
    yield _rarer_iso(rule.timezone)
    yield _date(rule.timezone)
    yield _epoch_decimals()


def _aware(form: str, text: pl.Expr = _TEXT) -> pl.Expr:
    return text.str.to_datetime(form, time_unit="ms", time_zone="UTC", strict=False)


def _naive(form: str, zone: str, text: pl.Expr = _TEXT) -> pl.Expr:
    local = text.str.to_datetime(form, time_unit="ms", strict=False)
    # An hour that occurs twice (clocks set back) is taken as the first; one that does not
    # occur at all is no time.
    aware = local.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    return aware.dt.convert_time_zone("UTC")


def _rarer_iso(zone: str) -> pl.Expr:
    """Return times without seconds, with a short offset, a decimal comma or no separators."""
    text = _TEXT.str.replace(_BASIC, "${1}-${2}-${3}T${4}:${5}:${6}")
    text = pl.when(text.str.contains(_RARER)).then(text.str.replace(",", ".", literal=True))
    day, minute, rest = text.str.slice(0, 10), text.str.slice(11, 5), text.str.slice(16)
    second = pl.when(rest.str.starts_with(":")).then(pl.lit("")).otherwise(pl.lit(":00"))
    text = pl.concat_str(day, pl.lit("T"), minute, second, rest)
    form, zoned = "%Y-%m-%dT%H:%M:%S%.f", rest.str.contains(_ZONE)
    # Each alone, since nulls cost nothing. `%#z` takes `Z` and offsets without minutes.
    return pl.coalesce(
        _aware(f"{form}%#z", pl.when(zoned).then(text)),
        _naive(form, zone, pl.when(~zoned).then(text)),
    )


def _date(zone: str) -> pl.Expr:
    """Return the first moment of dates; some zones set clocks forward at midnight."""
    text = pl.when(_TEXT.str.contains(_DATE)).then(_TEXT)
    form = "%Y-%m-%dT%H:%M"
    return pl.coalesce(_naive(form, zone, text + f"T{hour}:00") for hour in ("00", "01"))


def _epoch() -> pl.Expr:
    number = _TEXT.cast(pl.Int64, strict=False)
    signed = _TEXT.str.starts_with("+") | _TEXT.str.starts_with("-")
    digits = pl.when(~signed).then(_TEXT.str.len_bytes())
    return _utc(pl.when(digits == 10).then(number * 1000).when(digits == 13).then(number))


def _epoch_decimals() -> pl.Expr:
    text = pl.when(_TEXT.str.contains(_EPOCH_DECIMALS)).then(_TEXT)
    # By their digits, for floats would be rounded.
    digits = text.str.replace(".", "", literal=True).str.pad_end(13, "0").str.slice(0, 13)
    return _utc(digits.cast(pl.Int64, strict=False))


def _utc(milliseconds: pl.Expr) -> pl.Expr:
    return milliseconds.cast(pl.Datetime("ms")).dt.replace_time_zone("UTC")


def _iso_milliseconds(texts: pl.Series) -> pl.Series:
    """Return epoch milliseconds of texts that look exactly like `_ISO`; null for all others."""
    fits = (texts.str.len_bytes() == len(_ISO)).fill_null(value=False)
    same_length = texts.filter(fits)
    nothing = pl.Series(texts.name, [None], dtype=pl.Int64)
    if same_length.is_empty():
        return nothing.new_from_index(0, len(texts))
    packed = np.frombuffer(same_length.str.join("").item().encode(), dtype=np.uint8)
    signs = packed.reshape(-1, len(_ISO))
    # In blocks that stay in the processor's cache.
    blocks = [_read_iso(signs[start : start + _BLOCK]) for start in range(0, len(signs), _BLOCK)]
    times = pl.concat(blocks).alias(texts.name)
    if len(times) == len(texts):
        return times
    return nothing.new_from_index(0, len(texts)).scatter(fits.arg_true(), times)


def _read_iso(rows: np.ndarray) -> pl.Series:
    """Return epoch milliseconds of the rows of a byte matrix; null where a row is no `_ISO`.

    Reads bytes by columns, which takes a tenth of the time of a general parser.
    """
    signs = np.ascontiguousarray(rows.T)
    good = np.ones(len(rows), dtype=np.bool_)
    for place, sign in _SIGNS.items():
        good &= signs[place] == sign
    for place in _DIGITS:
        good &= (signs[place] - ord("0")) < 10  # Unsigned: what is below "0" is above 9.

    def number(first: int, digits: int) -> np.ndarray:
        value = signs[first].astype(np.int32)
        for place in range(first + 1, first + digits):
            value *= 10
            value += signs[place]
        return value - ord("0") * int("1" * digits)

    year, month, day = number(0, 4), number(5, 2), number(8, 2)
    hour, minute, second = number(11, 2), number(14, 2), number(17, 2)
    good &= (month >= 1) & (month <= 12) & (hour < 24) & (minute < 60) & (second < 60)
    leap = ((year % 4 == 0) & (year % 100 != 0)) | (year % 400 == 0)
    length = _MONTH_DAYS[np.clip(month, 1, 12) - 1] - ((month == 2) & ~leap)
    good &= (day >= 1) & (day <= length)
    # Days since 1970 of the proleptic Gregorian calendar: H. Hinnant, `days_from_civil`.
    years = year - (month <= 2)
    day_of_year = (153 * (month + np.where(month > 2, -3, 9)) + 2) // 5 + day - 1
    days = years * 365 + years // 4 - years // 100 + years // 400 + day_of_year - 719_468
    seconds = days.astype(np.int64) * 86_400 + ((hour * 60 + minute) * 60 + second)
    return pl.Series(seconds * 1000 + number(20, 3)).set(pl.Series(~good), None)
