"""Conversations of a lake in a bucket: any server goes on with what another began."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from stupid_dagster.errors import NotFoundError
from stupid_dagster.query.questions.sessions import MOST_TURNS, MemorySessions, Turn
from stupid_dagster.query.questions.shared_sessions import SharedSessions, sessions_of
from stupid_dagster.stores.bucket.lake import BucketLake
from stupid_dagster.stores.files import Entry, Files, open_files
from stupid_dagster.stores.garbage import collect_garbage
from stupid_dagster.stores.lake import Lake
from stupid_dagster.stores.sessions import (
    FOLDER,
    SECONDS_UNUSED,
    read_session,
    session_key,
    sweep_sessions,
)
from tests.stores.lakes import published, put_one

OLD, NEW, NEWER = (f"2026010{n}T000000000-abcdef" for n in (1, 2, 3))


WITHOUT_SNAPSHOT = b'{"created": 0, "used": 9e9, "turns": [{"question": "q"}]}'


class Clock:
    late = 0.0

    def __call__(self) -> float:
        return time.time() + self.late


def turn(question: str, snapshot: str = NEW) -> Turn:
    return Turn(question, {"steps": [{"id": "s1"}]}, snapshot, {"actor": ["member:zoë"]})


@pytest.fixture
def server(bucket: str, tmp_path: Path) -> Callable[..., SharedSessions]:
    """Makes the sessions as another server has them."""
    there = [OLD, NEW, NEWER]
    return lambda **options: SharedSessions(open_files(bucket), lambda: there, **options)


def probed(files: Files) -> Entry:
    found = files.entry("probe")
    assert found
    return found


def questions(sessions: SharedSessions, session_id: str) -> list[str]:
    return [one.question for one in sessions.find(session_id).turns]


def test_what_one_server_begins_another_goes_on_with(bucket: str, tmp_path: Path) -> None:
    lakes = [BucketLake(open_files(bucket), tmp_path / name, 1 << 20) for name in "ab"]
    lakes[0].ledger.add(NEW, "{}")
    one, other = map(sessions_of, lakes)
    begun = one.create()
    assert other.find(begun.id).created == begun.created and len(other) == 1
    other.add(begun.id, turn("q0"))
    assert one.find(begun.id).turns == [turn("q0")]
    for number in range(1, MOST_TURNS + 2):
        (one, other)[number % 2].add(begun.id, turn(f"q{number}"))
    asked = [f"q{number}" for number in range(2, MOST_TURNS + 2)]
    assert [found.question for found in one.find(begun.id).turns] == asked
    other.delete(begun.id)
    one.add(begun.id, turn("too late"))
    for sessions in (one, other):
        with pytest.raises(NotFoundError, match="begin a new one"):
            sessions.find(begun.id)
        with pytest.raises(NotFoundError):
            sessions.delete(begun.id)
    assert len(one) == 0
    assert not (tmp_path / "a").exists() and not (tmp_path / "b").exists()


def test_a_server_of_a_folder_writes_nothing(tmp_path: Path) -> None:
    sessions = sessions_of(Lake(tmp_path / "lake"))
    sessions.add(sessions.create().id, turn("q"))
    assert isinstance(sessions, MemorySessions) and not [*tmp_path.iterdir()]


def test_turns_that_are_added_at_the_same_time_are_all_kept(
    server: Callable[..., SharedSessions],
) -> None:
    servers = [server() for _ in range(MOST_TURNS)]
    begun = servers[0].create().id
    with ThreadPoolExecutor(MOST_TURNS) as pool:
        for number, added in enumerate(
            [pool.submit(one.add, begun, turn(f"q{n}")) for n, one in enumerate(servers)]
        ):
            added.result()
            assert f"q{number}" in questions(servers[0], begun)
    assert sorted(questions(servers[0], begun)) == [f"q{n}" for n in range(MOST_TURNS)]


def test_they_end_when_no_server_uses_them(server: Callable[..., SharedSessions]) -> None:
    clock = Clock()
    one, other = server(clock=clock), server(clock=clock)
    used, unused = one.create().id, one.create().id
    clock.late = SECONDS_UNUSED - 60
    other.find(used)
    clock.late = SECONDS_UNUSED + 60
    one.find(used)
    for sessions in (one, other):
        with pytest.raises(NotFoundError):
            sessions.find(unused)


def test_they_are_bounded_in_number(server: Callable[..., SharedSessions], bucket: str) -> None:
    clock = Clock()
    sessions = [server(most=3, clock=clock) for _ in range(2)]
    files = open_files(bucket)
    first = sessions[0].create().id
    [entry] = files.below(FOLDER)
    # A bucket tells whole seconds.
    while files.replace("probe", b"") and probed(files).changed <= entry.changed:
        time.sleep(0.05)
    begun = [sessions[number % 2].create().id for number in range(3)]
    assert len(sessions[0]) == 3
    with pytest.raises(NotFoundError):
        sessions[0].find(first)
    assert all(map(sessions[0].find, begun))
    clock.late = SECONDS_UNUSED + 60
    assert len(sessions[0]) == 0
    assert len([*files.below(FOLDER)]) == 3
    sessions[1].create()
    assert len([*files.below(FOLDER)]) == 1, "what has ended makes room"


def test_what_was_found_in_other_snapshots_is_forgotten(
    server: Callable[..., SharedSessions], bucket: str
) -> None:
    ahead, behind = server(), server()
    begun = ahead.create().id
    for snapshot in (OLD, NEW, NEWER):
        ahead.add(begun, turn(snapshot, snapshot))
    behind.keep_only({OLD, NEW})
    assert questions(behind, begun) == [OLD, NEW, NEWER], "it hasn't opened the newest one yet"
    ahead.keep_only({NEW, NEWER})
    found = ahead.find(begun)
    assert [one.question for one in found.turns] == [NEW, NEWER] and found.forgotten == 1
    stored, _ = read_session(open_files(bucket), session_key(begun))
    assert [one["snapshot"] for one in stored.turns] == [NEW, NEWER], "nor is it kept"
    assert behind.find(begun).forgotten == 1
    ahead.keep_only([])
    assert ahead.find(begun).turns == [] and ahead.find(begun).forgotten == 3


@pytest.mark.parametrize(
    "session_id", ["", "../LEDGER", "a/b", "..", "\ud800", "x" * 2000, "\n", "LEDGER.json"]
)
def test_an_id_of_a_client_is_no_part_of_a_key(
    server: Callable[..., SharedSessions], session_id: str
) -> None:
    sessions = server()
    with pytest.raises(NotFoundError):
        sessions.find(session_id)
    with pytest.raises(NotFoundError):
        sessions.delete(session_id)
    sessions.add(session_id, turn("q"))
    assert len(sessions) == 0


def test_what_is_no_session_has_ended(server: Callable[..., SharedSessions], bucket: str) -> None:
    sessions = server()
    begun = sessions.create().id
    files = open_files(bucket)
    for damaged in (b"", b"[]", b"{}", b'{"turns": 1}', WITHOUT_SNAPSHOT):
        files.replace(session_key(begun), damaged)
        with pytest.raises(NotFoundError):
            sessions.find(begun)
        sessions.add(begun, turn("q"))


def test_garbage_takes_turns_with_their_snapshots(bucket: str, tmp_path: Path) -> None:
    lake = BucketLake(open_files(bucket), tmp_path, 1 << 20)
    sessions = SharedSessions(lake.files, lake.ledger.ids)
    begun = sessions.create().id
    snapshots: list[str] = []
    for text in ("one", "two"):
        put_one(lake, "t", "p", text)
        snapshots.append(published(lake, {"t": ["p"]}).id)
        sessions.add(begun, turn(text, snapshots[-1]))
    collect_garbage(lake, kept_snapshots=1, grace=timedelta(hours=1))
    assert questions(sessions, begun) == ["one", "two"]
    collect_garbage(lake, kept_snapshots=1, grace=timedelta(0))
    assert lake.ledger.ids() == snapshots[1:]
    stored, _ = read_session(lake.files, session_key(begun))
    assert [one["snapshot"] for one in stored.turns] == snapshots[1:]
    assert stored.forgotten == 1

    entry = next(lake.files.below(FOLDER))
    hour = timedelta(seconds=SECONDS_UNUSED)
    sweep_sessions(lake.files, lake.ledger.ids, entry.changed + hour)
    assert len(sessions) == 1
    sweep_sessions(lake.files, lake.ledger.ids, entry.changed + hour + timedelta(seconds=1))
    assert len(sessions) == 0


def test_an_answer_that_was_under_way_when_its_snapshot_went_is_not_kept(
    bucket: str, tmp_path: Path
) -> None:
    lake = BucketLake(open_files(bucket), tmp_path, 1 << 20)
    sessions = sessions_of(lake)
    begun = sessions.create().id
    snapshots: list[str] = []
    for text in ("one", "two"):
        put_one(lake, "t", "p", text)
        snapshots.append(published(lake, {"t": ["p"]}).id)
    sessions.add(begun, turn("new", snapshots[1]))
    collect_garbage(lake, kept_snapshots=1, grace=timedelta(0))
    sessions.add(begun, turn("under way", snapshots[0]))
    stored, _ = read_session(lake.files, session_key(begun))
    assert [one["question"] for one in stored.turns] == ["new"] and stored.forgotten == 1
