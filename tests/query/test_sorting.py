"""Documents in the order of a column, whole and page by page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any

import polars as pl
import pytest

from stupid_dagster.errors import InvalidQueryError
from stupid_dagster.query import SnapshotReader, parse_filter, sorting
from stupid_dagster.query.documents import DocumentQuery
from stupid_dagster.query.paging import Cursor


def question(sort: str) -> str:
    return DocumentQuery("Departure", sort=sort).question


def parsed(cursor: str | None, sort: str) -> Cursor:
    return Cursor.parse(cursor or "", question(sort))


def in_order(reader: SnapshotReader, column: str, descending: bool, **more: Any) -> list[str]:
    rows = reader.documents("Departure", **more).rows
    order = rows.sort(column, descending=descending, nulls_last=True, maintain_order=True)
    return order["doc_id"].to_list()


# A number with missing values, a text, a time, a hash, and one with many ties.
@pytest.mark.parametrize(
    "sort", ["dep_delay", "-dep_delay", "dest", "-timestamp", "-text_id", "is_test"]
)
def test_sorted_documents_page_by_page(reader: SnapshotReader, sort: str) -> None:
    expected = in_order(reader, sort.removeprefix("-"), sort.startswith("-"))
    found, cursor = [], None
    while not found or cursor:
        page = reader.documents("Departure", sort=sort, columns=["dest"], limit=700, cursor=cursor)
        assert page.rows.columns == ["doc_id", "dest"]
        assert page.total == (None if found else len(expected))
        found += page.rows["doc_id"].to_list()
        cursor = page.next_cursor
    assert found == expected


def test_missing_values_come_last_and_are_paged(reader: SnapshotReader) -> None:
    columns = reader.documents("Departure").rows
    sparse = max(columns.columns, key=lambda name: columns[name].null_count())
    assert columns[sparse].null_count() > 0
    missing = columns[sparse].null_count()
    page = reader.documents("Departure", sort=f"-{sparse}", limit=columns.height - missing + 1)
    assert page.rows[sparse].null_count() == 1
    rest = reader.documents("Departure", sort=f"-{sparse}", cursor=page.next_cursor)
    assert rest.rows.height == missing - 1


def test_sorted_with_conditions(reader: SnapshotReader) -> None:
    more: dict[str, Any] = {
        "filters": [parse_filter("origin:eq:JFK")],
        "first_day": date(2013, 2, 8),
    }
    page = reader.documents("Departure", sort="-dep_delay", limit=5, **more)
    assert page.rows["doc_id"].to_list() == in_order(reader, "dep_delay", True, **more)[:5]
    assert page.truncated and page.total is None
    none = reader.documents("Departure", sort="dest", filters=[parse_filter("dest:eq:nowhere")])
    assert none.rows.is_empty() and not none.truncated
    assert "dest" in none.rows.columns


def test_a_day_is_sorted_at_a_time(reader: SnapshotReader, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was begun can't be stopped: so that it soon ends, and holds little, it is a day's."""
    begun: list[int] = []

    def scanned(scans: Sequence[pl.LazyFrame]) -> list[pl.DataFrame]:
        begun.append(len(scans))
        return pl.collect_all(scans)

    monkeypatch.setattr(sorting, "scanned", scanned)
    reader.documents("Departure", sort="dep_delay", limit=5)
    assert begun == [1] * len(reader.manifest.days) != []


def test_what_can_not_be_sorted_or_continued(reader: SnapshotReader) -> None:
    with pytest.raises(InvalidQueryError, match="did you mean 'dep_delay'"):
        reader.documents("Departure", sort="dep_dely")
    by_delay = reader.documents("Departure", sort="dep_delay", limit=1).next_cursor
    plain = reader.documents("Departure", limit=1).next_cursor
    for sort, cursor in [("-dep_delay", by_delay), ("dep_delay", plain), (None, by_delay)]:
        with pytest.raises(InvalidQueryError, match="cursor"):
            reader.documents("Departure", sort=sort, cursor=cursor)
    given = parsed(by_delay, "dep_delay")
    for value in ("x", [1], {}, "9" * 400):
        forged = replace(given, after=(value,)).sealed(question("dep_delay"))
        with pytest.raises(InvalidQueryError, match="not one that"):
            reader.documents("Departure", sort="dep_delay", cursor=forged)


@pytest.mark.parametrize(
    "value", [2**62, -(2**62), 253402300800000, 2**70, -(10**30), 1.5, True, "x", [0], {}]
)
def test_a_time_that_no_calendar_has_is_no_cursor(reader: SnapshotReader, value: Any) -> None:
    page = reader.documents("Departure", sort="timestamp", limit=1)
    given = parsed(page.next_cursor, "timestamp")
    forged = replace(given, after=(value,)).sealed(question("timestamp"))
    with pytest.raises(InvalidQueryError, match="not one that"):
        reader.documents("Departure", sort="timestamp", cursor=forged)


@pytest.mark.parametrize("year", [1, 9999])
def test_the_ends_of_time_are_times(reader: SnapshotReader, year: int) -> None:
    page = reader.documents("Departure", sort="timestamp", limit=1)
    given = parsed(page.next_cursor, "timestamp")
    milliseconds = int((datetime(year, 1, 2) - datetime(1970, 1, 1)).total_seconds() * 1000)
    forged = replace(given, after=(milliseconds,)).sealed(question("timestamp"))
    rest = reader.documents("Departure", sort="timestamp", cursor=forged, limit=10)
    assert rest.rows.height == (10 if year == 1 else 0)
