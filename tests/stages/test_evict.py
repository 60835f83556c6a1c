"""Evicting days of the lake: at whatever point it is killed, and exactly."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from stupid_dagster.project import Project
from stupid_dagster.stages.audit import audit
from stupid_dagster.stages.evict import (
    Eviction,
    evicted_of_published,
    eviction_steps,
    leftovers,
    plan_eviction,
    remove_garbage,
)
from stupid_dagster.stages.graph import make_graph, make_graph_database
from stupid_dagster.stages.search_index import make_search_index
from stupid_dagster.stages.window import make_window_days
from stupid_dagster.stores.graph.contents import GraphContents
from stupid_dagster.stores.snapshots import check_files, open_snapshot
from stupid_dagster.stores.vectors import read_texts
from stupid_dagster.tables import DAY_TABLES
from tests.pipeline import make_day

GONE, KEPT = "2013-02-06", ["2013-02-07", "2013-02-08", "2013-02-09"]
AS_OF = date(2013, 3, 9)


def linked(project: Project, root: Path) -> Project:
    """Return a copy of a project, of links: files of a lake are replaced, never written into."""
    shutil.copytree(project.settings.root, root, copy_function=os.link)
    return Project(replace(Project.load(root).settings, garbage_minutes=0.0))


@pytest.fixture
def project(flights_project: Project, tmp_path: Path) -> Project:
    """Return a project of the test's own, of which a day is stale as of AS_OF."""
    return linked(flights_project, tmp_path / "copy")


def plan(project: Project) -> Eviction:
    eviction = plan_eviction(project, AS_OF)
    assert eviction
    return eviction


def state(project: Project) -> dict[str, list[str]]:
    """Return the partitions of each table; fails where the published snapshot isn't whole."""
    check_files(project.lake, open_snapshot(project.lake).manifest)
    return {table: project.lake.partitions(table) for table in project.lake.tables()}


def files(project: Project) -> set[str]:
    """Return all folders of versions."""
    return {str(p.relative_to(project.lake.root)) for p in project.lake.root.glob("*/*/2*")}


def test_an_eviction_that_is_killed_after_any_step_is_finished_by_the_next(
    flights_project: Project, tmp_path: Path
) -> None:
    whole = linked(flights_project, tmp_path / "whole")
    steps = [*eviction_steps(whole, plan(whole))]
    remove_garbage(whole)
    assert len(steps) == 1 + len(DAY_TABLES)
    for done in range(len(steps) + 1):
        killed = linked(flights_project, tmp_path / f"killed-{done}")
        running = eviction_steps(killed, plan(killed))
        assert [next(running) for _ in range(done)][1:] == steps[1:done]
        assert state(killed)["documents"][-3:] == KEPT

        for _ in eviction_steps(killed, plan(killed)):
            pass
        remove_garbage(killed)

        assert state(killed) == state(whole)
        assert files(killed) == files(whole)
        assert plan(killed).stale == {}
        assert [*eviction_steps(killed, plan(killed))] == []
        assert remove_garbage(killed).versions == 0


def test_what_is_left_is_what_the_other_days_alone_make(project: Project, tmp_path: Path) -> None:
    make_window = (make_window_days, make_graph, make_graph_database, make_search_index)
    before = project.lake.read("graph_edges", KEPT[-1])
    for _ in eviction_steps(project, plan(project)):
        pass
    remove_garbage(project)
    fresh = linked(project, tmp_path / "fresh")
    shutil.rmtree(fresh.lake.root)
    for day in KEPT:
        make_day(fresh, day)
    for stage in make_window:
        stage(project, KEPT[-1])
        stage(fresh, KEPT[-1])

    for table in (*DAY_TABLES, "graph_nodes", "graph_edges"):
        for day in project.lake.partitions(table):
            assert_frame_equal(project.lake.read(table, day), fresh.lake.read(table, day))
    folders = [
        [p.lake.version_path(p.lake.live(table, KEPT[-1])) for p in (project, fresh)]
        for table in ("graph_database", "search_index")
    ]
    nodes = [GraphContents(folder) for folder in folders[0]]
    with nodes[0], nodes[1]:
        assert_frame_equal(*(n.nodes().sort("entity_id") for n in nodes))
        for edge_type in nodes[0].edge_totals():
            own, others = (n.edges(edge_type).sort("source", "target") for n in nodes)
            assert_frame_equal(own, others)
    columns = ("text_id", "count", "days", "example")
    assert_frame_equal(*(read_texts(f, *columns).sort("text_id") for f in folders[1]))
    # Some edges left, some lost weight, and others have what they had.
    after = project.lake.read("graph_edges", KEPT[-1])
    both = before.join(after, on=["type", "source", "target"], how="left", suffix="_after")
    lighter = both.filter(pl.col("weight_after") < pl.col("weight"))
    assert both["weight_after"].null_count() > 100
    assert 100 < lighter.height < after.height


def test_a_plan_tells_what_leaves_at_once_and_what_waits(project: Project) -> None:
    patient = Project(replace(project.settings, garbage_minutes=60.0))
    at_once, later = leftovers(project, plan(project)), leftovers(patient, plan(patient))
    assert not later.due and not at_once.waiting
    assert {left.held.partition for left in at_once.due} == {GONE}
    assert {left.held.table for left in at_once.due} == {*DAY_TABLES}
    assert sum(left.bytes for left in later.waiting) == at_once.garbage.bytes
    assert len(at_once.snapshots) == 0
    assert evicted_of_published(project, plan(project)) == [GONE]

    for _ in eviction_steps(patient, plan(patient)):
        pass
    found = leftovers(patient)
    assert sum(left.bytes for left in found.waiting) == at_once.garbage.bytes
    done = remove_garbage(project)
    assert (done.versions, done.bytes) == (len(DAY_TABLES), at_once.garbage.bytes)


def test_a_window_left_half_evicted_and_an_audit_are_told_apart(project: Project) -> None:
    audit(project, plan(project))
    assert plan(project).stale.keys() == {*DAY_TABLES}
    assert "audit" in project.lake.tables()


def test_a_horizon_of_an_eviction_by_hand_is_kept_before_there_is_a_lake(
    own_project: Project,
) -> None:
    eviction = plan_eviction(own_project, date(2013, 2, 9))
    assert eviction is not None and eviction.by_hand
    assert list(eviction_steps(own_project, eviction)) == []
    assert (own_project.lake.root / "EVICTED_BY_HAND").read_text() == str(eviction.horizon)
