"""The published snapshot, followed while it changes under its readers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from stupid_dagster.errors import GraphStoreError, SnapshotError
from stupid_dagster.project import Project
from stupid_dagster.query import KeptSnapshots, SnapshotReader
from stupid_dagster.stages.publish import publish_window
from stupid_dagster.stores.snapshots import published_id

LAST_DAY = "2013-02-09"


def publish_again(project: Project) -> str:
    return publish_window(project, LAST_DAY).manifest.id


def wait_for(condition: Callable[[], bool], seconds: float = 10) -> float:
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds
        time.sleep(0.01)
    return time.monotonic() - started


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of the readers that were closed, in order."""
    ids: list[str] = []
    close = SnapshotReader.close

    def recorded(reader: SnapshotReader) -> None:
        ids.append(reader.id)
        close(reader)

    monkeypatch.setattr(SnapshotReader, "close", recorded)
    return ids


def test_a_new_snapshot_is_served_soon(flights_copy: Project, closed: list[str]) -> None:
    with KeptSnapshots(flights_copy) as current:
        with current.use() as reader:
            first = reader.id
            assert first == published_id(flights_copy.lake)
        second = publish_again(flights_copy)

        def moved() -> bool:
            with current.use() as reader:
                return reader.id == second

        # Two seconds on a machine that has nothing else to do.
        assert wait_for(moved) < 5
        assert closed == [first]
    assert closed == [first, second]


def test_who_reads_the_old_one_goes_on_with_it(flights_copy: Project, closed: list[str]) -> None:
    current = KeptSnapshots(flights_copy)
    current.refresh()
    with current.use() as old:
        second = publish_again(flights_copy)
        current.refresh()
        with current.use() as new, current.use() as same:
            assert new is same
            assert (new.id, old.id != new.id) == (second, True)
        assert closed == []
        assert old.neighbors("airport:JFK", limit=1).rows.height == 1
        assert old.search("storm", limit=1).height == 1
    assert closed == [old.id]
    current.close()
    assert closed == [old.id, second]


def test_a_reader_is_closed_once_whoever_is_last(flights_copy: Project, closed: list[str]) -> None:
    current = KeptSnapshots(flights_copy)
    current.refresh()
    with current.use() as first:
        with current.use():
            current.close()
            assert closed == []
        assert closed == []
    assert closed == [first.id]
    with pytest.raises(SnapshotError), current.use():
        pass


def test_an_error_in_a_request_gives_the_reader_back(
    flights_copy: Project, closed: list[str]
) -> None:
    current = KeptSnapshots(flights_copy)
    current.refresh()
    with pytest.raises(ZeroDivisionError), current.use():
        raise ZeroDivisionError
    current.close()
    assert len(closed) == 1


def test_before_the_first_snapshot_it_says_what_to_do(flights_copy: Project) -> None:
    pointer = flights_copy.lake.root / "SNAPSHOT"
    published = pointer.read_text()
    pointer.unlink()
    with KeptSnapshots(flights_copy) as current:
        with pytest.raises(SnapshotError, match="stupid-dagster run"), current.use():
            pass
        pointer.write_text(published)
        current.refresh()
        with current.use() as reader:
            assert reader.id == published


def test_a_snapshot_that_cant_be_opened_leaves_the_old_one(
    flights_copy: Project, closed: list[str]
) -> None:
    current = KeptSnapshots(flights_copy)
    current.refresh()
    pointer = flights_copy.lake.root / "SNAPSHOT"
    published = pointer.read_text()
    for broken in ("20130209T000000000-000000", "", "../../etc/passwd"):
        pointer.write_text(broken)
        current.refresh()
        with current.use() as reader:
            assert reader.id == published
    assert closed == []
    current.close()


def test_a_store_that_is_damaged_leaves_the_others(flights_copy: Project) -> None:
    lake = flights_copy.lake
    (lake.version_path(lake.live("graph_database", LAST_DAY)) / "graph.json").write_text("{")
    with KeptSnapshots(flights_copy) as current, current.use() as reader:
        assert reader.search("storm", limit=1).height == 1
        with pytest.raises(GraphStoreError, match="materialise"):
            reader.node("airport:JFK")


def test_many_threads_and_many_snapshots(flights_copy: Project, closed: list[str]) -> None:
    """No thread ever sees a closed reader, and every reader but the last is closed once."""
    current = KeptSnapshots(flights_copy)
    current.refresh()
    stop = threading.Event()
    failures: list[BaseException] = []
    seen: set[str] = set()

    def read() -> None:
        try:
            while not stop.is_set():
                with current.use() as reader:
                    assert reader.id not in closed
                    rows = reader.neighbors("airport:JFK", limit=5).rows
                    assert rows.height == 5
                    assert reader.id not in closed
                    seen.add(reader.id)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=read) for _ in range(6)]
    for thread in threads:
        thread.start()
    published = [published_id(flights_copy.lake) or ""]
    for _ in range(4):
        published.append(publish_again(flights_copy))
        current.refresh()
        wait_for(lambda: published[-1] in seen or bool(failures))
    stop.set()
    for thread in threads:
        thread.join()
    current.close()
    assert failures == []
    assert sorted(closed) == sorted(published)
