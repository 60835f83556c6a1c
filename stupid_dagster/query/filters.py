"""Conditions on columns: parsed, checked against the columns' types, made to expressions.

No text of a condition ever becomes code: values are literals of the column's type.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import date, datetime
from typing import Any, Literal, get_args
from zoneinfo import ZoneInfo

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from stupid_dagster.errors import InvalidQueryError, hint
from stupid_dagster.query.days import day_bounds, utc
from stupid_dagster.query.frames import is_hash

Operator = Literal["eq", "ne", "in", "lt", "le", "gt", "ge", "contains", "starts_with", "is_null"]
OPERATORS: tuple[str, ...] = get_args(Operator)
MOST_VALUES = 1000
_ORDERED = {"lt": "__lt__", "le": "__le__", "gt": "__gt__", "ge": "__ge__"}
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,19}")
_HEX_ID = re.compile(r"[0-9a-f]{16}")
_ESCAPED = re.compile(r"\\([\\,])|(,)")


class Filter(BaseModel):
    """A condition on one column. A missing value meets no condition but `is_null`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    field: str
    op: Operator
    value: Any = Field(description="A list for `in`, true or false for `is_null`.")


def parse_filter(text: str) -> Filter:
    """Return the condition that `field:operator:value` states; raises InvalidQueryError.

    The values of `in` are parted by commas; `\\,` is a comma of a value, and `\\\\` a backslash.
    """
    field, _, rest = text.partition(":")
    op, colon, value = rest.partition(":")
    if not (field and colon):
        raise InvalidQueryError(
            f"filter {_shown(text)} isn't field:operator:value, such as dep_delay:gt:60"
        )
    if op not in OPERATORS:
        raise InvalidQueryError(
            f"filter {_shown(text)}: no operator is named {_shown(op)}{hint(op, OPERATORS)}; "
            f"there are {', '.join(OPERATORS)}"
        )
    return Filter.model_validate(
        {"field": field, "op": op, "value": _parted(value) if op == "in" else value}
    )


def _parted(text: str) -> list[str]:
    """Return the values that commas part; a backslash before neither comma nor backslash stays."""
    values, begin = [""], 0
    for mark in _ESCAPED.finditer(text):
        values[-1] += text[begin : mark.start()] + (mark[1] or "")
        if mark[2]:
            values.append("")
        begin = mark.end()
    values[-1] += text[begin:]
    return values


def times_of_days(
    column: str, first: date | None, last: date | None, zone: ZoneInfo
) -> list[Filter]:
    """Return the conditions that a time is in the zone's days from `first` to `last`."""
    bounds = [
        ("ge", day_bounds(first, zone)[0] if first else None),
        ("lt", day_bounds(last, zone)[1] if last else None),
    ]
    return [
        Filter.model_validate({"field": column, "op": op, "value": time.isoformat()})
        for op, time in bounds
        if time
    ]


def condition(filters: Iterable[Filter], schema: Mapping[str, pl.DataType]) -> pl.Expr | None:
    """Return the expression that all filters make on a frame of this schema; None for none.

    Hashes are given as 16 hexadecimal digits. Times without an offset are UTC's. Raises
    InvalidQueryError naming every mistake.
    """
    expressions, problems = [], []
    for one in filters:
        try:
            expressions.append(_expression(one, schema))
        except InvalidQueryError as error:
            problems.append(str(error))
    if problems:
        raise InvalidQueryError("; ".join(problems), [("filter", what) for what in problems])
    return pl.all_horizontal(expressions) if expressions else None


def _expression(one: Filter, schema: Mapping[str, pl.DataType]) -> pl.Expr:
    if one.field not in schema:
        raise InvalidQueryError(
            f"filter on {_shown(one.field)}: there is no such field{hint(one.field, schema)}; "
            f"there are {', '.join(schema)}"
        )
    column, dtype = pl.col(one.field), schema[one.field]
    if one.op == "is_null":
        missing = _value(one, pl.Boolean(), one.value)
        return column.is_null() if missing else column.is_not_null()
    if one.op == "contains" and dtype == pl.List(pl.String):
        return column.list.contains(_value(one, pl.String(), one.value))
    if dtype.is_nested():
        raise InvalidQueryError(
            f"filter on {one.field}: a list allows is_null, and one of texts contains, only"
        )
    if one.op == "in":
        return column.is_in(_values(one, dtype).implode())
    value = _value(one, dtype, one.value)
    if one.op in ("contains", "starts_with"):
        if dtype != pl.String:
            raise InvalidQueryError(f"filter on {one.field}: {one.op} is for texts only")
        if one.op == "contains":
            return column.str.contains(value, literal=True)
        return column.str.starts_with(value)
    if one.op in _ORDERED and (dtype == pl.Boolean or is_hash(one.field, dtype)):
        raise InvalidQueryError(f"filter on {one.field}: its values have no order, so no {one.op}")
    literal = pl.lit(value, dtype=dtype)
    if one.op in _ORDERED:
        return getattr(column, _ORDERED[one.op])(literal)
    return column == literal if one.op == "eq" else column != literal


