from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from stupid_dagster.errors import IngestError
from stupid_dagster.ingest import LandingIndex, index_landing, landing
from stupid_dagster.ingest.landing import read_timestamps
from stupid_dagster.ingest.readers import open_file
from stupid_dagster.ingest.routing import match_event_type
from stupid_dagster.ingest.source import Source
from tests.gaming import gaming_model, land

MODEL = gaming_model()


def by_path(index: LandingIndex) -> dict[str, landing.LandingFile]:
    return {file.path: file for file in index.files}


def at(*texts: str | None) -> list[dict[str, str | None]]:
    return [{"@timestamp": text} for text in texts]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(IngestError, match=r"nowhere does not exist; set `landing`"):
        index_landing(MODEL, tmp_path / "nowhere")
    assert index_landing(MODEL, tmp_path).files == ()


def test_days_are_the_model_s_and_every_file_that_touches_one_is_found(tmp_path: Path) -> None:
    """Bangkok is seven hours ahead of UTC."""
    times = at("2025-03-01T16:59:59.999Z", "2025-03-01T17:00:00Z", "nonsense", None)
    land(tmp_path, "Login", times, "2025-03-03.parquet")
    land(tmp_path, "Login", at("2025-03-02T00:00:00Z"), "2025-03-02.parquet")
    index = index_landing(MODEL, tmp_path)
    late = by_path(index)["Login/2025-03-03.parquet"]
    assert (late.date, late.days, late.rows) == (
        "2025-03-03",
        {"2025-03-01": 1, "2025-03-02": 1},
        4,
    )
    assert late.problem is None
    assert index.days() == ["2025-03-01", "2025-03-02", "2025-03-03"]
    paths = {day: [f.path[6:16] for f in index.for_day(date(2025, 3, day))] for day in (1, 2, 3, 4)}
    assert paths == {1: ["2025-03-03"], 2: ["2025-03-02", "2025-03-03"], 3: ["2025-03-03"], 4: []}


def test_stray_rows_of_many_days_are_found_by_their_positions(tmp_path: Path) -> None:
    """Rubbish that reads as times: more days than a loop over them could take."""
    wild = [f"{year}-{month:02}-{day:02}" for year in range(2001, 2021)
            for month in range(1, 13) for day in range(1, 29)]  # fmt: skip
    times = [f"{day}T12:00:00Z" for day in ["2025-03-02"] * 100 + wild + wild[::-1]]
    land(tmp_path, "Login", at(*times), "2025-03-02.parquet")
    [file] = index_landing(MODEL, tmp_path).files
    last = len(times) - 1
    assert file.strays == {day: [100 + n, last - n] for n, day in enumerate(wild)}


def test_folders_are_matched_by_name_and_alias_in_any_case(tmp_path: Path) -> None:
    names = ["Login", "login", "SIGNIN", "api error", "GameOpened", "Gameopend", "2025"]
    found = [match_event_type(MODEL, name) for name in names]
    assert found == ["Login", "Login", "Login", "API Error", "GameOpened", None, None]
    land(tmp_path, "deep/er/Login", at("2025-03-02T00:00:00Z"))
    land(tmp_path, "Gameopend", at("2025-03-02T00:00:00Z"))
    files = by_path(index_landing(MODEL, tmp_path))
    assert files["deep/er/Login/2025-03-02.parquet"].event_types == {"Login": 1}
    unknown = files["Gameopend/2025-03-02.parquet"]
    assert unknown.event_types == {}
    assert unknown.problem == "no event type is named 'Gameopend' (did you mean 'GameOpened'?)"


def test_files_without_a_date_whose_rows_need_one_are_told_apart(tmp_path: Path) -> None:
    land(tmp_path, "Login", at("2025-03-02T00:00:00Z", "junk"), "export.parquet")
    land(tmp_path, "Login", at("2025-03-02T00:00:00Z"), "fine.parquet")
    (tmp_path / "Login" / "empty.parquet").touch()
    index = index_landing(MODEL, tmp_path)
    problems = {file.path: file.problem or "" for file in index.files if file.untold}
    assert list(problems) == ["Login/empty.parquet", "Login/export.parquet"]
    assert "1 of 2 rows have no usable timestamp" in problems["Login/export.parquet"]
    assert "empty (0 bytes)" in problems["Login/empty.parquet"]


