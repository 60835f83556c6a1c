"""Tables made of tables: filtered, joined, aggregated, by time. Plain Polars, nothing read.

Whether the columns are there and of fitting types was checked before.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import polars as pl

from stupid_dagster.deadline import check
from stupid_dagster.query.paging import Page
from stupid_dagster.query.plans.model import Measure

_RIGHT = "_right"
_HOURS = {"6h": 6, "1d": 24}


def cut(rows: pl.DataFrame, limit: int) -> Page:
    """Return the first rows of a table as a page."""
    return Page(rows.head(limit), limit, rows.height > limit, rows.height)


def sorted_rows(rows: pl.DataFrame, sort: str | None, *ties: str) -> pl.DataFrame:
    """Return rows by `column` or `-column`, missing values last, ties by other columns."""
    if sort is None:
        return rows
    by = [sort.removeprefix("-"), *(name for name in ties if name != sort.removeprefix("-"))]
    descending = [sort.startswith("-"), *(False for _ in by[1:])]
    return rows.sort(by, descending=descending, nulls_last=True, maintain_order=True)


def filter_rows(
    rows: pl.DataFrame,
    wanted: pl.Expr | None,
    columns: Sequence[str] | None,
    sort: str | None,
    limit: int,
) -> Page:
    """Return the rows that meet a condition, sorted, with only some columns."""
    found = rows if wanted is None else rows.filter(wanted)
    check()
    found = sorted_rows(found, sort)
    return cut(found if columns is None else found.select(list(dict.fromkeys(columns))), limit)


def joined_names(
    left: Sequence[str], right: Sequence[str], left_on: Sequence[str], right_on: Sequence[str]
) -> dict[str, str]:
    """Return what each of the right table's columns is called after a join.

    A key that has the same name on both sides is one column; others that the left has too end on
    `_right`.
    """
    same = {name for name, other in zip(left_on, right_on, strict=True) if name == other}
    return {name: f"{name}{_RIGHT}" if name in left else name for name in right if name not in same}


def join_rows(
    left: pl.DataFrame,
    right: pl.DataFrame,
    left_on: Sequence[str],
    right_on: Sequence[str],
    how: str,
    limit: int,
) -> Page:
    """Return two tables joined, in the left one's order, then the right one's.

    A missing key matches nothing. Never makes more rows than it takes to have `limit`: how many
    follow from each of the left is counted first.
    """
    keys = [f"\0{n}" for n in range(len(left_on))]
    on = zip(left_on, right_on, strict=True)
    casts = [_common(left.schema[a], right.schema[b]) for a, b in on]
    left = left.with_columns(
        _key(a, left.schema[a], cast).alias(key)
        for a, cast, key in zip(left_on, casts, keys, strict=True)
    )
    names = joined_names(left.columns, right.columns, left_on, right_on)
    right = right.select(
        *(pl.col(old).alias(new) for old, new in names.items()),
        *(
            _key(b, right.schema[b], cast).alias(key)
            for b, cast, key in zip(right_on, casts, keys, strict=True)
        ),
    )
    check()
    if how in ("semi", "anti"):
        found = left.join(right, on=keys, how=how, maintain_order="left")  # type: ignore[arg-type]
        return cut(found.drop(keys), limit)
    matches = right.group_by(keys).agg(pl.len().cast(pl.UInt64).alias("\0matches"))
    counted = left.select(keys).join(matches, on=keys, how="left", maintain_order="left")
    each = counted["\0matches"].fill_null(1 if how == "left" else 0)
    before = each.cum_sum() - each
    left = left.filter(before <= limit)
    check()
    found = left.join(
        right,
        on=keys,
        how=how,  # type: ignore[arg-type]
        maintain_order="left_right",
    ).drop(keys)
    total = int(each.sum())
    return Page(found.head(limit), limit, total > limit, total)


def _key(name: str, dtype: pl.DataType, common: pl.DataType) -> pl.Expr:
    # NaN is nobody's equal.
    column = pl.col(name).fill_nan(None) if dtype.is_float() else pl.col(name)
    return column.cast(common)


def _common(left: pl.DataType, right: pl.DataType) -> pl.DataType:
    """Return the type that keys are compared in; theirs fit together."""
    if left == right:
        return left
    if left.is_integer() and right.is_integer():
        return pl.Int128()
    return pl.Float64() if left.is_numeric() else left


def aggregate(
    rows: pl.DataFrame,
    by: Sequence[str],
    measures: Sequence[Measure],
    sort: str | None,
    limit: int,
) -> Page:
    """Return a row per combination of values, missing ones too; without any, one row.

    The first measure's largest values come first unless it's said otherwise.
    """
    expressions = [measured(one, rows.schema) for one in measures]
    if not by:
        return cut(rows.select(expressions), limit)
    found = rows.group_by(list(dict.fromkeys(by))).agg(expressions)
    check()
    return cut(sorted_rows(found, sort or f"-{measure_name(measures[0])}", *by), limit)


def timeline(
    rows: pl.DataFrame,
    time: str,
    every: str,
    zone: ZoneInfo,
    by: Sequence[str],
    measures: Sequence[Measure],
    limit: int,
) -> Page:
    """Return a row per span of time and combination of values, by time; spans without rows none.

    A span is stated by its begin in UTC, in the column of the time. Rows without one are left out.
    """
    spans = _spans(rows[time], every, zone)
    found = rows.with_columns(spans.alias(time)).filter(pl.col(time).is_not_null())
    check()
    keys = [time, *dict.fromkeys(by)]
    found = found.group_by(keys).agg(measured(one, found.schema) for one in measures)
    return cut(found.sort(keys, nulls_last=True), limit)


def _spans(times: pl.Series, every: str, zone: ZoneInfo) -> pl.Series:
    """Return when the span of each time begins, in UTC.

    Days and their quarters begin by the zone's clock, whatever it was set to in between. Hours
    and less begin by the clock as it was set at the time itself.
    """
    if times.dtype == pl.Date:
        local = times.cast(pl.Datetime("ms"))
    else:
        exact = times.dt.cast_time_unit("ms")
        local = exact.dt.convert_time_zone(zone.key).dt.replace_time_zone(None)
        if every not in _HOURS:
            ahead = local - exact.dt.replace_time_zone(None)
            begin = local.dt.truncate(every) - ahead
            return begin.dt.replace_time_zone("UTC")
    begins = local.dt.truncate(every)
    distinct = begins.unique().drop_nulls()
    check()
    exact = [_in_utc(begin, zone) for begin in distinct]
    return begins.replace_strict(
        distinct, pl.Series(exact, dtype=pl.Datetime("ms", "UTC")), default=None
    )


def _in_utc(local: datetime, zone: ZoneInfo) -> datetime:
    try:
        return local.replace(tzinfo=zone).astimezone(UTC)
    except OverflowError:  # The calendar's very ends.
        return local.replace(tzinfo=UTC)


def measure_name(measure: Measure) -> str:
    """Return what a measure's column is called."""
    return measure.name or (f"{measure.field}_{measure.op}" if measure.field else measure.op)


def measured(measure: Measure, schema: pl.Schema) -> pl.Expr:
    """Return a measure of a group's rows; missing values and NaN don't count."""
    name = measure_name(measure)
    if measure.field is None:
        return pl.len().alias(name)
    column, dtype = pl.col(measure.field), schema[measure.field]
    if dtype.is_float():
        column = column.fill_nan(None)
    number = column.cast(pl.Float64) if dtype.is_numeric() else column
    match measure.op:
        case "count":
            value = column.count()
        case "count_distinct":
            value = column.drop_nulls().n_unique()
        case "sum":
            value = number.sum() if dtype.is_float() else column.cast(pl.Int64, strict=False).sum()
        case "mean":
            value = number.mean()
        case "median":
            value = number.median()
        case "p95":
            value = number.quantile(0.95, "linear")
        case "min":
            value = column.min()
        case "max":
            value = column.max()
    return value.alias(name)
