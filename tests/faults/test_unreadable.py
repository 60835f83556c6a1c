"""Files that were lost: an error says which and what mends it, and the rest goes on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from stupid_dagster.compute.graph.stored import FOLDER as ADJACENCY
from stupid_dagster.errors import SnapshotError, StoreError, StupidError
from stupid_dagster.project import Project
from stupid_dagster.query.reader import SnapshotReader
from stupid_dagster.stages.day import make_documents
from stupid_dagster.stages.evict import plan_eviction, remove_garbage
from stupid_dagster.stages.publish import publish_window
from stupid_dagster.stages.window import make_window_days, open_window
from stupid_dagster.stores.inventory import CURRENT
from stupid_dagster.stores.ledger import FOLDER, POINTER
from stupid_dagster.stores.snapshots import open_snapshot, published_id, snapshot_ids
from stupid_dagster.stores.version import VERSION_FILE
from tests.faults.checking import check_lake, rounds_served
from tests.faults.damage import DAMAGES, largest
from tests.faults.rounds import DAYS, LAST, STEPS, make_project, plant
from tests.faults.workers import Workers, steps_from, succeed
from tests.pipeline import make_day

FIRST = DAYS[0]
Damage = Callable[[Path], None]


@pytest.fixture(scope="module")
def workers():
    with Workers() as workers:
        yield workers


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, workers: Workers) -> Path:
    """Return a project of two published days; copy it, don't change it."""
    root = make_project(tmp_path_factory.mktemp("unreadable") / "project").settings.root
    plant(root, 1)
    succeed(workers.start(root))
    return root


@pytest.fixture
def project(published: Path, tmp_path: Path) -> Project:
    return Project.load(shutil.copytree(published, tmp_path / "project"))


@pytest.fixture(params=DAMAGES.values(), ids=list(DAMAGES))
def damage(request: pytest.FixtureRequest) -> Damage:
    return request.param


@pytest.mark.parametrize("table", ["documents", "entities", "vectors"])
def test_a_damaged_day_is_left_out_until_it_is_made_again(
    project: Project, table: str, damage: Damage
) -> None:
    file = largest(project.lake.version_path(project.lake.live(table, FIRST)))
    damage(file)
    with_a_flipped_byte = damage is DAMAGES["flip"]
    assert project.is_complete(FIRST) == with_a_flipped_byte, "sizes alone are compared"

    make_window_days(project, LAST)
    # A window reads no events, so that their bytes aren't compared for its sake.
    unseen = with_a_flipped_byte and table == "documents"
    assert open_window(project, LAST).days == ([FIRST, LAST] if unseen else [LAST])
    make_day(project, FIRST)
    assert not project.lake.damaged(project.lake.live(table, FIRST), checksums=True)
    assert project.is_complete(FIRST)
    make_window_days(project, LAST)
    assert open_window(project, LAST).days == DAYS
    remove_garbage(project)


@pytest.mark.parametrize("name", [VERSION_FILE, CURRENT])
def test_a_day_whose_description_is_damaged_is_told_and_made_again(
    project: Project, name: str, damage: Damage
) -> None:
    lake = project.lake
    folder = lake.version_path(lake.live("documents", FIRST))
    damage(folder / name if name == VERSION_FILE else folder.parent / name)
    make_window_days(project, LAST)
    assert open_window(project, LAST).days == [LAST]
    try:
        assert lake.find("documents", FIRST) is None
    except StoreError as error:
        assert f"materialise documents {FIRST} again" in str(error)
        assert str(folder if name == VERSION_FILE else folder.parent) in str(error)

    remove_garbage(project)
    assert folder.exists(), "nothing goes of which it isn't known whether it is live"
    if damage is DAMAGES["make_folder"] and name == CURRENT:
        with pytest.raises(OSError, match=CURRENT):
            make_documents(project, FIRST)
        return
    make_day(project, FIRST)
    make_window_days(project, LAST)
    assert open_window(project, LAST).days == DAYS


def test_a_manifest_that_is_not_published_harms_nobody(project: Project, damage: Damage) -> None:
    before = published_id(project.lake)
    publish_window(project, LAST)
    assert before in snapshot_ids(project.lake)
    damage(project.lake.root / FOLDER / f"{before}.json")

    publish_window(project, LAST)
    assert rounds_served(project) == {1}
    succeed_in_collecting(project)
    assert snapshot_ids(project.lake) == [published_id(project.lake)]


@pytest.mark.parametrize("name", [POINTER, FOLDER])
def test_what_is_published_and_unreadable_is_told_and_published_again(
    project: Project, name: str, damage: Damage
) -> None:
    lake = project.lake
    pointer = lake.root / POINTER
    damage(pointer if name == POINTER else lake.root / FOLDER / f"{published_id(lake)}.json")
    with pytest.raises(SnapshotError, match=r"publish|isn't kept"):
        open_snapshot(lake)
    if pointer.is_dir():  # That a folder stands there can't be mended by a run.
        pointer.rmdir()

    publish_window(project, LAST)
    assert rounds_served(project) == {1}
    succeed_in_collecting(project)
    check_lake(project)


def succeed_in_collecting(project: Project) -> None:
    eviction = plan_eviction(project, date.fromisoformat(LAST))
    assert eviction is not None and not eviction.stale
    STEPS["collect_garbage"](project)


@pytest.mark.parametrize(
    ("table", "part", "ask"),
    [
        ("search_index", "", lambda reader: reader.search("cancelled flight", limit=3)),
        ("graph_database", ADJACENCY, lambda reader: reader.neighbors("carrier:ua", limit=3)),
        ("graph_statistics", "", lambda reader: reader.statistics()),
    ],
)
@pytest.mark.parametrize("name", [name for name in DAMAGES if name != "flip"])
def test_a_damaged_store_of_the_window_leaves_the_others_served(
    project: Project, table: str, part: str, name: str, ask: Callable[[SnapshotReader], object]
) -> None:
    version = open_snapshot(project.lake).window(table)
    DAMAGES[name](largest(project.lake.version_path(version) / part))
    with SnapshotReader(project, open_snapshot(project.lake)) as reader:
        with pytest.raises(StupidError, match=f"{table}|damaged"):
            ask(reader)
        assert reader.catalog()["days"] == DAYS
        others = {"search_index": reader.statistics, "graph_database": reader.statistics}
        others |= {"graph_statistics": lambda: reader.search("flight", limit=1)}
        assert isinstance(others[table](), pl.DataFrame)
    # It can't be published once more as it is.
    with pytest.raises(StoreError, match=f"materialise {table} {LAST} again"):
        publish_window(project, LAST)


def test_a_window_that_is_made_again_mends_all_of_its_stores(
    project: Project, workers: Workers
) -> None:
    tables = ("search_index", "graph_database", "graph_nodes", "catalog", "insights")
    for table, damage in zip(tables, DAMAGES.values(), strict=True):
        damage(largest(project.lake.version_path(project.lake.live(table, LAST))))
    succeed(workers.start(project.settings.root, list(steps_from("window_days"))))
    check_lake(project)
    assert rounds_served(project) == {1}