def test_only_files_of_known_kinds_are_looked_at(tmp_path: Path) -> None:
    file = land(tmp_path, "Login", at("2025-03-02T00:00:00Z"), "2025-03-02.PARQUET")
    (tmp_path / "Login" / "notes.txt").write_text("2025-03-02")
    (tmp_path / "Login" / "2025-03-03.parquet").mkdir()
    (tmp_path / "Login" / "2025-03-04.parquet").symlink_to(tmp_path / "gone")
    (tmp_path / "Login" / "2025-03-05.parquet").symlink_to(file)
    paths = list(by_path(index_landing(MODEL, tmp_path)))
    assert paths == ["Login/2025-03-02.PARQUET", "Login/2025-03-05.parquet"]


def test_every_field_and_alias_of_the_time_is_looked_at(tmp_path: Path) -> None:
    model = gaming_model(aliases='{"@timestamp": time, affiliateId: affiliateID}')
    rows = [
        {"time": "2025-03-02T00:00:00Z", "clientTime": "2025-03-09T00:00:00Z"},
        {"time": "undefined", "clientTime": "03.03.2025 10:00:00"},
        {"time": " ", "clientTime": None},
    ]
    file = land(tmp_path, "Login", rows)
    times, texts = read_timestamps(model, open_file(Source(str(file.parent)), file.name))
    assert texts.to_list() == ["2025-03-02T00:00:00Z", "03.03.2025 10:00:00", None]
    assert [time and time.day for time in times.to_list()] == [2, 3, None]
    file = land(tmp_path, "Login", [{"another": "1"}] * 3)
    times, texts = read_timestamps(model, open_file(Source(str(file.parent)), file.name))
    assert (times.null_count(), texts.null_count()) == (3, 3)


def test_the_cache_spares_unchanged_files_and_no_others(tmp_path: Path, monkeypatch) -> None:
    folder, cache = tmp_path / "landing", tmp_path / "lake" / "index.json"
    files = [
        land(folder, "Login", at(f"2025-03-0{n}T00:00:00Z"), f"2025-03-0{n}.parquet")
        for n in (1, 2, 3)
    ]
    read: list[str] = []
    original = landing._inspect

    def counting(model, source, file):
        read.append(file.path[-9])
        return original(model, source, file)

    monkeypatch.setattr(landing, "_inspect", counting)

    def index() -> tuple[LandingIndex, str]:
        read.clear()
        made = index_landing(MODEL, folder, cache)
        return made, "".join(read)

    first, told = index()
    assert told == "123"
    before = cache.stat()
    assert index() == (first, "")
    assert cache.stat().st_mtime_ns == before.st_mtime_ns, "nothing changed: nothing written"

    os.utime(files[0], ns=(1, 1))
    files[1].unlink()
    land(folder, "Login", at("2025-03-04T00:00:00Z"), "2025-03-04.parquet")
    changed, told = index()
    assert told == "14"
    assert changed == index_landing(MODEL, folder)

    other = gaming_model(session_gap_minutes="31")
    read.clear()
    index_landing(other, folder, cache)
    assert "".join(read) == "134", "another event model may read other columns"


def test_files_with_a_problem_are_looked_at_again(tmp_path: Path) -> None:
    """What made a file unreadable, such as its permissions, may pass without changing it."""
    folder, cache = tmp_path / "landing", tmp_path / "index.json"
    file = land(folder, "Login", at("2025-03-02T00:00:00Z"))
    content, state = file.read_bytes(), file.stat()
    file.write_bytes(bytes(len(content)))
    os.utime(file, ns=(state.st_mtime_ns, state.st_mtime_ns))
    assert by_path(index_landing(MODEL, folder, cache))["Login/2025-03-02.parquet"].problem
    file.write_bytes(content)
    os.utime(file, ns=(state.st_mtime_ns, state.st_mtime_ns))
    assert index_landing(MODEL, folder, cache).files[0].days == {"2025-03-02": 1}


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"key": 1}', "\x00", '{"key": "K", "files": [{}]}']
)
def test_a_damaged_cache_is_made_anew(tmp_path: Path, content: str) -> None:
    folder, cache = tmp_path / "landing", tmp_path / "index.json"
    land(folder, "Login", at("2025-03-02T00:00:00Z"))
    whole = index_landing(MODEL, folder, cache)
    cache.write_text(content.replace("K", landing._cache_key(MODEL)))
    assert index_landing(MODEL, folder, cache) == whole
    assert landing.read_cache(MODEL, cache) == by_path(whole)


def test_indexing_many_rows_reads_the_time_alone(tmp_path: Path) -> None:
    """A column that can't even be decoded does no harm as long as nobody asks for it."""
    frame = pl.DataFrame({"@timestamp": ["2025-03-02T00:00:00Z"] * 3, "blob": [b"\xff\xfe"] * 3})
    land(tmp_path, "Login", frame)
    assert index_landing(MODEL, tmp_path).files[0].rows == 3
