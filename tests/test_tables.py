from __future__ import annotations

import polars as pl
import pytest

from stupid_dagster.tables import DAY_TABLES, TABLES, TIME, WINDOW_TABLES, Table, conform

WITH_MODEL_COLUMNS = [t for t in TABLES.values() if t.model_columns]
PLAIN = [t for t in TABLES.values() if t.columns and not t.model_columns]


def test_every_table_but_the_audit_is_a_day_s_or_a_window_s() -> None:
    assert [*DAY_TABLES, *WINDOW_TABLES, "audit"] == list(TABLES)
    assert {TABLES[name].grain for name in DAY_TABLES} == {"day"}
    assert {TABLES[name].grain for name in WINDOW_TABLES} == {"window"}


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_tables_and_columns_are_described(table: Table) -> None:
    assert table.description.endswith(".")
    assert table.algorithm and table.algorithm.endswith("."), "how it is made"
    assert len(table.schema) == len(table.columns), "no column twice"
    for column in table.columns:
        assert column.description.endswith("."), column.name
        numbers = column.dtype.inner if isinstance(column.dtype, pl.List) else column.dtype
        assert bool(column.unit) == numbers.is_numeric(), f"{column.name}: numbers have a unit"
    assert table.empty().schema == pl.Schema(table.schema)
    assert table.empty().is_empty()


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_times_are_milliseconds_in_utc(table: Table) -> None:
    times = [t for t in table.schema.values() if isinstance(t, pl.Datetime)]
    assert all(time == TIME for time in times)


@pytest.mark.parametrize("table", PLAIN, ids=lambda table: table.name)
def test_conform_orders_columns_and_refuses_others(table: Table) -> None:
    names = list(table.schema)
    turned = table.empty().select(names[::-1])
    assert conform(table.name, turned).columns == names
    with pytest.raises(ValueError, match=f"{table.name} has no columns .*other"):
        conform(table.name, turned.with_columns(other=pl.lit(1)))
    with pytest.raises(pl.exceptions.ColumnNotFoundError):
        conform(table.name, turned.drop(names[0]))


@pytest.mark.parametrize("table", WITH_MODEL_COLUMNS, ids=lambda table: table.name)
def test_conform_lets_the_event_model_s_columns_follow(table: Table) -> None:
    frame = table.empty().select(pl.lit(1).alias("b"), pl.all(), pl.lit("x").alias("a"))
    assert conform(table.name, frame).columns == [*table.schema, "b", "a"]


def test_conform_casts_and_never_lets_a_number_wrap() -> None:
    edge = {"source": ["a:1"], "target": ["b:2"], "type": ["T"], "weight": [3]}
    times = {
        name: pl.Series([0]).cast(pl.Datetime("us", "UTC")) for name in ("first_seen", "last_seen")
    }
    frame = conform("edges", pl.DataFrame(edge | times))
    assert frame.schema == pl.Schema(TABLES["edges"].schema)
    with pytest.raises(pl.exceptions.InvalidOperationError):
        conform("edges", frame.with_columns(weight=pl.lit(-1)))
