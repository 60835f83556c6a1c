"""Conditions, against what Python says of the same values."""

from __future__ import annotations

import operator
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stupid_dagster.errors import InvalidQueryError
from stupid_dagster.query.filters import MOST_VALUES, Filter, condition, parse_filter

SCHEMA: dict[str, pl.DataType] = {
    "name": pl.String(),
    "whole": pl.Int64(),
    "small": pl.UInt16(),
    "real": pl.Float64(),
    "flag": pl.Boolean(),
    "time": pl.Datetime("ms", "UTC"),
    "text_id": pl.UInt64(),
    "list": pl.List(pl.String()),
}
PYTHON: dict[str, Callable[[Any, Any], bool]] = {
    **{op: getattr(operator, op) for op in ("eq", "ne", "lt", "le", "gt", "ge")},
    "contains": lambda value, part: part in value,
    "starts_with": lambda value, part: value.startswith(part),
}
texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=8)
wholes = st.integers(-(2**63), 2**63 - 1)
reals = st.floats(allow_nan=False, allow_infinity=False)
times = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)).map(
    lambda t: t.replace(microsecond=t.microsecond // 1000 * 1000, tzinfo=UTC)
)


def kept(column: str, values: list[Any], *filters: Filter) -> list[Any]:
    frame = pl.DataFrame({column: values}, schema={column: SCHEMA[column]})
    expression = condition(filters, frame.schema)
    assert expression is not None
    return frame.filter(expression)[column].to_list()


@given(
    st.one_of(
        st.tuples(st.just("name"), st.lists(texts), texts),
        st.tuples(st.just("whole"), st.lists(wholes), wholes),
        st.tuples(st.just("real"), st.lists(reals), reals),
        st.tuples(st.just("time"), st.lists(times), times),
    ),
    st.sampled_from(sorted(PYTHON)),
)
def test_comparisons_are_pythons(case: tuple[str, list[Any], Any], op: str) -> None:
    column, values, value = case
    if column != "name" and op in ("contains", "starts_with"):
        op = "eq"
    written = value.isoformat() if column == "time" else str(value)
    expected = [v for v in values if PYTHON[op](v, value)]

    # As from a URL, where all is text; and with missing values, which meet no condition.
    assert kept(column, [None, *values], parse_filter(f"{column}:{op}:{written}")) == expected


@given(st.lists(texts), st.lists(texts.filter(lambda t: "," not in t), min_size=1))
def test_in_takes_values_parted_by_commas(values: list[str], wanted: list[str]) -> None:
    found = kept("name", [None, *values], parse_filter(f"name:in:{','.join(wanted)}"))
    assert found == [value for value in values if value in wanted]


def test_values_from_json_have_their_types() -> None:
    assert kept("whole", [1, 2, 3], Filter(field="whole", op="in", value=[1, 3])) == [1, 3]
    assert kept("real", [0.5, 2.0], Filter(field="real", op="gt", value=1)) == [2.0]
    assert kept("flag", [True, False], Filter(field="flag", op="eq", value=False)) == [False]


def test_all_conditions_must_hold() -> None:
    assert kept("whole", [1, 5, 9], parse_filter("whole:gt:1"), parse_filter("whole:lt:9")) == [5]
    assert condition([], SCHEMA) is None


def test_missing_values_are_asked_for_by_is_null() -> None:
    assert kept("name", ["a", None], parse_filter("name:is_null:true")) == [None]
    assert kept("name", ["a", None], parse_filter("name:is_null:false")) == ["a"]
    assert kept("list", [["a"], None], parse_filter("list:is_null:true")) == [None]


def test_hashes_are_sixteen_digits() -> None:
    largest = 2**64 - 1
    assert kept("text_id", [largest, 10], parse_filter(f"text_id:eq:{10:016x}")) == [10]
    assert kept("text_id", [largest, 10], parse_filter("text_id:in:ffffffffffffffff")) == [largest]


def test_a_time_without_offset_is_utc() -> None:
    noon = datetime(2013, 2, 8, 12, tzinfo=UTC)
    hours = [noon, noon + timedelta(hours=5)]
    assert kept("time", hours, parse_filter("time:gt:2013-02-08T12:00:00")) == hours[1:]
    assert kept("time", hours, parse_filter("time:gt:2013-02-08T12:00:00-05:00")) == []
    assert kept("time", hours, parse_filter("time:ge:2013-02-08T12:00:00Z")) == hours


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "field:operator:value"),
        ("name", "field:operator:value"),
        ("name:eq", "field:operator:value"),
        (":eq:x", "field:operator:value"),
        ("name:equals:x", "no operator"),
        ("name:contain:x", "did you mean 'contains'"),
        ("nme:eq:x", "did you mean 'name'"),
        ("whole:eq:x", "whole number"),
        ("whole:eq:1.5", "whole number"),
        ("whole:eq:9223372036854775808", "range"),
        ("whole:eq:" + "9" * 5000, "whole number"),
        ("small:eq:-1", "range"),
        ("small:eq:65536", "range"),
        ("real:gt:nan", "number"),
        ("real:gt:inf", "number"),
        ("real:gt:1e999", "number"),
        ("flag:eq:maybe", "true or false"),
        ("flag:gt:true", "no order"),
        ("time:gt:yesterday", "ISO 8601"),
        ("time:gt:0001-01-01T00:00:00+14:00", "range"),
        ("text_id:eq:12", "16 hexadecimal"),
        ("text_id:gt:000000000000000c", "no order"),
        ("list:eq:a", "allows is_null"),
        ("whole:contains:1", "texts only"),
        ("name:is_null:perhaps", "true or false"),
        ("name:in:" + "," * MOST_VALUES, f"from 1 to {MOST_VALUES}"),
    ],
)
def test_what_is_wrong_is_said(text: str, complaint: str) -> None:
    with pytest.raises(InvalidQueryError, match=complaint) as raised:
        condition([parse_filter(text)], SCHEMA)
    assert len(str(raised.value)) < 500


@pytest.mark.parametrize("value", [None, [], {}, [1], 1.5, "x", True])
def test_values_of_a_wrong_type_are_refused(value: Any) -> None:
    with pytest.raises(InvalidQueryError, match="whole number"):
        condition([Filter(field="whole", op="eq", value=value)], SCHEMA)


def test_every_mistake_is_said_at_once() -> None:
    with pytest.raises(InvalidQueryError, match=r"'nme'.*whole number"):
        condition([parse_filter("nme:eq:x"), parse_filter("whole:eq:x")], SCHEMA)
