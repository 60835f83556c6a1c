"""A window is made of the days' versions that it pinned, and of no others."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from stupid_dagster.errors import ComputeError, ConflictError, MissingVersionError
from stupid_dagster.project import Project
from stupid_dagster.stages.clusters import make_features
from stupid_dagster.stages.day import make_connections, make_documents, make_vectors
from stupid_dagster.stages.evict import evict, plan_eviction, remove_garbage
from stupid_dagster.stages.graph import make_graph, make_graph_database
from stupid_dagster.stages.publish import make_catalog, publish_window
from stupid_dagster.stages.search_index import make_search_index
from stupid_dagster.stages.window import Window, make_window_days, open_window
from stupid_dagster.stores.lake import Lake
from stupid_dagster.stores.snapshots import check_files, kept_windows, open_snapshot, published_id
from stupid_dagster.tables import DAY_TABLES, TABLES
from tests.pipeline import make_day

DAYS = ["2013-02-07", "2013-02-08"]
STAGES = (make_search_index, make_graph, make_graph_database, make_features)


@pytest.fixture(scope="module")
def made(module_project: Project) -> Path:
    """Return the folder of a project with two days made; each test has a copy of its own."""
    for day in DAYS:
        make_day(module_project, day)
    return module_project.settings.root


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Project:
    """Return a project with two days made, which leaves no garbage any time of grace."""
    root = shutil.copytree(made, tmp_path / "project")
    return Project.load(root, {"garbage_minutes": 0, "kept_snapshots": 1})


def change(project: Project, day: str) -> None:
    """Take the day's cancellations out of the landing files, and make the day again."""
    (Path(project.settings.landing_location) / "Cancellation" / f"{day}.parquet").unlink()
    make_day(project, day)


def make(project: Project, last_day: str, *stages) -> None:
    for stage in (make_window_days, *stages):
        stage(project, last_day)


def days_of(window: Window) -> pl.DataFrame:
    """Return a window's rows of `metrics`, which changes with the day."""
    return window.scan_days("metrics").collect()


def test_window_days_names_every_version_of_every_day(project: Project) -> None:
    (written,) = make_window_days(project, DAYS[1])
    rows = project.lake.read("window_days", DAYS[1])
    assert dict(rows.schema) == TABLES["window_days"].schema
    live = [project.lake.live(table, day) for day in DAYS for table in DAY_TABLES]
    assert rows.rows() == [(v.partition, v.table, v.name, v.rows, v.bytes) for v in live]
    assert written.details["days"] == 2
    window = open_window(project, DAYS[1])
    assert window.days == DAYS
    assert window.recent_days(1) == DAYS[1:]
    assert window.recent_days(2) == DAYS
    assert make_window_days(project, DAYS[1])[0].version == written.version, "nothing is new"


def test_a_window_without_a_whole_day_is_refused(project: Project) -> None:
    with pytest.raises(ComputeError, match="materialise days first"):
        make_window_days(project, "2013-01-20")
    with pytest.raises(MissingVersionError, match="window_days has no partition 2013-01-20"):
        open_window(project, "2013-01-20")


def test_a_day_that_changes_meanwhile_changes_nothing_of_the_window(project: Project) -> None:
    make(project, DAYS[1], make_search_index)
    before = days_of(open_window(project, DAYS[1]))
    change(project, DAYS[0])
    remove_garbage(project)

    for stage in (make_graph, make_graph_database, make_features, make_catalog):
        stage(project, DAYS[1])
    manifest = publish_window(project, DAYS[1]).manifest

    assert days_of(open_window(project, DAYS[1])).equals(before)
    check_files(project.lake, manifest)
    pinned = manifest.of("documents")[DAYS[0]]
    assert pinned.name != project.lake.live("documents", DAYS[0]).name
    cancelled = open_snapshot(project.lake).lake.scan_versions([manifest.of("edges")[DAYS[0]]])
    fresh = project.lake.read("edges", DAYS[0])
    assert cancelled.collect().height > fresh.height

    # The next run takes the day as it is now, and what the old pins kept goes.
    make(project, DAYS[1], *STAGES, make_catalog)
    publish_window(project, DAYS[1])
    assert not project.lake.version_path(pinned).exists()


def test_tables_of_two_states_are_never_published_together(project: Project) -> None:
    make(project, DAYS[1], *STAGES, make_catalog)
    served = publish_window(project, DAYS[1]).manifest.id
    change(project, DAYS[0])

    make(project, DAYS[1], make_graph)
    with pytest.raises(ConflictError, match=r"graph_database|search_index|features"):
        publish_window(project, DAYS[1])
    with pytest.raises(ConflictError, match="make the window again, from window_days on"):
        open_window(project, DAYS[1]).read("features")
    assert published_id(project.lake) == served
    check_files(project.lake, open_snapshot(project.lake).manifest)


def test_a_window_whose_day_was_evicted_meanwhile_isn_t_published(project: Project) -> None:
    make(project, DAYS[1], *STAGES, make_catalog)
    for table in DAY_TABLES:
        project.lake.drop(table, DAYS[0])
    with pytest.raises(ConflictError, match="evicted since it was begun"):
        publish_window(project, DAYS[1])


