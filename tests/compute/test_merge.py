from __future__ import annotations

import datetime as dt
from collections import defaultdict
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stupid_dagster.compute.merge import merge_edges, merge_entities, merge_texts
from stupid_dagster.tables import TABLES, TIME, conform
from tests.compute.graphs import unhurried

FIRST = dt.date(2025, 1, 1)
ENGINES = ("in-memory", "streaming")
Rows = list[dict[str, Any]]
# Days of a window, each with its rows; a day gives a field to all of its rows or to none.
keyed = st.sampled_from(["a", "b", "c", "d"])
counts = st.integers(1, 9)
seconds = st.integers(0, 86_398)
values = st.none() | st.sampled_from(["x", "y", "z"])


def at(day: int, second: int) -> dt.datetime:
    midnight = dt.datetime.combine(FIRST, dt.time(), dt.UTC)
    return midnight + dt.timedelta(days=day, seconds=second)


def concatenated(table: str, days: list[Rows]) -> pl.LazyFrame:
    """Return the day tables of consecutive days, newest first: their order is of no matter."""
    frames = [
        conform(table, pl.DataFrame(rows, schema_overrides=TABLES[table].schema))
        .lazy()
        .with_columns(day=pl.lit(FIRST + dt.timedelta(days=day)))
        for day, rows in reversed(list(enumerate(days)))
        if rows
    ]
    if not frames:
        frames = [TABLES[table].empty().lazy().with_columns(day=pl.lit(None, dtype=pl.Date))]
    return pl.concat(frames, how="diagonal_relaxed")


def collected(merged: pl.LazyFrame) -> Rows:
    """Return the rows, which must be the same from both engines."""
    tables = [merged.collect(engine=engine) for engine in ENGINES]
    assert tables[0].equals(tables[1])
    assert tables[0].schema == tables[1].schema
    return tables[0].to_dicts()


def grouped(days: list[Rows], *key: str) -> dict[tuple[str, ...], Rows]:
    """Return each key's rows, oldest day first, in the order of the keys."""
    groups: dict[tuple[str, ...], Rows] = defaultdict(list)
    for day, rows in enumerate(days):
        for row in rows:
            groups[tuple(row[k] for k in key)].append(row | {"day": FIRST + dt.timedelta(day)})
    return dict(sorted(groups.items()))


@st.composite
def entity_days(draw: st.DrawFn) -> list[Rows]:
    days: list[Rows] = []
    for day in range(draw(st.integers(0, 4))):
        fields = draw(st.sets(st.sampled_from(["name", "tier", "zone"]), min_size=1))
        days.append(
            [
                {
                    "entity_id": f"thing:{key}",
                    "type": "Thing",
                    "key": key,
                    "events": draw(counts),
                    "first_seen": at(day, second := draw(seconds)),
                    "last_seen": at(day, draw(st.integers(second, 86_399))),
                    "is_test": draw(st.booleans()),
                    "properties": {field: draw(values) for field in sorted(fields)},
                }
                for key in sorted(draw(st.sets(keyed)))
            ]
        )
    return days


@unhurried
@given(entity_days())
def test_entities_add_up_row_by_row(days: list[Rows]) -> None:
    expected = []
    fields = sorted({f for rows in days for row in rows for f in row["properties"]})
    for (entity_id,), rows in grouped(days, "entity_id").items():
        newest = dict.fromkeys(fields)
        for row in rows:
            newest |= {f: v for f, v in row["properties"].items() if v is not None}
        expected.append(
            {
                "entity_id": entity_id,
                "type": "Thing",
                "key": rows[0]["key"],
                "events": sum(row["events"] for row in rows),
                "days": len(rows),
                "first_seen": rows[0]["first_seen"],
                "last_seen": rows[-1]["last_seen"],
                "is_test": all(row["is_test"] for row in rows),
                "properties": newest,
            }
        )
    merged = collected(merge_entities(concatenated("entities", days)))
    # The order of a struct's fields is that in which the days bring them.
    assert merged == expected


