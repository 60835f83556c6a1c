"""Which days the landing files make stale."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from stupid_dagster.errors import IngestError
from stupid_dagster.ingest import rows
from stupid_dagster.ingest.arrivals import Waiting, look_for_arrivals
from stupid_dagster.ingest.readers import Reader
from stupid_dagster.ingest.source import Source
from stupid_dagster.project import Project
from stupid_dagster.stages.arrivals import SOURCES, StaleDays, find_stale_days
from stupid_dagster.stages.day import make_documents
from stupid_dagster.stores.version import VERSION_FILE
from tests.arriving import DAYS, arriving_project, drop, touch
from tests.pipeline import make_day


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return arriving_project(tmp_path / "project")


def stale(project: Project) -> list[str]:
    return [found.day for found in look(project).days]


def look(project: Project, waiting: dict[str, Waiting] | None = None, now: float = 0) -> StaleDays:
    settings = project.settings
    arrivals = look_for_arrivals(
        project.model,
        Source(settings.landing_location),
        project.lake.root / "landing-index.json",
        waiting or {},
        now=now,
        stable_seconds=settings.arrival_stable_seconds,
    )
    return find_stale_days(project, arrivals)


def make(project: Project, *days: str) -> None:
    for day in days:
        make_day(project, day)


def test_days_are_stale_until_they_were_made_of_all_their_files(project: Project) -> None:
    drop(project, DAYS[0], DAYS[:2])
    drop(project, DAYS[1], DAYS[1:2])
    assert stale(project) == [DAYS[1], DAYS[0]]
    make(project, DAYS[1])
    assert stale(project) == [DAYS[0]]
    make(project, DAYS[0])
    assert stale(project) == []
    recorded = project.lake.live("documents", DAYS[1]).metadata[SOURCES]
    assert sorted(recorded) == [f"Login/{day}.parquet" for day in DAYS[:2]]


def test_documents_of_unchanged_files_stay_the_version_they_were(project: Project) -> None:
    drop(project, DAYS[0], DAYS[:1])
    make(project, DAYS[0])
    before = project.lake.live("documents", DAYS[0])
    make(project, DAYS[0])
    assert project.lake.live("documents", DAYS[0]) == before


def test_a_changed_file_makes_the_days_stale_that_it_touches_or_touched(project: Project) -> None:
    for day in DAYS:
        drop(project, day, [day])
    drop(project, "late", DAYS[1:3])
    make(project, *DAYS)
    assert stale(project) == []
    drop(project, "late", DAYS[2:4], rows=5)
    assert stale(project) == DAYS[3:0:-1]
    make(project, *DAYS[1:4])
    assert stale(project) == []


def test_files_that_are_gone_make_no_day_stale_and_lose_none_its_documents(
    project: Project,
) -> None:
    old = drop(project, DAYS[0], DAYS[:1], rows=10)
    make(project, DAYS[0])
    old.unlink()
    assert stale(project) == []
    # Something late must not take the place of all that was there.
    drop(project, "late", DAYS[:1], rows=2)
    found = look(project)
    assert not found.days
    assert "fewer rows than the days have documents" in found.notices[0]
    # The same events in other files, as engines write them that replace a folder.
    drop(project, "part-1", DAYS[:1], rows=10)
    assert stale(project) == [DAYS[0]]


def test_documents_of_an_older_version_are_made_anew_unless_they_would_shrink(
    project: Project,
) -> None:
    file = drop(project, DAYS[0], DAYS[:1])
    make(project, DAYS[0])
    with project.lake.write("documents", DAYS[0]) as writer:
        writer.rows = 3
    assert stale(project) == [DAYS[0]]
    file.unlink()
    drop(project, "late", DAYS[:1], rows=2)
    assert stale(project) == []


def test_a_day_that_waits_for_a_file_is_left_alone_for_a_while(project: Project) -> None:
    patient = Project(replace(project.settings, arrival_stable_seconds=60))
    drop(project, "first", DAYS[:2])
    make(project, *DAYS[:2])
    drop(project, "first", DAYS[:2], rows=4)
    assert stale(project) == DAYS[1::-1]
    name = f"Login/{DAYS[0]}.parquet"
    file = drop(project, DAYS[0], DAYS[:1])
    touch(file, 7)
    found = look(patient)
    assert [day.day for day in found.days] == [DAYS[1]]
    assert found.waiting == (DAYS[0],)
    for_ages = {name: Waiting(file.stat().st_size, "7", 0, 0)}
    assert [day.day for day in look(patient, for_ages, now=601).days] == DAYS[1::-1]


def test_days_that_eviction_would_take_are_left_alone(project: Project) -> None:
    short = Project(replace(project.settings, window_days=2, kept_windows=1))
    for day in DAYS[:3]:
        drop(project, day, [day])
    found = look(short)
    assert [day.day for day in found.days] == [DAYS[2], DAYS[1]]
    assert found.notices == (
        f"days left alone, {DAYS[0]} to {DAYS[0]}: 1 (before {DAYS[1]}, where eviction begins)",
    )
    # A file that only claims a date makes no newest day.
    drop(project, DAYS[4], [])
    assert [day.day for day in look(short).days] == [DAYS[4], DAYS[2], DAYS[1]]


def test_an_evicted_day_is_not_made_again_for_a_late_file(project: Project) -> None:
    short = Project(replace(project.settings, window_days=2, kept_windows=1))
    file = drop(project, DAYS[2], DAYS[2:3])
    make(project, DAYS[2])
    file.unlink()
    drop(project, "late", DAYS[:2])
    assert stale(short) == [DAYS[1]]


def test_nothing_is_stale_after_the_demo(flights_copy: Project) -> None:
    found = look(Project(replace(flights_copy.settings, arrival_stable_seconds=0)))
    assert (found.days, found.waiting) == ((), ())


def test_days_outside_the_partitions_are_left_alone(project: Project) -> None:
    drop(project, "mixed", ["2012-12-31", DAYS[0], "2013-02-10"])
    found = look(project)
    assert [day.day for day in found.days] == [DAYS[0]]
    assert "days left alone, 2012-12-31 to 2013-02-10: 2 (outside" in found.notices[0]


def test_a_half_made_day_is_finished(project: Project) -> None:
    drop(project, DAYS[0], DAYS[:1])
    make_documents(project, DAYS[0])
    found = look(project).days[0]
    assert (found.day, found.reason) == (DAYS[0], "only a part was made")
    make(project, DAYS[0])
    assert stale(project) == []


def test_a_damaged_day_is_made_anew(project: Project) -> None:
    drop(project, DAYS[0], DAYS[:1])
    make(project, DAYS[0])
    version = project.lake.live("documents", DAYS[0])
    (project.lake.version_path(version) / VERSION_FILE).write_text("{")
    assert stale(project) == [DAYS[0]]
    make(project, DAYS[0])
    assert stale(project) == []


def test_an_unusable_file_is_told_by_its_day_and_used_when_it_has_become_usable(
    project: Project,
) -> None:
    drop(project, "other", DAYS[:1])
    file = drop(project, DAYS[0], DAYS[:1])
    content = file.read_bytes()
    file.write_bytes(bytes(len(content)))
    touch(file, 7)
    make(project, DAYS[0])
    assert project.lake.read("rejects", DAYS[0])["file"].to_list() == [f"Login/{DAYS[0]}.parquet"]
    assert stale(project) == []
    file.write_bytes(content)
    touch(file, 7)
    make(project, DAYS[1])  # Any run looks at unusable files again.
    assert stale(project) == [DAYS[0]]


def test_a_file_put_back_as_it_was_is_a_new_state(project: Project) -> None:
    file = drop(project, DAYS[0], DAYS[:1])
    content = file.read_bytes()
    touch(file, 7)
    states = [look(project).days[0].state]
    make(project, DAYS[0])
    drop(project, DAYS[0], DAYS[:1], rows=4)
    states.append(look(project).days[0].state)
    make(project, DAYS[0])
    file.write_bytes(content)
    touch(file, 7)
    states.append(look(project).days[0].state)
    assert len(set(states)) == 3


def test_files_that_no_day_can_tell_of_are_told_here(project: Project) -> None:
    landing = Path(project.settings.landing_location)
    for n in range(7):
        (landing / f"notes-{n}.txt").write_text("x")
    (landing / "Login").mkdir()
    (landing / "Login" / "bad.parquet").write_bytes(b"bad")
    found = look(project)
    assert not found.days
    ignored, undated = found.notices
    assert ignored.startswith("files of kinds that can't be read: 7 (notes-0.txt, ")
    assert ignored.endswith("notes-4.txt, ...)")
    assert "them: 1 (Login/bad.parquet: " in undated


def test_a_file_that_could_not_be_read_for_a_moment_is_asked_for_again(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(project, DAYS[0], DAYS[:1])
    drop(project, "2013-02-04-more", DAYS[:1], rows=5)
    real = rows.open_file

    def failing(source: Source, path: str) -> Reader:
        if "more" in path:
            raise IngestError(f"{path}: the file can't be read: 503")
        return real(source, path)

    with monkeypatch.context() as patched:
        patched.setattr(rows, "open_file", failing)
        make(project, DAYS[0])
    assert project.lake.live("documents", DAYS[0]).rows == 3
    assert stale(project) == [DAYS[0]]
    make(project, DAYS[0])
    assert project.lake.live("documents", DAYS[0]).rows == 5, "three are in both files"
    assert stale(project) == []


def test_early_rows_in_another_day_s_file_don_t_move_the_newest_window(project: Project) -> None:
    file = drop(project, DAYS[0], DAYS[:1], rows=100)
    frame = pl.read_parquet(file)
    early = frame.head(1).with_columns(pl.lit(f"{DAYS[1]}T00:00:01Z").alias("@timestamp"))
    pl.concat([frame, early]).write_parquet(file)
    make(project, *DAYS[:2])
    assert project.lake.live("documents", DAYS[1]).rows == 1
    assert str(project.anchor()) == DAYS[0]
    drop(project, DAYS[1], DAYS[1:2], rows=100)
    make(project, DAYS[1])
    assert str(project.anchor()) == DAYS[1]


def test_days_of_one_long_file_are_no_strays(project: Project) -> None:
    days = [f"2013-01-{n}" for n in range(11, 32)] + [f"2013-02-0{n}" for n in range(1, 10)]
    drop(project, "export", [*days, *days[:-1]], rows=2)
    make(project, days[-1])
    assert str(project.anchor()) == days[-1]


def test_days_of_another_event_model_are_stale(project: Project) -> None:
    drop(project, DAYS[0], DAYS[:1])
    make(project, DAYS[0])
    assert stale(project) == []
    model = project.settings.root / "games.yaml"
    model.write_text(model.read_text().replace("session_gap_minutes: 30", "session_gap_minutes: 9"))
    changed = Project.load(project.settings.root)
    assert [found.reason for found in look(changed).days] == ["made by another event model"]
    make(changed, DAYS[0])
    assert stale(changed) == []
