"""The kept snapshots, followed while they change under their readers."""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest

from stupid_dagster.errors import GraphStoreError, NotFoundError, SnapshotError
from stupid_dagster.project import Project
from stupid_dagster.query import KeptSnapshots, SnapshotReader, kept
from stupid_dagster.query.kept import EARLIER_WINDOWS_OPEN
from stupid_dagster.stages.publish import publish_window
from stupid_dagster.stores.snapshots import publish, published_id

LAST_DAY = "2013-02-09"


def publish_again(project: Project) -> str:
    return publish_window(project, LAST_DAY).manifest.id


def wait_for(condition: Callable[[], bool], seconds: float = 10) -> float:
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds
        time.sleep(0.01)
    return time.monotonic() - started


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Close replaced readers without a pause, as nobody's latency is measured here."""
    monkeypatch.setattr(kept, "CLOSING_PAUSE", 0)


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
        assert wait_for(moved) < 10
        assert wait_for(lambda: closed == [first]) < 5
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
    (
        lake.version_path(lake.live("graph_database", LAST_DAY)) / "adjacency/adjacency.json"
    ).write_text("{")
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


EARLIER = [date(2013, 2, day) for day in (1, 2, 3, 4)]


def keep_window(project: Project, last_day: date) -> str:
    """Keep a window of nothing but a catalog beside the published one; returns its snapshot."""
    lake, day = project.lake, last_day.isoformat()
    catalog = lake.version_path(lake.live("catalog", LAST_DAY)) / "catalog.json"
    with lake.write("catalog", day) as writer:
        (writer.path / "catalog.json").write_bytes(catalog.read_bytes())
    return publish(
        lake,
        window=(last_day - timedelta(days=29), last_day),
        versions={"catalog": {day: writer.committed}},
        event_model="flights",
        event_model_hash="h",
        embedder_id="e",
        code_version="1",
        serve=lambda _: False,
    ).id


@pytest.fixture
def windows(flights_copy: Project) -> dict[date, str]:
    """Four earlier windows that are kept, and their snapshots."""
    return {day: keep_window(flights_copy, day) for day in EARLIER}


def test_few_earlier_windows_stay_open(
    flights_copy: Project, windows: dict[date, str], closed: list[str]
) -> None:
    assert EARLIER_WINDOWS_OPEN == 2
    one, two, three, _ = EARLIER
    with KeptSnapshots(flights_copy) as snapshots:
        listed = [(w.last_day, w.snapshot, w.published) for w in snapshots.windows()]
        assert listed == [
            *((day.isoformat(), name, False) for day, name in windows.items()),
            (LAST_DAY, published_id(flights_copy.lake), True),
        ]
        for day in (one, two, one, three, one):
            with snapshots.use(day) as reader:
                assert (reader.id, reader.manifest.last_day) == (windows[day], str(day))
                assert reader.catalog()["events"]
        assert closed == [windows[two]], "the one that was asked for least recently"
        with snapshots.use(one), snapshots.use(three):
            for _ in range(2):
                with snapshots.use(two):
                    pass
            assert closed == [windows[two]] * 3
        with snapshots.use(date.fromisoformat(LAST_DAY)) as same, snapshots.use() as published:
            assert same is published
    assert sorted(closed[3:]) == sorted([windows[one], windows[three], published.id])


def test_a_window_that_goes_or_is_replaced_is_closed(
    flights_copy: Project, windows: dict[date, str], closed: list[str]
) -> None:
    one, two, *_ = EARLIER
    snapshots = KeptSnapshots(flights_copy)
    snapshots.refresh()
    with snapshots.use(one) as evicted, snapshots.use(two) as replaced:
        flights_copy.lake.drop("catalog", one.isoformat())
        newer = keep_window(flights_copy, two)
        snapshots.refresh()
        with pytest.raises(NotFoundError, match="ending on 2013-02-02, 2013-02-03, 2013-02-04, 2"):
            snapshots.use(one).__enter__()
        with snapshots.use(two) as reader:
            assert reader.id == newer != replaced.id
        assert closed == [], "somebody reads them"
        assert evicted.catalog() == replaced.catalog()
    assert sorted(closed) == sorted([windows[one], windows[two]])
    (flights_copy.lake.root / "snapshots" / f"{newer}.json").unlink()
    flights_copy.lake.drop("catalog", two.isoformat())
    snapshots.refresh()
    assert closed[2:] == [newer]
    snapshots.close()
    with pytest.raises(SnapshotError):
        snapshots.use(EARLIER[2]).__enter__()


