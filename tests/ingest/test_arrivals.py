"""When landing files count as whole, and how a look is spread over several."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import fsspec
import polars as pl
import pytest

from stupid_dagster.errors import IngestError
from stupid_dagster.ingest import arrivals
from stupid_dagster.ingest.arrivals import Arrivals, Waiting, look_for_arrivals
from stupid_dagster.ingest.landing import index_landing, read_cache
from stupid_dagster.ingest.source import Source
from tests.gaming import gaming_model, land

MODEL = gaming_model()
NAMES = [f"Login/2025-03-0{n}.parquet" for n in (1, 2, 3)]


class Watched:
    """A landing folder that is looked at again and again, as a sensor does it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "landing"
        self.folder.mkdir()
        self.cache = folder / "lake" / "index.json"
        self.waiting: Mapping[str, Waiting] = {}

    def look(self, now: float, read_seconds: float = 20) -> Arrivals:
        found = look_for_arrivals(
            MODEL,
            Source(str(self.folder)),
            self.cache,
            self.waiting,
            now=now,
            stable_seconds=60,
            read_seconds=read_seconds,
        )
        self.waiting = {**found.waiting, **found.unread}
        return found

    def drop(self, name: str, rows: int = 1) -> Path:
        moments = [{"@timestamp": f"2025-03-02T01:00:{n:02}Z"} for n in range(rows)]
        return land(self.folder, "Login", moments, Path(name).name)


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def test_a_file_is_whole_when_it_has_not_changed_for_long_enough(watched: Watched) -> None:
    name = NAMES[0]
    whole = watched.drop(name, rows=50).read_bytes()
    file = watched.folder / name
    file.write_bytes(whole[:100])
    assert list(watched.look(1000).waiting) == [name]
    file.write_bytes(whole[:200])
    assert not watched.look(1059).files
    assert not watched.look(1118).files
    file.write_bytes(whole)
    still = watched.look(1119)
    assert (still.waiting[name].seen, still.waiting[name].since) == (1119, 1000)
    assert not watched.look(1178.9).files

    found = watched.look(1179)

    assert found.files[name].problem is None
    assert found.files[name].days == {"2025-03-02": 50}
    assert not found.waiting and not found.unread and not found.expected


def test_a_clock_that_was_set_back_starts_the_wait_anew(watched: Watched) -> None:
    watched.drop(NAMES[0])
    watched.look(1_000_000)
    assert watched.look(500).waiting
    assert watched.look(559).waiting
    assert watched.look(560).files


def test_what_a_run_has_met_must_be_seen_whole_too_but_is_not_read_again(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run takes what lies there, and a file may be half copied."""
    file = watched.drop(NAMES[0])
    index_landing(MODEL, watched.folder, watched.cache)
    assert list(watched.look(0).waiting) == [NAMES[0]]
    monkeypatch.setattr(arrivals, "index_files", pytest.fail)
    assert list(watched.look(60).files) == [NAMES[0]]
    assert list(watched.look(61).files) == [NAMES[0]]
    index_landing(MODEL, watched.folder, watched.cache)
    assert list(watched.look(62).files) == [NAMES[0]], "a run changes nothing of that"
    file.unlink()
    watched.drop(NAMES[0], rows=2)
    assert list(watched.look(63).waiting) == [NAMES[0]]


def test_a_look_leaves_the_index_of_files_that_wait_alone(watched: Watched) -> None:
    for name in NAMES:
        watched.drop(name)
    index_landing(MODEL, watched.folder, watched.cache)
    kept = read_cache(MODEL, watched.cache)
    watched.drop("new.parquet")
    watched.look(0)
    assert read_cache(MODEL, watched.cache) == kept
    (watched.folder / NAMES[1]).unlink()

    watched.look(60)

    assert list(read_cache(MODEL, watched.cache)) == [NAMES[0], NAMES[2], "Login/new.parquet"]


def test_reading_goes_on_at_the_next_look_with_the_newest_first(watched: Watched) -> None:
    for name in NAMES:
        watched.drop(name)
    watched.drop("undated.parquet")
    watched.look(0)
    order, left = [], []
    for _ in range(4):
        found = watched.look(60, read_seconds=0)
        order += [name for name in found.files if name not in order]
        left.append(len(found.unread))
        assert found.expected == set(found.unread)
    assert order == [*NAMES[::-1], "Login/undated.parquet"]
    assert left == [3, 2, 1, 0]


def test_a_file_that_never_rests_is_not_expected_for_ever(watched: Watched) -> None:
    for n in range(61):
        watched.drop(NAMES[0], rows=n % 2 + 1)
        found = watched.look(10 * n)
    assert found.expected == {NAMES[0]}
    assert found.expected_days == {"2025-03-01"}
    watched.drop(NAMES[0], rows=2)
    found = watched.look(610)
    assert list(found.waiting) == [NAMES[0]]
    assert not found.expected


def test_unusable_files_are_read_once_and_other_kinds_never(watched: Watched) -> None:
    (watched.folder / "readme.docx").write_bytes(b"x")
    (watched.folder / "Login").mkdir()
    (watched.folder / "Login" / "bad.parquet").write_bytes(b"no Parquet")
    watched.look(0)
    first = watched.look(60)
    stamp = watched.cache.stat().st_mtime_ns
    second = watched.look(90)
    assert first.ignored == second.ignored == ("readme.docx",)
    assert "can't be read" in (second.files["Login/bad.parquet"].problem or "")
    assert watched.cache.stat().st_mtime_ns == stamp


def test_a_damaged_index_is_made_anew(watched: Watched) -> None:
    watched.drop(NAMES[0])
    watched.cache.parent.mkdir()
    watched.cache.write_text("{")
    watched.look(0)
    assert list(watched.look(60).files) == [NAMES[0]]
    assert list(read_cache(MODEL, watched.cache)) == [NAMES[0]]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    source = Source(str(tmp_path / "gone"))
    with pytest.raises(IngestError, match="does not exist"):
        look_for_arrivals(MODEL, source, tmp_path / "index", {}, now=0, stable_seconds=0)


def test_a_landing_folder_behind_an_url(tmp_path: Path) -> None:
    files = fsspec.filesystem("memory")
    frame = pl.DataFrame({"@timestamp": ["2025-03-02T01:00:00Z"]})
    with files.open("/arrivals/Login/2025-03-02.csv", "wb") as out:
        frame.write_csv(out)
    source, cache = Source("memory://arrivals"), tmp_path / "index.json"
    first = look_for_arrivals(MODEL, source, cache, {}, now=0, stable_seconds=60)
    second = look_for_arrivals(MODEL, source, cache, first.waiting, now=60, stable_seconds=60)
    files.rm("/arrivals", recursive=True)
    assert list(first.waiting) == list(second.files) == ["Login/2025-03-02.csv"]
    assert second.files["Login/2025-03-02.csv"].days == {"2025-03-02": 1}