@st.composite
def edge_days(draw: st.DrawFn) -> list[Rows]:
    keys = st.sets(st.tuples(st.sampled_from(["Likes", "Has"]), keyed, keyed))
    return [
        [
            {
                "source": source,
                "target": target,
                "type": kind,
                "weight": draw(counts),
                "first_seen": at(day, second := draw(seconds)),
                "last_seen": at(day, draw(st.integers(second, 86_399))),
            }
            for kind, source, target in sorted(draw(keys))
        ]
        for day in range(draw(st.integers(0, 4)))
    ]


@unhurried
@given(edge_days())
def test_edges_add_up_row_by_row(days: list[Rows]) -> None:
    expected = [
        {
            "source": source,
            "target": target,
            "type": kind,
            "weight": sum(row["weight"] for row in rows),
            "days": len(rows),
            "first_seen": rows[0]["first_seen"],
            "last_seen": rows[-1]["last_seen"],
        }
        for (kind, source, target), rows in grouped(days, "type", "source", "target").items()
    ]
    assert collected(merge_edges(concatenated("edges", days))) == expected


@st.composite
def text_days(draw: st.DrawFn) -> list[Rows]:
    ids = st.sets(st.integers(2**64 - 4, 2**64 - 1))
    return [
        [
            {
                "text_id": text_id,
                "event_type": "Event",
                "text": f"text {text_id}",
                "count": draw(counts),
                "example": f"{day}/Event/{draw(counts)}",
            }
            for text_id in sorted(draw(ids))
        ]
        for day in range(draw(st.integers(0, 4)))
    ]


@unhurried
@given(text_days())
def test_texts_add_up_row_by_row(days: list[Rows]) -> None:
    expected = [
        {
            "text_id": text_id,
            "event_type": "Event",
            "text": f"text {text_id}",
            "count": sum(row["count"] for row in rows),
            "days": [row["day"] for row in rows],
            "example": rows[-1]["example"],
        }
        for (text_id,), rows in grouped(days, "text_id").items()
    ]
    assert collected(merge_texts(concatenated("texts", days))) == expected


@pytest.mark.parametrize("engine", ENGINES)
def test_types_are_the_contract_s(engine: Any) -> None:
    for name, day_table, merge in (
        ("graph_nodes", "entities", merge_entities),
        ("graph_edges", "edges", merge_edges),
    ):
        merged = merge(concatenated(day_table, [])).collect(engine=engine)
        assert dict(merged.schema) == TABLES[name].schema
    texts = merge_texts(concatenated("texts", [])).collect(engine=engine)
    assert dict(texts.schema) == {
        "text_id": pl.UInt64(),
        "event_type": pl.String(),
        "text": pl.String(),
        "count": pl.UInt32(),
        "days": pl.List(pl.Date),
        "example": pl.String(),
    }


@pytest.mark.parametrize("properties", [{}, {"literal": None}])
def test_a_model_without_properties(properties: dict[str, None]) -> None:
    dtype = pl.Struct(dict.fromkeys(properties, pl.Null()))
    row = {"entity_id": "a:1", "type": "A", "key": "1", "events": 1, "is_test": False}
    seen = {"first_seen": at(0, 0), "last_seen": at(0, 0), "day": FIRST}
    days = pl.LazyFrame([row | seen]).with_columns(
        pl.col("first_seen", "last_seen").cast(TIME),
        properties=pl.Series([properties], dtype=dtype),
    )
    for engine in ENGINES:
        merged = merge_entities(days).collect(engine=engine)
        assert merged.schema["properties"] == dtype
        assert merged["properties"].to_list() == [properties]


def test_a_sum_beyond_the_type_fails_rather_than_wraps() -> None:
    edge = {"source": "a:1", "target": "b:1", "type": "Has", "weight": 2**32 - 1}
    days = [[edge | {"first_seen": at(day, 0), "last_seen": at(day, 0)}] for day in range(2)]
    with pytest.raises(pl.exceptions.InvalidOperationError, match="conversion"):
        merge_edges(concatenated("edges", days)).collect()
