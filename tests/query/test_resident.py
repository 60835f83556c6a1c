"""Tables in memory answer as one that reads from end to end does."""

from __future__ import annotations

import random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stupid_dagster.query import resident
from stupid_dagster.query.filters import Filter, condition
from stupid_dagster.query.resident import ResidentTable, ResidentTables

ROWS = 400


@pytest.fixture(scope="module")
def table() -> pl.DataFrame:
    draw = random.Random(7)
    return pl.DataFrame(
        {
            "entity_id": [f"e{draw.randrange(300):03}" if n % 50 else None for n in range(ROWS)],
            "type": [draw.choice(["A", "B", "C"]) for _ in range(ROWS)],
            "score": [draw.randrange(20) / 4 if n % 7 else None for n in range(ROWS)],
            "rank": list(range(ROWS)),
        }
    )


filters = st.lists(
    st.one_of(
        st.builds(Filter, field=st.just("type"), op=st.just("eq"), value=st.sampled_from("ABCD")),
        st.builds(
            Filter,
            field=st.just("entity_id"),
            op=st.sampled_from(["eq", "ne", "ge"]),
            value=st.integers(0, 301).map(lambda n: f"e{n:03}"),
        ),
        st.builds(Filter, field=st.just("score"), op=st.just("lt"), value=st.floats(0, 5)),
        st.builds(Filter, field=st.just("score"), op=st.just("is_null"), value=st.booleans()),
    ),
    max_size=2,
)


@settings(max_examples=300)
@given(
    filters,
    st.none() | st.tuples(st.sampled_from(["entity_id", "type", "score", "rank"]), st.booleans()),
    st.integers(0, ROWS + 5),
    st.integers(1, 50),
    st.sampled_from([1, 60, 10_000]),
)
def test_every_way_finds_the_same(
    table: pl.DataFrame,
    filters: list[Filter],
    sort: tuple[str, bool] | None,
    offset: int,
    limit: int,
    looked_up: int,
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resident, "_LOOKED_UP", looked_up)
        wanted = condition(filters, table.schema)
        held = ResidentTable(table)
        found, total = held.find(filters, wanted, sort, offset, limit, alone=len(filters) == 1)

    rows = table if wanted is None else table.filter(wanted)
    if sort:
        rows = rows.sort(sort[0], descending=sort[1], nulls_last=True, maintain_order=True)
    assert total == rows.height
    assert found.equals(rows.slice(offset, limit))


def test_orders_and_values_count_and_are_bounded(table: pl.DataFrame) -> None:
    held = ResidentTable(table)
    before = held.bytes
    for column in table.columns:
        for descending in (False, True):
            for other in table.columns:
                held.order((column, descending), (other, False))
    assert before < held.bytes <= before + resident._MOST_ORDERS * 4 * ROWS
    assert held.values("type").to_list() == ["A", "B", "C"]


def test_what_is_too_large_is_not_held_and_the_oldest_is_let_go(
    table: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str] = []

    def read(name: str) -> pl.LazyFrame:
        reads.append(name)
        return pl.concat([table] * (100 if name == "large" else 1)).lazy()

    size = int(table.estimated_size())
    monkeypatch.setattr(resident, "MOST_TABLE_BYTES", 2 * size)
    monkeypatch.setattr(resident, "MOST_BYTES", int(2.5 * size))
    tables = ResidentTables(read)
    assert tables.get("large", 100 * ROWS) is None
    assert tables.get("large", 100 * ROWS) is None
    assert reads.count("large") == 1
    for name in ("a", "b", "a", "c", "a"):
        assert tables.get(name, ROWS) is not None
    assert reads[1:] == ["a", "b", "c"]
    assert tables.get("b", ROWS) is not None
    assert reads[1:] == ["a", "b", "c", "b"]
