"""Days' field statistics, added up over a window."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from stupid_dagster import connect
from stupid_dagster.catalog.entities import describe_entities
from stupid_dagster.catalog.fields import MOST_VALUES, window_fields
from stupid_dagster.tables import TABLES
from tests.connect.events import MODEL, START, documents, unhurried

PLACE = ("Login", "platform")


def statistics(days: list[dict[str, list[Any]]], event_type: str = "Login") -> pl.LazyFrame:
    """Return the statistics of days whose events have these values."""
    frames = [
        connect.build_field_statistics(
            MODEL,
            documents(
                MODEL,
                {
                    event_type: [
                        {"timestamp": START, field: value}
                        for field, values in day.items()
                        for value in values
                    ]
                },
            ),
        )
        for day in days
    ]
    return pl.concat([TABLES["field_statistics"].empty(), *frames]).lazy()


@unhurried
@given(st.lists(st.lists(st.text("abc", min_size=1, max_size=3), max_size=30), max_size=4))
def test_days_add_up_to_what_their_values_together_are(days: list[list[str]]) -> None:
    fields = window_fields(MODEL, statistics([{"platform": day} for day in days]), whole=True)
    counts = Counter(value for day in days for value in day)
    if not days:
        assert fields == {}
        return
    best = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MOST_VALUES]
    assert fields[PLACE] == {
        "distinct": len(counts),
        "distinct_is_exact": True,
        "min": min(counts, default=None),
        "max": max(counts, default=None),
        "top_values": [{"value": value, "at_least": count} for value, count in best],
    }


def test_what_was_not_among_a_day_s_most_frequent_is_not_counted_then() -> None:
    many = [f"v{n:03}" for n in range(60) for _ in range(2)]
    days = [{"platform": ["rare", *many]}, {"platform": ["rare"] * 5}]
    fields = window_fields(MODEL, statistics(days), whole=True)
    tops = {top["value"]: top["at_least"] for top in fields[PLACE]["top_values"]}
    assert tops["rare"] == 5, "of 6"
    assert (fields[PLACE]["distinct"], len(tops)) == (61, MOST_VALUES)


def test_many_values_are_estimated_and_no_fewer_than_on_one_day() -> None:
    days = [{"platform": [f"{n}" for n in range(start, start + 1500)]} for start in (0, 500)]
    found = window_fields(MODEL, statistics(days), whole=True)[PLACE]
    assert not found["distinct_is_exact"]
    assert 1500 <= found["distinct"] < 2000 * 1.16
    assert abs(found["distinct"] / 2000 - 1) < 5 / 1022**0.5


def test_numbers_and_truth_values_are_such_and_compare_as_such() -> None:
    days = [{"bet": [9.5, 10.0]}, {"bet": [100.0, -2.0, 10.0], "isTestAccount": [True]}]
    fields = window_fields(MODEL, statistics(days, "GameOpened"), whole=True)
    found = fields["GameOpened", "bet"]
    assert (found["min"], found["max"]) == (-2.0, 100.0)
    assert found["top_values"][0] == {"value": 10.0, "at_least": 2}
    assert fields["GameOpened", "isTestAccount"]["top_values"] == [{"value": True, "at_least": 1}]


def test_values_of_an_older_event_model_that_are_no_numbers_are_left_out() -> None:
    rows = statistics([{"bet": [3.0]}], "GameOpened")
    older = rows.with_columns(
        top_values=pl.lit([{"value": "slow", "count": 7}, {"value": "NaN", "count": 7}]),
        min=pl.lit("fast"),
        max=pl.lit("slow"),
    ).cast(pl.Schema(TABLES["field_statistics"].schema))
    fields = window_fields(MODEL, pl.concat([rows, older]), whole=True)
    found = fields["GameOpened", "bet"]
    assert (found["min"], found["max"]) == (3.0, 3.0)
    assert found["top_values"] == [{"value": 3.0, "at_least": 1}]


def test_the_catalog_stays_small_whatever_the_values_are() -> None:
    huge = [f"{n}" * 20_000 for n in range(100)]
    fields = window_fields(MODEL, statistics([{"platform": huge}] * 3), whole=True)
    assert len(json.dumps([*fields.values()])) < 30_000
    nodes = pl.LazyFrame(
        {
            "entity_id": [f"member:{n}" for n in range(100)],
            "type": "Member",
            "events": 1,
            "is_test": False,
            "properties": [{"rGroup": value} for value in huge],
        }
    )
    assert len(json.dumps(describe_entities(MODEL, nodes))) < 30_000


def test_the_heaviest_entities_are_examples_but_test_accounts_aren_t() -> None:
    nodes = pl.LazyFrame(
        {
            "entity_id": [f"member:{name}" for name in "abcdefgh"],
            "type": "Member",
            "events": [1, 9, 9, 3, 4, 5, 6, 99],
            "is_test": [False] * 7 + [True],
            "properties": [{"rGroup": None}] * 8,
        }
    )
    told = describe_entities(MODEL, nodes)
    assert told["Member"]["examples"] == [f"member:{name}" for name in "bcgfe"]
    assert (told["Member"]["nodes"], told["Member"]["events"]) == (8, 136)
    empty = {"coverage": 0.0, "distinct": 0, "top_values": []}
    assert told["Member"]["properties"]["rGroup"] == empty
    assert (told["Game"]["nodes"], told["Game"]["examples"]) == (0, [])