def _values(one: Filter, dtype: pl.DataType) -> pl.Series:
    if isinstance(one.value, pl.Series):  # Never a client's: those of another table's column.
        return _fitting(one.value, one.field, dtype)
    if not isinstance(one.value, list) or not 1 <= len(one.value) <= MOST_VALUES:
        raise InvalidQueryError(f"filter on {one.field}: `in` takes from 1 to {MOST_VALUES} values")
    return pl.Series([_value(one, dtype, value) for value in one.value], dtype=dtype)


def _fitting(values: pl.Series, field: str, dtype: pl.DataType) -> pl.Series:
    """Return those of the values that a column of this type can have, as its type."""
    if is_hash(field, dtype) and values.dtype == pl.String:
        digits = values.filter(values.str.contains(f"^{_HEX_ID.pattern}$"))
        return digits.str.to_integer(base=16, dtype=pl.UInt64)
    if values.dtype.is_float() and dtype.is_integer():
        values = values.filter(values == values.round())
    return values.cast(dtype, strict=False).drop_nulls()


def _value(one: Filter, dtype: pl.DataType, raw: Any) -> Any:
    """Return `raw`, text from a URL or a value from JSON, as a value of the column's type."""
    if dtype == pl.String and isinstance(raw, str):
        return raw
    if dtype == pl.Boolean and raw in (True, False, "true", "false"):
        return raw in (True, "true")
    if is_hash(one.field, dtype):
        if isinstance(raw, str) and _HEX_ID.fullmatch(raw):
            return int(raw, 16)
    elif dtype.is_integer() and _is_number(raw):
        text = str(raw)
        if _WHOLE_NUMBER.fullmatch(text):
            return _within(one, dtype, int(text))
    if dtype.is_float() and _is_number(raw):
        number = _float(raw)
        if math.isfinite(number):
            return number
    if dtype == pl.Date and isinstance(raw, str):
        with suppress(ValueError):
            return date.fromisoformat(raw)
    if dtype == pl.Datetime and isinstance(raw, str):
        return parse_time(raw, f"filter on {one.field}")
    meaning = "id of 16 hexadecimal digits" if is_hash(one.field, dtype) else _meaning(dtype)
    raise InvalidQueryError(f"filter on {one.field}: {_shown(raw)} is no {meaning}")


def _is_number(raw: Any) -> bool:
    return isinstance(raw, str | int | float) and not isinstance(raw, bool)


def _float(raw: str | float) -> float:
    try:
        return float(raw)
    except (ValueError, OverflowError):
        return math.nan


def _within(one: Filter, dtype: pl.DataType, number: int) -> int:
    bits = int(str(dtype).lstrip("UInt"))
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    if dtype.is_unsigned_integer():
        low, high = 0, 2**bits - 1
    if not low <= number <= high:
        raise InvalidQueryError(
            f"filter on {one.field}: {number} is outside its range, {low} to {high}"
        )
    return number


def parse_time(text: str, where: str) -> datetime:
    """Return an ISO 8601 time, UTC's where it states no offset; raises InvalidQueryError."""
    try:
        return utc(datetime.fromisoformat(text), where)
    except ValueError:
        raise InvalidQueryError(
            f"{where}: {_shown(text)} is no {_meaning(pl.Datetime())}"
        ) from None


def _meaning(dtype: pl.DataType) -> str:
    if dtype == pl.Date:
        return "day, such as 2013-02-08"
    if dtype == pl.Datetime:
        return "ISO 8601 time, such as 2013-02-08T18:30:00Z"
    if dtype == pl.Boolean:
        return "true or false"
    if dtype.is_integer():
        return "whole number"
    return "number" if dtype.is_float() else "text"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
