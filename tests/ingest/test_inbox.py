"""The inbox's files: kept whole or not at all, whoever dies or writes beside."""

from __future__ import annotations

import errno
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from stupid_dagster.errors import StoreError
from stupid_dagster.ingest import inbox
from stupid_dagster.project import Project
from stupid_dagster.stores.files import LocalFiles
from tests.api.serving import seconds_until

DAY = "2013-02-09"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project that nothing was made of yet."""
    (tmp_path / "landing").mkdir()
    given = {"landing": "landing", "data_root": "lake", "inbox": "inbox", "partitions_end": DAY}
    return Project.load(tmp_path, given)


def files(project: Project) -> list[Path]:
    folder = project.settings.root / "inbox"
    return sorted(file.relative_to(folder) for file in folder.rglob("*") if file.is_file())


@pytest.mark.parametrize("moment", ["write", "sync", "rename"])
def test_a_crash_leaves_nothing_to_see(
    project: Project, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """A process that dies before the rename leaves a hidden file at most."""

    class DiedError(BaseException):
        pass

    def die(*_: Any, **__: Any) -> None:
        raise DiedError

    target: dict[str, tuple[Any, str]] = {
        "write": (Path, "open"),
        "sync": (os, "fsync"),
        "rename": (Path, "rename"),
    }
    box = inbox.Inbox(LocalFiles(project.settings.root / "inbox"))
    before = [file.path for file in project.landing_index().files]
    with monkeypatch.context() as patched:
        (project.settings.root / "inbox" / "Departure").mkdir(parents=True)
        patched.setattr(target[moment][0], target[moment][1], die)
        with pytest.raises(DiedError):
            box.add({("Departure", DAY): ["{}"]})
    assert [file.path for file in project.landing_index().files] == before
    assert all(file.name.startswith(".") for file in files(project))


def test_an_interrupted_writer_leaves_nobody_waiting(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waited for it is told that nothing was kept; who comes later is served."""
    box = inbox.Inbox(LocalFiles(project.settings.root / "inbox"))
    begun, over, write = threading.Event(), threading.Event(), inbox._write_files

    def interrupted(*given: Any) -> None:
        if begun.is_set():
            # The second time, for all who came during the first.
            monkeypatch.setattr(inbox, "_write_files", write)
            raise KeyboardInterrupt
        begun.set()
        over.wait(10)
        write(*given)

    monkeypatch.setattr(inbox, "_write_files", interrupted)

    def add(number: int) -> str:
        try:
            return box.add({("Departure", DAY): [f'{{"n": {number}}}']})
        except BaseException as error:
            return type(error).__name__

    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(add, 0)
        begun.wait(10)
        others = [pool.submit(add, number) for number in range(1, 4)]
        seconds_until(lambda: len(box._pending) == 3)
        over.set()
        ended = sorted(one.result(10) for one in others)
    assert ended == ["KeyboardInterrupt", "StoreError", "StoreError"]
    assert files(project) == [Path("Departure") / f"{DAY}-{first.result()}.jsonl"]
    assert len(add(5)) > 12
    assert len(files(project)) == 2


def test_what_a_crash_left_is_removed(project: Project) -> None:
    folder = project.settings.root / "inbox" / "Departure"
    folder.mkdir(parents=True)
    old, new = folder / f".{DAY}-old.jsonl", folder / f".{DAY}-new.jsonl"
    for file in (old, new):
        file.write_text("{")
    os.utime(old, (1, 1))
    inbox.Inbox(LocalFiles(folder.parent)).add({("Departure", DAY): ["{}"]})
    assert not old.exists()
    assert new.exists(), "another server may be writing it"


def test_what_was_renamed_is_taken_back_when_the_rest_fails(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = inbox.Inbox(LocalFiles(project.settings.root / "inbox"))
    rename, renamed = Path.rename, []

    def once(self: Path, to: Path) -> Path:
        if renamed:
            raise OSError(errno.EIO, "broken")
        renamed.append(to)
        return rename(self, to)

    monkeypatch.setattr(Path, "rename", once)
    with pytest.raises(StoreError, match=r"\(broken\); nothing was kept"):
        box.add({("Departure", DAY): ["{}"], ("Cancellation", DAY): ["{}"]})
    assert renamed
    assert files(project) == []


def test_writers_at_once_share_files_and_lose_nothing(tmp_path: Path) -> None:
    box = inbox.Inbox(LocalFiles(tmp_path / "inbox"))

    def add(number: int) -> str:
        return box.add({("Departure", DAY): [json.dumps({"n": number})]})

    with ThreadPoolExecutor(32) as pool:
        names = list(pool.map(add, range(400)))
    lines = {
        f.name: f.read_text().splitlines() for f in (tmp_path / "inbox" / "Departure").iterdir()
    }
    assert {f"{DAY}-{name}.jsonl" for name in names} == lines.keys()
    for number, name in enumerate(names):
        assert json.dumps({"n": number}) in lines[f"{DAY}-{name}.jsonl"]
    assert sum(map(len, lines.values())) == 400
    assert len(lines) < 100


def test_event_types_that_share_a_folder_lose_nothing(tmp_path: Path) -> None:
    box = inbox.Inbox(LocalFiles(tmp_path))
    name = box.add({("a/b", DAY): ["1"], ("a-b", DAY): ["2"], (".a", DAY): ["3"]})
    found = {f.parent.name: f.read_text() for f in tmp_path.rglob(f"{DAY}-{name}.jsonl")}
    assert found == {"a-b": "1\n2\n", "-a": "3\n"}
