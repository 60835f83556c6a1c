"""Documents, against the landing files themselves."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from stupid_dagster.errors import InvalidQueryError, NotFoundError, SnapshotError
from stupid_dagster.project import Project
from stupid_dagster.query import SnapshotReader, parse_filter
from stupid_dagster.query.documents import DocumentQuery
from stupid_dagster.query.paging import Cursor
from stupid_dagster.stages.publish import publish_window
from stupid_dagster.stores.snapshots import open_snapshot
from stupid_dagster.tables import DAY_TABLES
from tests.pipeline import publish_days_as_they_are
from tests.query.landing import DAYS, landing

STORM = date(2013, 2, 8)


def sealed(row: int, version: str) -> str:
    """Return a cursor for an unconditioned question about departures."""
    return Cursor("2013-02-08", row, version).sealed(DocumentQuery("Departure").question)


def ids(documents: pl.DataFrame) -> list[str]:
    return documents["doc_id"].to_list()


def keys(rows: pl.DataFrame) -> set[tuple[Any, ...]]:
    return set(rows.select("carrier", "flight", "origin", "dest").iter_rows())


def test_a_days_documents_are_the_files_rows(
    reader: SnapshotReader, flights_project: Project
) -> None:
    page = reader.documents("Departure", first_day=STORM, last_day=STORM)

    raw = landing(flights_project, "Departure", "2013-02-08")
    columns = ["carrier", "flight", "tailnum", "origin", "dest"]
    assert_frame_equal(page.rows.select(columns), raw.select(columns), check_row_order=False)
    assert page.total == page.rows.height == raw.height
    assert not page.truncated
    assert page.next_cursor is None
    delays = raw["dep_delay"].cast(pl.Float64)
    assert page.rows["dep_delay"].sum() == delays.sum()


def test_documents_come_by_day_then_actor_then_time(reader: SnapshotReader) -> None:
    rows = reader.documents("Departure").rows

    assert ids(rows) == [
        f"{day}/Departure/{row}"
        for day in DAYS
        for row in range(sum(doc_id.startswith(day) for doc_id in ids(rows)))
    ]
    of_one_day = rows.filter(pl.col("doc_id").str.starts_with("2013-02-09"))
    in_order = of_one_day.sort("actor", "timestamp", nulls_last=True, maintain_order=True)
    assert_frame_equal(of_one_day, in_order)


def test_filters_and_columns(reader: SnapshotReader, flights_project: Project) -> None:
    page = reader.documents(
        "Departure",
        filters=[parse_filter("dep_delay:gt:60"), parse_filter("origin:in:JFK,LGA")],
        columns=["dest", "dep_delay"],
    )

    raw = landing(flights_project, "Departure")
    expected = raw.filter(
        pl.col("dep_delay").cast(pl.Float64) > 60, pl.col("origin").is_in(["JFK", "LGA"])
    )
    assert page.rows.columns == ["doc_id", "dest", "dep_delay"]
    assert sorted(page.rows["dest"]) == sorted(expected["dest"])
    assert expected.height > 20
    assert page.total is None


def test_missing_values_are_found(reader: SnapshotReader, flights_project: Project) -> None:
    page = reader.documents("Cancellation", filters=[parse_filter("tailnum:is_null:true")])

    raw = landing(flights_project, "Cancellation")
    assert page.rows.height == raw.filter(pl.col("tailnum") == "NA").height > 0
    assert page.rows["actor"].null_count() == page.rows.height


def test_an_actors_documents(reader: SnapshotReader, flights_project: Project) -> None:
    raw = landing(flights_project, "Departure")
    tail = raw["tailnum"].value_counts(sort=True)["tailnum"][0]

    page = reader.documents("Departure", actor=f"aircraft:{tail}")

    assert keys(page.rows) == keys(raw.filter(tailnum=tail))
    assert page.rows["timestamp"].is_sorted()


def test_times_are_a_half_open_range(reader: SnapshotReader, flights_project: Project) -> None:
    since = datetime(2013, 2, 6, 18, tzinfo=UTC)
    until = datetime(2013, 2, 7, 14, tzinfo=UTC)

    rows = reader.documents("Departure", since=since, until=until).rows

    raw = landing(flights_project, "Departure")
    at = pl.col("scheduled_at").str.to_datetime(time_zone="UTC")
    assert keys(rows) == keys(raw.filter(at >= since, at < until))
    assert {doc_id[:10] for doc_id in ids(rows)} == {"2013-02-06", "2013-02-07"}

    eastern = timezone(timedelta(hours=-5))
    same: dict[str, Any] = {"since": since.astimezone(eastern), "until": until.replace(tzinfo=None)}
    assert ids(reader.documents("Departure", **same).rows) == ids(rows)


@pytest.mark.parametrize("extra", [-1, 0, 1])
@pytest.mark.parametrize("pages", [1, 2, 7])
def test_pages_add_up_to_the_whole(reader: SnapshotReader, pages: int, extra: int) -> None:
    whole = reader.documents("Departure")
    limit = whole.rows.height // pages + extra

    given, cursor = [], None
    while not given or cursor:
        page = reader.documents("Departure", limit=limit, cursor=cursor)
        assert page.truncated == (page.next_cursor is not None)
        given.append(page.rows)
        cursor = page.next_cursor

    assert_frame_equal(pl.concat(given), whole.rows)
    assert [rows.height for rows in given[:-1]] == [limit] * (len(given) - 1)
    assert reader.documents("Departure", limit=limit).total == whole.rows.height


def test_pages_of_a_filtered_question(reader: SnapshotReader) -> None:
    question: dict[str, Any] = {"filters": [parse_filter("carrier:eq:B6")]}
    whole = reader.documents("Departure", **question).rows
    first = reader.documents("Departure", limit=100, **question)
    rest = reader.documents("Departure", cursor=first.next_cursor, **question)

    assert ids(first.rows) + ids(rest.rows) == ids(whole)


def test_a_cursor_ends_with_the_documents_it_points_into(flights_copy: Project) -> None:
    lake = flights_copy.lake
    with SnapshotReader(flights_copy, open_snapshot(lake)) as old:
        cursor = old.documents("Departure", limit=10).next_cursor
        following = ids(old.documents("Departure", limit=10, cursor=cursor).rows)

    # Published again with nothing new: the same rows follow.
    publish_window(flights_copy, "2013-02-09")
    with SnapshotReader(flights_copy, open_snapshot(lake)) as same:
        assert ids(same.documents("Departure", limit=10, cursor=cursor).rows) == following

    version = lake.live("documents", "2013-02-06")
    frame = pl.read_parquet(lake.version_path(version) / "Departure.parquet")
    with lake.write("documents", "2013-02-06") as writer:
        writer.write(frame.head(100), "Departure")
        writer.metadata["event_types"] = {"Departure": {"rows": 100, "nulls": {}}}
    publish_days_as_they_are(flights_copy, "2013-02-09")
    with (
        SnapshotReader(flights_copy, open_snapshot(lake)) as changed,
        pytest.raises(InvalidQueryError, match="replaced or evicted"),
    ):
        changed.documents("Departure", limit=10, cursor=cursor)


def test_days_of_an_older_event_model_are_read_as_the_catalog_has_them(
    flights_copy: Project,
) -> None:
    lake = flights_copy.lake
    version = lake.live("documents", "2013-02-06")
    frame = pl.read_parquet(lake.version_path(version) / "Departure.parquet")
    older = frame.drop("seats").with_columns(pl.col("distance").cast(pl.String))
    with lake.write("documents", "2013-02-06") as writer:
        writer.write(older, "Departure")
        writer.metadata["event_types"] = {"Departure": {"rows": older.height, "nulls": {}}}
    for table in DAY_TABLES[2:]:  # As made of these documents; others are of a half-made day.
        made = lake.live(table, "2013-02-06")
        rows = lake.read(table, "2013-02-06")
        with lake.write(table, "2013-02-06") as remade:
            remade.write(rows)
            remade.metadata |= {**made.metadata, "documents": writer.committed.name}
    publish_days_as_they_are(flights_copy, "2013-02-09")

    with SnapshotReader(flights_copy, open_snapshot(lake)) as reader:
        rows = reader.documents("Departure", filters=[parse_filter("distance:gt:2000")]).rows
        of_that_day = rows.filter(pl.col("doc_id").str.starts_with("2013-02-06"))
        assert of_that_day["seats"].null_count() == of_that_day.height
        expected = frame.filter(pl.col("distance") > 2000)["distance"]
        assert of_that_day["distance"].to_list() == expected.to_list()
        assert reader.document("2013-02-06/Departure/0")[0]["seats"] is None


def test_a_document_by_its_id(reader: SnapshotReader, flights_project: Project) -> None:
    page = reader.documents("Cancellation", first_day=STORM, last_day=STORM)
    row = page.rows.row(17, named=True)

    document, text = reader.document("2013-02-08/Cancellation/17")

    assert document == row
    assert text is not None
    assert text.startswith(f"Cancelled {document['carrier_name']} flight from ")
    raw = landing(flights_project, "Cancellation", "2013-02-08")
    assert (document["carrier"], document["flight"], document["origin"], document["dest"]) in keys(
        raw
    )


@pytest.mark.parametrize(
    "doc_id",
    [
        "",
        "x",
        "2013-02-08",
        "2013-02-08/Departure",
        "2013-02-08/Departure/",
        "2013-02-08/Departure/-1",
        "2013-02-08/Departure/1e3",
        "2013-02-08/Departure/99999",
        "2013-02-08/Departure/" + "9" * 5000,
        "2013-02-08/Depature/1",
        "2013-02-10/Departure/1",
        "../documents/2013-02-08/Departure/1",
        "2013-02-08/../../2013-02-08/Departure/1",
        "2013-02-08/Departure/../Departure/1",
        "2013-02-08/Departure\x00/1",
    ],
)
def test_what_is_no_document_isnt_found(reader: SnapshotReader, doc_id: str) -> None:
    with pytest.raises(NotFoundError) as raised:
        reader.document(doc_id)
    assert len(str(raised.value)) < 700


@pytest.mark.parametrize(
    ("question", "complaint"),
    [
        ({"event_type": "Depature"}, "did you mean 'Departure'"),
        ({"columns": ["destination"]}, "has no destination"),
        ({"first_day": date(2013, 1, 10)}, "2013-01-11 to 2013-02-09"),
        ({"last_day": date(2013, 2, 10)}, "2013-01-11 to 2013-02-09"),
        ({"first_day": date(2013, 2, 8), "last_day": date(2013, 2, 7)}, "comes after"),
        ({"since": datetime.max.replace(tzinfo=UTC)}, "out of range"),
        ({"until": datetime.min}, "out of range"),
        ({"since": datetime(2013, 2, 8, 1), "until": datetime(2013, 2, 8, 1)}, "must be before"),
        ({"limit": 0}, "from 1 to 100000"),
        ({"limit": 100_001}, "rows_most"),
        ({"cursor": "x"}, "cursor"),
        ({"cursor": sealed(1, "never")}, "replaced or evicted"),
        ({"cursor": sealed(-1, "x")}, "not one that"),
        ({"cursor": "WyIyMDEzLTAyLTA4IiwxLCJuZXZlciJd"}, "not one that"),
        ({"cursor": "é" * 9}, "cursor"),
        ({"cursor": "W" * 60_000}, "cursor"),
    ],
)
def test_questions_that_make_no_sense(
    reader: SnapshotReader, question: dict[str, Any], complaint: str
) -> None:
    whole: dict[str, Any] = {"event_type": "Departure"}
    with pytest.raises(InvalidQueryError, match=complaint):
        reader.documents(**(whole | question))


def test_a_window_day_without_documents_has_none(reader: SnapshotReader) -> None:
    page = reader.documents("Departure", last_day=date(2013, 2, 5))

    assert page.rows.height == page.total == 0
    assert page.rows.columns[:3] == ["doc_id", "event_type", "timestamp"]


def test_an_unasked_limit_is_the_settings(flights_project: Project) -> None:
    project = Project.load(flights_project.settings.root, {"rows_default": 5, "rows_most": 7})
    with SnapshotReader(project, open_snapshot(project.lake)) as reader:
        page = reader.documents("Departure")
        assert (page.rows.height, page.limit, page.truncated) == (5, 5, True)
        assert reader.documents("Departure", limit=7).rows.height == 7
        with pytest.raises(InvalidQueryError, match="from 1 to 7 rows"):
            reader.documents("Departure", limit=8)


def test_files_that_are_gone_are_told(flights_copy: Project) -> None:
    snapshot = open_snapshot(flights_copy.lake)
    version = snapshot.day("documents", "2013-02-08")
    assert version is not None
    with SnapshotReader(flights_copy, snapshot) as reader:
        file = flights_copy.lake.version_path(version) / "Departure.parquet"
        file.write_bytes(file.read_bytes()[:1000])
        with pytest.raises(SnapshotError, match="materialise"):
            reader.documents("Departure")
        file.unlink()
        with pytest.raises(SnapshotError, match="materialise"):
            reader.documents("Departure")
