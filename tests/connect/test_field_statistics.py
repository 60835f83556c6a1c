"""What values fields have, counted value by value and by the CSV files."""

from __future__ import annotations

from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import xxhash
from hypothesis import given

from stupid_dagster import connect
from stupid_dagster.connect.field_statistics import LONGEST_VALUE, TOP_VALUES
from stupid_dagster.event_model import load_event_model
from stupid_dagster.ingest import build_documents, index_landing
from stupid_dagster.samples import write_flights
from stupid_dagster.tables import TABLES
from tests.connect import slow
from tests.connect.events import MODEL, START, day_documents, documents, unhurried
from tests.nycflights import departed

DAY = "2013-02-08"


def plain(frames: dict[str, pl.DataFrame]) -> list[dict[str, Any]]:
    """Return the table, value by value."""
    return [
        _of_field(name, field, frame[field].to_list())
        for name, frame in frames.items()
        for field in MODEL.events[name].fields
    ]


def _of_field(event_type: str, field: str, values: list[Any]) -> dict[str, Any]:
    there = [value for value in values if value is not None]
    counts = Counter(cut(slow.text(value)) for value in there)
    best = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:TOP_VALUES]
    texts = {slow.text(value) for value in there}
    return {
        "event_type": event_type,
        "field": field,
        "documents": len(values),
        "missing": len(values) - len(there),
        "distinct": len(texts),
        "sketch": sorted(xxhash.xxh64_intdigest((text or "").encode()) for text in texts),
        "top_values": [{"value": value, "count": count} for value, count in best],
        "min": cut(slow.text(min(there, default=None))),
        "max": cut(slow.text(max(there, default=None))),
    }


def cut(text: str | None) -> str | None:
    return text if text is None or len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + "…"


@unhurried
@given(day_documents())
def test_values_are_those_counted_one_by_one(frames: dict[str, pl.DataFrame]) -> None:
    found = connect.build_field_statistics(MODEL, connect.enrich(MODEL, frames))
    assert found.schema == TABLES["field_statistics"].schema
    assert found.to_dicts() == plain(frames)


def test_no_documents_give_no_rows() -> None:
    assert connect.build_field_statistics(MODEL, {}).equals(TABLES["field_statistics"].empty())


def test_long_values_are_cut_and_those_that_begin_alike_are_one() -> None:
    long = "x" * LONGEST_VALUE
    errors = [long, f"{long}y", f"{long}z", f"{long}z", "short"]
    events = {"API Error": [{"timestamp": START, "error": error} for error in errors]}
    frames = documents(MODEL, events)
    rows = connect.build_field_statistics(MODEL, frames)
    row = rows.filter(field="error").row(0, named=True)
    assert row["top_values"] == [
        {"value": f"{long}…", "count": 3},
        {"value": "short", "count": 1},
        {"value": long, "count": 1},
    ]
    assert (row["distinct"], len(row["sketch"])) == (4, 4), "cut, they are still told apart"
    assert row["max"] == f"{long}…"


@pytest.fixture(scope="module")
def flights(tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    landing: Path = tmp_path_factory.mktemp("landing")
    day, model = date.fromisoformat(DAY), load_event_model("flights")
    write_flights(landing, day, day)
    made = build_documents(model, index_landing(model, landing), day, (day, day))
    return connect.build_field_statistics(model, made.documents)


def test_values_are_the_csv_s(flights: pl.DataFrame) -> None:
    rows = departed(DAY)
    found = flights.filter(event_type="Departure").rows_by_key("field", named=True, unique=True)
    for field in ("carrier", "origin", "dest", "tailnum"):
        counts = Counter(row[field] for row in rows)
        best = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:TOP_VALUES]
        assert [tuple(top.values()) for top in found[field]["top_values"]] == best
        assert found[field]["distinct"] == len(counts)
        assert (found[field]["min"], found[field]["max"]) == (min(counts), max(counts))
    delays = [float(row["dep_delay"]) for row in rows]
    assert (float(found["dep_delay"]["min"]), float(found["dep_delay"]["max"])) == (
        min(delays),
        max(delays),
    )
    unknown = sum(row["arr_delay"] == "NA" for row in rows)
    assert (found["arr_delay"]["documents"], found["arr_delay"]["missing"]) == (len(rows), unknown)