def test_pinned_versions_that_are_gone_are_told(project: Project) -> None:
    make(project, DAYS[1], make_graph)
    version = project.lake.live("edges", DAYS[0])
    project.lake.version_path(version).rename(project.lake.root / "elsewhere")
    with pytest.raises(MissingVersionError, match=f"edges/{DAYS[0]}/{version.name}, of which"):
        make_graph(project, DAYS[1])


def test_a_past_window_is_kept_beside_what_is_served(project: Project) -> None:
    for last_day in (DAYS[1], DAYS[0]):
        make(project, last_day, *STAGES, make_catalog)
        publication = publish_window(project, last_day)
        assert publication.served is (last_day == DAYS[1])
    assert open_snapshot(project.lake).manifest.last_day == DAYS[1]
    assert list(kept_windows(project.lake)) == DAYS
    remove_garbage(project)
    assert list(kept_windows(project.lake)) == DAYS, "a window's newest snapshot stays"

    # Without its newest day there is no newer window to make: the past one is the newest.
    for table in DAY_TABLES:
        project.lake.drop(table, DAYS[1])
    assert project.anchor() == date.fromisoformat(DAYS[0])
    assert publish_window(project, DAYS[0]).served


def test_a_day_with_damaged_files_is_left_out_and_mended_by_making_it_again(
    project: Project,
) -> None:
    version = project.lake.live("metrics", DAYS[0])
    part = project.lake.version_path(version) / "part.parquet"
    part.write_bytes(part.read_bytes()[:-10])
    make_window_days(project, DAYS[1])
    assert open_window(project, DAYS[1]).days == DAYS[1:]

    for stage in (make_documents, make_connections, make_vectors):
        stage(project, DAYS[0])
    make_window_days(project, DAYS[1])
    assert open_window(project, DAYS[1]).days == DAYS


def test_a_day_is_complete_without_a_table_that_came_later_but_not_with_one_that_is_off(
    project: Project,
) -> None:
    lake = project.lake
    optional = [name for name in DAY_TABLES if TABLES[name].optional]
    assert optional == ["field_statistics"]
    version = lake.live("field_statistics", DAYS[0])
    rows = lake.read("field_statistics", DAYS[0])
    lake.drop("field_statistics", DAYS[0])
    assert project.is_complete(DAYS[0]), "as days of an older release are"
    make_window_days(project, DAYS[1])
    assert {*open_window(project, DAYS[1]).versions["field_statistics"]} == {DAYS[1]}

    with lake.write("field_statistics", DAYS[0]) as writer:
        writer.write(rows)
        writer.metadata["documents"] = "of others"
    assert not project.is_complete(DAYS[0])
    with lake.write("field_statistics", DAYS[0]) as writer:
        writer.write(rows)
        writer.metadata |= version.metadata
    assert project.is_complete(DAYS[0])
    made = lake.version_path(lake.live("field_statistics", DAYS[0]))
    (made / "part.parquet").unlink()
    assert not project.is_complete(DAYS[0])
    (made / "_version.json").write_text("{")
    assert not project.is_complete(DAYS[0])


class Raced(Lake):
    """A lake in which somebody else publishes just before the lock is had."""

    rival: Callable[[], object] | None = None

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        rival, self.rival = self.rival, None
        if rival:
            rival()
        with super().exclusive():
            yield


def raced(project: Project, rival: Callable[[], object]) -> Project:
    lake = Raced(project.lake.root)
    lake.rival = rival
    copy = Project(project.settings)
    copy.__dict__["lake"] = lake  # in place of the cached property's
    return copy


def test_a_newer_window_that_is_published_meanwhile_stays_served(project: Project) -> None:
    for last_day in DAYS:
        make(project, last_day, *STAGES, make_catalog)
    publish_window(project, DAYS[0])

    publication = publish_window(raced(project, lambda: publish_window(project, DAYS[1])), DAYS[0])

    assert not publication.served
    assert open_snapshot(project.lake).manifest.last_day == DAYS[1]


def test_an_eviction_undoes_no_publication(project: Project) -> None:
    for last_day in DAYS:
        make(project, last_day, *STAGES, make_catalog)
    publish_window(project, DAYS[0])
    short = Project(replace(project.settings, window_days=1, kept_windows=1))
    # Of the window that is served now, and by the horizon that goes with the next.
    eviction = plan_eviction(short, date.fromisoformat(DAYS[1]))
    assert eviction is not None and eviction.stale["documents"] == DAYS[:1]

    evict(raced(short, lambda: publish_window(project, DAYS[1])), eviction)

    manifest = open_snapshot(project.lake).manifest
    assert (manifest.last_day, manifest.days) == (DAYS[1], DAYS[1:])


def test_a_window_is_judged_by_all_pins_that_its_tables_were_made_of(project: Project) -> None:
    make(project, DAYS[1], *STAGES, make_catalog)
    publish_window(project, DAYS[1])
    (project.lake.partition_path("documents", DAYS[0]) / "CURRENT").rename(
        project.lake.root / "elsewhere"
    )
    make_window_days(project, DAYS[1])  # of the second day alone; all else is of both
    (project.lake.root / "SNAPSHOT").unlink()  # what is published would stay anyhow
    short = Project(replace(project.settings, window_days=1, kept_windows=1))

    eviction = plan_eviction(short, date.fromisoformat(DAYS[1]))

    assert eviction is not None and DAYS[1] not in eviction.kept_windows
