"""Answers that take too long are cut off: each store's, and no other question's."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from fastapi.testclient import TestClient

from stupid_dagster.api import create_app
from stupid_dagster.deadline import deadline
from stupid_dagster.errors import SnapshotError, TimedOutError
from stupid_dagster.project import Project
from stupid_dagster.query import SnapshotReader, frames
from stupid_dagster.query.frames import collected, collected_all
from stupid_dagster.query.plans import tables
from stupid_dagster.query.plans.model import Measure
from stupid_dagster.query.timeline import TimelineQuery
from stupid_dagster.query.workers import Workers
from stupid_dagster.stores.graph import GraphReader
from tests.api.serving import seconds_until

_COUNT = Measure(op="count")
_ROWS = pl.DataFrame({"n": [*range(10)], "time": [datetime(2013, 2, 8, tzinfo=UTC)] * 10})


@pytest.fixture(scope="module")
def endless(tmp_path_factory: pytest.TempPathFactory) -> pl.LazyFrame:
    """A scan that takes a second or two, and little memory."""
    file = tmp_path_factory.mktemp("slow") / "texts.parquet"
    texts = pl.select(text=pl.int_range(200_000).cast(pl.String) + "-long-enough")
    texts.write_parquet(file, row_group_size=20_000)
    scan = pl.scan_parquet(file)
    return pl.concat(
        [scan.filter(pl.col("text").str.contains(rf"{i}.*{i}.*x")) for i in range(200)]
    )


def seconds(ask: Callable[[], Any]) -> float:
    started = time.monotonic()
    ask()
    return time.monotonic() - started


def test_a_scan_is_cut_off_at_its_deadline(endless: pl.LazyFrame) -> None:
    def ask() -> None:
        with deadline(0.3), pytest.raises(TimedOutError, match=r"0\.3 seconds"):
            collected(endless)

    assert 0.3 <= seconds(ask) < 1.5


def test_scans_side_by_side_share_a_deadline(endless: pl.LazyFrame) -> None:
    def ask() -> None:
        with deadline(0.3), pytest.raises(TimedOutError):
            collected_all([endless, endless, pl.LazyFrame({"a": [1]})])

    assert seconds(ask) < 1.5


def test_others_go_on_while_one_is_cut_off(endless: pl.LazyFrame, reader: SnapshotReader) -> None:
    def slow() -> None:
        with deadline(0.6), pytest.raises(TimedOutError):
            collected(endless)

    def quick() -> int:
        with deadline(20):
            return sum(reader.documents("Departure", limit=5).rows.height for _ in range(20))

    with ThreadPoolExecutor(3) as pool:
        cut = pool.submit(slow)
        assert [*pool.map(lambda _: quick(), range(2))] == [100, 100]
        cut.result()


def test_rows_within_the_deadline_are_in_the_scans_order() -> None:
    two = [pl.LazyFrame({"a": [i]}) for i in range(2)]
    with deadline(60):
        found = collected_all(two)
    assert [frame.item() for frame in found] == [0, 1]


def test_a_missing_file_is_the_snapshots_fault_with_a_deadline_too(tmp_path: Path) -> None:
    with deadline(60), pytest.raises(SnapshotError, match="missing or damaged"):
        collected(pl.scan_parquet(tmp_path / "gone.parquet"))


def test_a_graph_query_is_interrupted_and_its_connection_serves_others(
    reader: SnapshotReader,
) -> None:
    graph = GraphReader.open(reader.snapshot.path("graph_database"))
    walks = "MATCH (a:Entity)-[e]-(b:Entity)-[f]-(c:Entity)-[g]-(d:Entity) RETURN count(*) AS n"

    def ask() -> None:
        with deadline(0.2), pytest.raises(TimedOutError, match=r"0\.2 seconds"):
            graph.frame(walks)

    for _ in range(5):  # More than there are connections.
        assert 0.1 < seconds(ask) < 2
    assert graph.node("airport:JFK")
    with deadline(0), pytest.raises(TimedOutError):
        graph.node("airport:JFK")
    graph.close()


@pytest.mark.parametrize(
    "ask",
    [
        lambda reader: reader.traverse("airport:JFK"),
        lambda reader: reader.path("airport:JFK", "airport:EWR"),
        lambda reader: reader.subgraph("airport:JFK"),
        lambda reader: reader.contrast(["aircraft:N328AA"]),
        lambda reader: reader.timeline(TimelineQuery("aircraft:N328AA")),
        lambda reader: tables.timeline(_ROWS, "time", "1d", ZoneInfo("UTC"), [], [_COUNT], 5),
        lambda reader: tables.aggregate(_ROWS, ["n"], [_COUNT], None, 5),
        lambda reader: tables.join_rows(_ROWS, _ROWS, ["n"], ["n"], "inner", 5),
        lambda reader: tables.filter_rows(_ROWS, pl.col("n") > 3, None, "-n", 5),
    ],
)
def test_what_is_worked_out_in_memory_is_cut_off(
    reader: SnapshotReader, ask: Callable[[SnapshotReader], Any]
) -> None:
    assert ask(reader) is not None
    with deadline(0), pytest.raises(TimedOutError):
        ask(reader)


def test_a_search_is_cut_off(reader: SnapshotReader) -> None:
    with deadline(0.0005), pytest.raises(TimedOutError):
        reader.search("cancelled flight from Newark in the evening")
    with deadline(60):
        assert reader.search("cancelled flight", limit=1).height == 1


def test_abandoned_queries_are_few_and_refusals_say_so(
    monkeypatch: pytest.MonkeyPatch, flights_project: Project
) -> None:
    workers, over = Workers(1), threading.Event()
    monkeypatch.setattr(frames, "_SCANS", workers)
    # Those of other tests may have been given up too.
    monkeypatch.setattr(frames, "_LOOK_UPS", Workers(8))
    with deadline(0.05), pytest.raises(TimedOutError):
        workers.run(over.wait)
    with TestClient(create_app(flights_project)) as client:
        # What no scan is needed for is answered all the same.
        assert client.get("/documents/2013-02-08/Departure/17").status_code == 200
        assert client.get("/knowledge/pagerank?limit=3").status_code == 200
        assert "stupid_queries_abandoned 1.0" in client.get("/metrics").text
        refused = client.get("/documents?event_type=Departure&filter=dep_delay:gt:1")
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "10"
        assert "still run" in refused.json()["detail"]
        over.set()
        seconds_until(lambda: workers.abandoned == 0)
        assert client.get("/documents?event_type=Departure").status_code == 200