def test_the_former_snapshot_is_asked_for_by_its_day(flights_copy: Project) -> None:
    pointer = flights_copy.lake.root / "SNAPSHOT"
    former, last = pointer.read_text(), date.fromisoformat(LAST_DAY)
    later = keep_window(flights_copy, last + timedelta(days=1))
    snapshots = KeptSnapshots(flights_copy)
    snapshots.refresh()
    with snapshots.use(last + timedelta(days=1)) as early:
        pointer.write_text(later)
        snapshots.refresh()
        with snapshots.use() as now, snapshots.use(last + timedelta(days=1)) as same:
            assert now is same is not early
            assert now.id == early.id == later
        with snapshots.use(last) as reader:
            assert reader.id == former
            assert reader.neighbors("airport:JFK", limit=1).rows.height == 1
    assert [w.published for w in snapshots.windows()] == [False, True]
    snapshots.close()


def test_a_look_reads_no_manifest_twice(
    flights_copy: Project, windows: dict[date, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshots = KeptSnapshots(flights_copy)
    snapshots.refresh()
    read: list[str] = []
    loads = json.loads
    monkeypatch.setattr(json, "loads", lambda text: read.append(text) or loads(text))
    for _ in range(3):
        snapshots.refresh()
    assert read == []
    keep_window(flights_copy, EARLIER[0])
    read.clear()
    snapshots.refresh()
    assert len(read) == 1
    snapshots.close()


def test_many_threads_and_many_windows(
    flights_copy: Project, windows: dict[date, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No thread ever has a closed reader, and each that was opened is closed once."""
    opened: list[SnapshotReader] = []
    closed: list[SnapshotReader] = []
    monkeypatch.setattr(SnapshotReader, "close", lambda reader: closed.append(reader))
    create = SnapshotReader.__init__

    def created(reader: SnapshotReader, *arguments: Any) -> None:
        opened.append(reader)
        create(reader, *arguments)

    monkeypatch.setattr(SnapshotReader, "__init__", created)
    monkeypatch.setattr(SnapshotReader, "warm", lambda _: None)
    snapshots = KeptSnapshots(flights_copy)
    snapshots.refresh()
    stop = threading.Event()
    failures: list[BaseException] = []

    def read(number: int) -> None:
        chance = random.Random(number)
        try:
            while not stop.is_set():
                day = chance.choice([None, *EARLIER])
                with snapshots.use(day) as reader:
                    assert reader.manifest.last_day == (day.isoformat() if day else LAST_DAY)
                    time.sleep(chance.random() / 1000)
                    assert reader not in closed
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=read, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for day in [*EARLIER, *EARLIER]:
        keep_window(flights_copy, day)
        snapshots.refresh()
        time.sleep(0.1)
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(opened) - len(closed) == 1 + EARLIER_WINDOWS_OPEN
    snapshots.close()
    assert len(closed) > 10
    assert sorted(map(id, closed)) == sorted(map(id, opened))


def test_a_request_s_reader_is_closed_when_the_next_was_likely_answered(
    flights_copy: Project, closed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "CLOSING_PAUSE", 1.0)
    snapshots = KeptSnapshots(flights_copy)
    snapshots.refresh()

    async def ask() -> str:
        with snapshots.use() as reader:
            publish_again(flights_copy)
            await asyncio.to_thread(snapshots.refresh)
            return reader.id

    former = asyncio.run(ask())
    assert closed == []
    wait_for(lambda: closed == [former])
    snapshots.close()


def test_a_store_that_is_busy_holds_up_nobody_when_its_reader_is_replaced(
    flights_copy: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing waits for the graph's queries: neither an event loop nor what follows waits too."""
    monkeypatch.setattr(kept, "CLOSING_SECONDS", 0.2)
    over, ended = threading.Event(), threading.Event()
    close = SnapshotReader.close

    def slow(reader: SnapshotReader) -> None:
        over.wait(20)
        close(reader)
        ended.set()

    monkeypatch.setattr(SnapshotReader, "close", slow)
    snapshots = KeptSnapshots(flights_copy)
    snapshots.refresh()

    async def ask() -> float:
        with snapshots.use() as reader:
            newer = publish_again(flights_copy)
            await asyncio.to_thread(snapshots.refresh)
            assert reader.id != newer
            started = time.monotonic()
        took = time.monotonic() - started
        with snapshots.use() as reader:
            assert reader.id == newer
        return took

    assert asyncio.run(ask()) < 0.1
    started = time.monotonic()
    third = publish_again(flights_copy)
    snapshots.refresh()
    assert time.monotonic() - started < 5
    with snapshots.use() as reader:
        assert reader.id == third
    over.set()
    assert ended.wait(5)
    snapshots.close()
