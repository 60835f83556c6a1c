"""An actor's timeline, against the landing files and against the documents themselves."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from stupid_dagster.errors import InvalidQueryError, NotFoundError
from stupid_dagster.project import Project
from stupid_dagster.query import Page, SnapshotReader
from stupid_dagster.query.actor_rows import ACTOR_ROWS, ActorRows, ActorRuns
from stupid_dagster.query.paging import Cursor
from stupid_dagster.query.timeline import TIMELINE_SCHEMA, TimelineQuery
from stupid_dagster.stores.files import LocalFiles
from stupid_dagster.stores.lake import LakeFile
from stupid_dagster.stores.snapshots import open_snapshot
from tests.query.landing import DAYS, landing

TYPES = ("Departure", "Cancellation")
FIRST = date(2013, 1, 11)


def every_document(reader: SnapshotReader, actor: str) -> pl.DataFrame:
    """The documents of an actor, read by filtering whole days."""
    row = pl.col("doc_id").str.split("/").list.last().cast(pl.Int64)
    columns = ["timestamp", "event_type", "actor"]
    found = pl.concat(
        reader.documents(event_type, columns=columns).rows.with_columns(row=row)
        for event_type in reader.catalog()["events"]
    )
    return found.filter(pl.col("actor") == actor).sort("timestamp", "event_type", "row")


@pytest.fixture(scope="module")
def busiest(reader: SnapshotReader) -> str:
    actors = pl.concat(reader.documents(name, columns=["actor"]).rows for name in TYPES)["actor"]
    counts = actors.drop_nulls().value_counts(sort=True, name="n").sort("n", "actor")
    return counts["actor"][-1]


def pages(reader: SnapshotReader, query: TimelineQuery, limit: int) -> list[Page]:
    found: list[Page] = []
    while not found or found[-1].next_cursor:
        cursor = found[-1].next_cursor if found else None
        found.append(reader.timeline(query, limit=limit, cursor=cursor))
    return found


def test_a_timeline_has_all_documents_of_the_actor_in_time_order(
    reader: SnapshotReader, busiest: str
) -> None:
    page = reader.timeline(TimelineQuery(busiest, FIRST))

    expected = every_document(reader, busiest)
    assert page.rows["doc_id"].to_list() == expected["doc_id"].to_list()
    assert page.rows["timestamp"].is_sorted()
    assert page.total == expected.height > 5
    assert page.rows.schema == TIMELINE_SCHEMA
    for row in page.rows.iter_rows(named=True):
        document, text = reader.document(row["doc_id"])
        assert row["text"] == text is not None
        own = json.loads(row["fields"])
        assert own.items() <= {k: v for k, v in document.items() if v is not None}.items()
        assert {"tailnum", "origin", "dest"} <= own.keys()
        assert not {"doc_id", "row", "text_id", "actor"} & own.keys()


@pytest.mark.parametrize("limit", [1, 2, 7])
def test_pages_of_a_timeline_are_the_whole(
    reader: SnapshotReader, busiest: str, limit: int
) -> None:
    whole = reader.timeline(TimelineQuery(busiest, FIRST)).rows
    parts = pages(reader, TimelineQuery(busiest, FIRST), limit)
    assert pl.concat(part.rows for part in parts).equals(whole)
    assert all(part.rows.height == limit and part.total is None for part in parts[:-1])
    assert [part.truncated for part in parts] == [True] * (len(parts) - 1) + [False]


def test_by_default_the_last_seven_days(reader: SnapshotReader, busiest: str) -> None:
    expected = every_document(reader, busiest)["doc_id"]
    recent = [doc_id for doc_id in expected if doc_id >= "2013-02-03"]
    assert reader.timeline(TimelineQuery(busiest)).rows["doc_id"].to_list() == recent
    early = [doc_id for doc_id in expected if "2013-02-01" <= doc_id < "2013-02-08"]
    until = TimelineQuery(busiest, until=datetime(2013, 2, 8, 5, tzinfo=UTC))
    assert reader.timeline(until).rows["doc_id"].to_list() == early
    last = TimelineQuery(busiest, last_day=date(2013, 2, 7))
    assert reader.timeline(last).rows["doc_id"].to_list() == early
    assert recent and early and set(early) != set(recent)


def test_times_and_event_types_narrow_a_timeline(reader: SnapshotReader, busiest: str) -> None:
    expected = every_document(reader, busiest)
    middle = expected["timestamp"][expected.height // 2]
    later = reader.timeline(TimelineQuery(busiest, since=middle)).rows
    assert later.height == expected.filter(pl.col("timestamp") >= middle).height < expected.height
    before = reader.timeline(TimelineQuery(busiest, FIRST, until=middle)).rows
    assert before.height + later.height == expected.height
    for name in TYPES:
        found = reader.timeline(TimelineQuery(busiest, FIRST, event_types=[name])).rows
        assert found.height == expected.filter(pl.col("event_type") == name).height


def test_it_is_the_same_where_nothing_is_known_of_the_files(
    reader: SnapshotReader, busiest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = reader.timeline(TimelineQuery(busiest, FIRST)).rows
    monkeypatch.setattr(ActorRows, "read", lambda self, files: [None] * len(files))
    monkeypatch.setattr(ActorRows, "known", lambda self, file: None)
    assert reader.timeline(TimelineQuery(busiest, FIRST)).rows.equals(whole)


def test_documents_of_an_actor_are_the_same_once_its_rows_are_known(
    reader: SnapshotReader, busiest: str, flights_project: Project
) -> None:
    reader.timeline(TimelineQuery(busiest, FIRST))
    found = reader.documents("Departure", actor=busiest)
    raw = landing(flights_project, "Departure").filter(
        pl.col("tailnum") == busiest.removeprefix("aircraft:")
    )
    assert found.rows.height == raw.height > 0
    assert found.total is None


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (TimelineQuery("aircraft:X", event_types=["Depature"]), "did you mean 'Departure'"),
        (TimelineQuery("aircraft:X", date(2012, 1, 1)), "isn't within the window"),
        (TimelineQuery("aircraft:X", last_day=date(2012, 1, 1)), "isn't within the window"),
        (
            TimelineQuery("a", since=datetime(2013, 2, 9), until=datetime(2013, 2, 8)),
            "must be before until",
        ),
    ],
)
def test_questions_that_can_not_be_answered(
    reader: SnapshotReader, query: TimelineQuery, message: str
) -> None:
    with pytest.raises(InvalidQueryError, match=message):
        reader.timeline(query)


def test_an_unknown_actor_is_told_the_id_that_is_meant(reader: SnapshotReader) -> None:
    with pytest.raises(NotFoundError, match="did you mean 'aircraft:N328AA'"):
        reader.timeline(TimelineQuery("aircrft:N328AA"))


def test_what_is_no_actor_has_no_timeline(reader: SnapshotReader) -> None:
    with pytest.raises(InvalidQueryError, match="type Airport, and only entities of type Aircraft"):
        reader.timeline(TimelineQuery("airport:JFK"))


def test_an_actor_without_documents_has_an_empty_timeline(reader: SnapshotReader) -> None:
    last = date(2013, 2, 9)
    seen = reader.documents("Departure", columns=["actor"]).rows["actor"]
    present = reader.documents("Departure", first_day=last, columns=["actor"]).rows["actor"]
    away = seen.filter(~seen.is_in(present.implode())).drop_nulls()[0]
    query = TimelineQuery(away, last, event_types=["Departure"])
    assert reader.timeline(query).total == 0


def test_fields_are_json_whatever_the_numbers(flights_copy: Project) -> None:
    lake = flights_copy.lake
    with SnapshotReader(flights_copy, open_snapshot(lake)) as reader:
        version = reader.manifest.of("documents")["2013-02-08"]
        file = lake.version_path(version) / "Departure.parquet"
        rows = pl.read_parquet(file).with_columns(dep_delay=pl.lit(float("inf")))
        rows.write_parquet(file)
        page = reader.timeline(TimelineQuery(rows["actor"][0], date(2013, 2, 8)))
    own = json.loads(page.rows["fields"][0], parse_constant=pytest.fail)
    assert "origin" in own and "dep_delay" not in own


def test_a_run_of_another_actor_with_the_same_hash_is_left_out(
    reader: SnapshotReader, busiest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader.timeline(TimelineQuery(busiest, FIRST))
    monkeypatch.setattr(ActorRuns, "run", lambda self, actor: (0, 2))
    page = reader.timeline(TimelineQuery(busiest, FIRST))
    assert page.rows.equals(
        page.rows.filter(
            pl.col("doc_id").is_in(every_document(reader, busiest)["doc_id"].implode())
        )
    )


def test_cursors_of_other_questions_are_refused(reader: SnapshotReader, busiest: str) -> None:
    query = TimelineQuery(busiest, FIRST)
    day = reader.manifest.days[0]
    version = reader.manifest.of("documents")[day].name
    for cursor, message in [
        (Cursor(day, 3, version), "not one that"),
        (Cursor(day, 3, version, ("x", "Departure")), "not one that"),
        (Cursor(day, 3, version, (1 << 70, "Departure")), "not one that"),
        (Cursor(day, 3, "gone", (0, "Departure")), "replaced or evicted"),
    ]:
        with pytest.raises(InvalidQueryError, match=message):
            reader.timeline(query, cursor=cursor.sealed(query.question))
    timeline = reader.timeline(query, limit=1).next_cursor
    for other in (TimelineQuery(busiest), TimelineQuery("aircraft:N11194", FIRST)):
        with pytest.raises(InvalidQueryError, match="not one that"):
            reader.timeline(other, cursor=timeline)
    with pytest.raises(InvalidQueryError, match="not one that"):
        reader.documents("Departure", cursor=timeline)


def test_runs_of_a_file_that_is_not_sorted_are_not_used() -> None:
    assert ActorRuns(pl.Series(["a", "a", "b", None])).run("b") == (2, 1)
    assert ActorRuns(pl.Series(["a", "a", "b", None])).run("c") == (0, 0)
    assert not ActorRuns(pl.Series(["a", "b", "a"])).usable
    assert ActorRuns(pl.Series([], dtype=pl.String)).run("a") == (0, 0)


def test_what_is_known_of_files_is_bounded(tmp_path: Path) -> None:
    here = LocalFiles(tmp_path)
    files = [LakeFile(here.url, f"{n}.parquet", here) for n in range(20)]
    for number, file in enumerate(files):
        actors = pl.DataFrame({"actor": [f"a{number}-{n:03}" for n in range(100)]})
        actors.write_parquet(tmp_path / file.key)
    kept = ActorRows(most_bytes=6000)
    assert [runs and runs.run(f"a{n}-007") for n, runs in enumerate(kept.read(files))] == [
        (7, 1)
    ] * 20
    assert kept.bytes <= 6000
    assert kept.known(files[0]) is None
    assert kept.known(files[-1])
    assert ACTOR_ROWS.bytes <= ACTOR_ROWS.most_bytes


def test_segments_add_up_to_the_window(reader: SnapshotReader, flights_project: Project) -> None:
    found = reader.segments()
    documents = reader.manifest.of("documents")
    assert found["documents"].sum() == sum(version.rows for version in documents.values())
    assert found["bytes"].sum() == sum(version.bytes for version in documents.values())
    assert found["day"].unique(maintain_order=True).cast(pl.String).to_list() == list(DAYS)
    departures = pl.col("event_type") == "Departure"
    storm = found.filter(pl.col("day") == date(2013, 2, 8), departures)
    assert storm["documents"].item() == landing(flights_project, "Departure", "2013-02-08").height
    assert storm["version"].item() == documents["2013-02-08"].name
