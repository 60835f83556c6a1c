"""Days come, change, go and come back in any order: the window is what the days left would make.

After each publication and each eviction, nodes, edges, texts, vectors, what clusters are made of,
and the catalog are compared with those of a fresh lake, built from only the days that remain.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any, ClassVar

import lancedb
import polars as pl
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from stupid_dagster.project import Project
from stupid_dagster.stages.clusters import make_features
from stupid_dagster.stages.evict import evict, plan_eviction
from stupid_dagster.stages.graph import make_graph, make_graph_database
from stupid_dagster.stages.publish import make_catalog, publish_window
from stupid_dagster.stages.search_index import make_search_index
from stupid_dagster.stages.window import make_window_days
from stupid_dagster.stores.graph.schema import DATABASE_FILE, import_engine
from stupid_dagster.stores.snapshots import Snapshot, check_files, kept_windows, open_snapshot
from stupid_dagster.tables import DAY_TABLES
from tests.gaming import GAMING, land
from tests.pipeline import make_day

pytestmark = pytest.mark.slow

FIRST = date(2025, 3, 1)
DAYS = [(FIRST + timedelta(days=n)).isoformat() for n in range(30)]
WINDOW_DAYS, KEPT_DAYS = 3, 4
DAYS_AGO = st.integers(0, KEPT_DAYS + 1)
# Hours up to 30: some rows of a day's file are the next day's.
EVENT = st.fixed_dictionaries(
    {
        "memberCode": st.sampled_from(["ann", "ben", "cat"]),
        "game": st.sampled_from(["chess", "go", "poker"]),
        "platform": st.sampled_from(["ios", "android"]),
        "currency": st.just("THB"),
        "bet": st.sampled_from(["5", "50", "500"]),
        "hour": st.integers(0, 30),
    }
)
EVENTS = st.lists(EVENT, min_size=1, max_size=6)
NEW_DAYS = st.lists(EVENTS, min_size=2, max_size=3)
STAGES = (
    *(make_window_days, make_search_index, make_graph, make_graph_database),
    *(make_features, make_catalog),
)
EDGES = """
MATCH (a)-[e]->(b) RETURN a.entity_id AS source, label(e) AS type, b.entity_id AS target,
    e.weight AS weight, e.days AS days, e.first_seen AS first_seen, e.last_seen AS last_seen
ORDER BY source, type, target
"""


def new_project(root: Path, landing: Path) -> Project:
    """Return a project of its own over landing files that may be others' too."""
    root.mkdir()
    (root / "games.yaml").write_text(GAMING.replace("Asia/Bangkok", "UTC"))
    (root / "stupid.toml").write_text(
        f'landing = "{landing}"\ndata_root = "lake"\nevent_model = "games.yaml"\n'
        f"partitions_start = {FIRST}\npartitions_end = {DAYS[-1]}\n"
        f"window_days = {WINDOW_DAYS}\nkept_windows = 2\ngarbage_minutes = 0\nkept_snapshots = 1\n"
    )
    return Project.load(root)


def make_window(project: Project, last_day: str) -> None:
    for stage in STAGES:
        stage(project, last_day)
    publish_window(project, last_day)


def contents(snapshot: Snapshot) -> Mapping[str, Any]:
    """Return all that a snapshot's stores hold, in an order of its own."""
    index = lancedb.connect(snapshot.path("search_index"))
    texts = [
        pl.DataFrame(pl.from_arrow(index.open_table(name).to_arrow())).sort("text_id").to_dicts()
        for name in index.list_tables().tables
    ]
    kuzu = import_engine("kuzu")
    file = snapshot.path("graph_database") / DATABASE_FILE
    with kuzu.Database(str(file), read_only=True) as database, kuzu.Connection(database) as graph:
        # Without any edge the database has no type of edge, and so none of its columns.
        types = graph.execute("CALL show_tables() WHERE type = 'REL' RETURN name").get_as_pl()
        edges = [] if types.is_empty() else graph.execute(EDGES).get_as_pl().to_dicts()
    tables = {
        name: snapshot.scan(name).collect().to_dicts()
        for name in ("graph_nodes", "graph_edges", "features")
    }
    days = {
        table: {
            day: snapshot.lake.scan_versions([version]).collect().to_dicts()
            for day, version in snapshot.manifest.of(table).items()
        }
        for table in DAY_TABLES
        if table != "rejects"  # tells files' absolute paths
    }
    catalog = json.loads((snapshot.path("catalog") / "catalog.json").read_text())
    return {"texts": texts, "edges": edges, "catalog": catalog, "days": days, **tables}


def has_room(machine: Any) -> bool:
    """Return whether more days can come."""
    return getattr(machine, "landed", 0) + 3 <= len(DAYS)


class WindowMachine(RuleBasedStateMachine):
    """A lake with a past against one that never had one."""

    done: ClassVar[Counter[str]] = Counter()
    """What all examples did that a mistake would show in."""

    @initialize(days=st.lists(EVENTS, min_size=WINDOW_DAYS, max_size=KEPT_DAYS))
    def begin(self, days: list[list[dict[str, Any]]]) -> None:
        self.root = Path(tempfile.mkdtemp())
        self.landing = self.root / "landing"
        self.landing.mkdir()
        self.project = new_project(self.root / "project", self.landing)
        self.published: str | None = None
        self.landed = 0
        self.arrive(days)

    def teardown(self) -> None:
        if hasattr(self, "root"):
            shutil.rmtree(self.root)

    @property
    def made(self) -> list[str]:
        return self.project.lake.partitions("documents")

    @precondition(has_room)
    @rule(days=NEW_DAYS)
    def arrive(self, days: list[list[dict[str, Any]]]) -> None:
        """Time goes on: days in a row come, and most windows have as many days as they may."""
        for events in days:
            self.landed += 1
            self.ingest(0, events)

    @rule(days_ago=DAYS_AGO, events=st.just([]) | EVENTS)
    def ingest(self, days_ago: int, events: list[dict[str, Any]]) -> None:
        """A day's file is new, or another than before; the day may have been evicted."""
        day = DAYS[max(0, self.landed - 1 - days_ago)]
        rows = []
        for minute, event in enumerate(events):
            time = f"{date.fromisoformat(day) + timedelta(days=event['hour'] // 24)}"
            time += f"T{event['hour'] % 24:02}:{minute:02}:00Z"
            rows.append({**{k: v for k, v in event.items() if k != "hour"}, "@timestamp": time})
        land(self.landing, "GameOpened", rows or [{"@timestamp": None}], f"{day}.parquet")
        make_day(self.project, day)
        following = str(date.fromisoformat(day) + timedelta(days=1))
        if following in self.made:
            make_day(self.project, following)

    @rule()
    def publish(self) -> None:
        self.make_the_last_window()
        self.compare()

    def make_the_last_window(self) -> None:
        last_day = str(self.project.anchor())
        make_window(self.project, last_day)
        self.published = last_day

    @precondition(lambda self: getattr(self, "published", None) is not None)
    @rule(days_ago=DAYS_AGO)
    def make_a_past_window(self, days_ago: int) -> None:
        last_day = date.fromisoformat(str(self.published)) - timedelta(days=days_ago)
        day = str(last_day)
        if not days_ago or not self.project.window_days(last_day):
            return
        make_window(self.project, day)
        assert open_snapshot(self.project.lake).manifest.last_day == self.published
        assert day in kept_windows(self.project.lake)

    @precondition(has_room)
    @rule(days=NEW_DAYS)
    def go_on_and_evict(self, days: list[list[dict[str, Any]]]) -> None:
        self.arrive(days)
        self.make_the_last_window()
        eviction = plan_eviction(self.project)
        assert eviction is not None
        self.done["evictions"] += bool(eviction.stale)
        evict(self.project, eviction)
        horizon = date.fromisoformat(str(self.published)) - timedelta(days=KEPT_DAYS - 1)
        assert eviction.horizon == horizon
        assert all(day >= str(horizon) for day in self.made)
        gone = {str(FIRST + timedelta(days=n)) for n in range((horizon - FIRST).days)}
        # A folder is named by its window's last day, which a window that is kept may outlive.
        left = {p.name for table in DAY_TABLES for p in (self.project.lake.root / table).iterdir()}
        assert not gone & left
        again = plan_eviction(self.project)
        assert again is not None and not again.stale
        self.compare()

    def compare(self) -> None:
        lake = self.project.lake
        snapshot = open_snapshot(lake)
        check_files(lake, snapshot.manifest)
        self.done["whole windows"] += len(snapshot.manifest.days) == WINDOW_DAYS
        fresh = new_project(self.root / "fresh", self.landing)
        try:
            last_day = date.fromisoformat(snapshot.manifest.last_day)
            first_day = str(last_day - timedelta(days=WINDOW_DAYS - 1))
            for day in self.made:
                if first_day <= day <= str(last_day):
                    make_day(fresh, day)
            make_window(fresh, str(last_day))
            found, wanted = contents(snapshot), contents(open_snapshot(fresh.lake))
            for part, value in wanted.items():
                assert found[part] == value, part
        finally:
            shutil.rmtree(fresh.settings.root)


def test_a_window_is_what_the_days_that_are_left_would_make() -> None:
    WindowMachine.done.clear()

    run_state_machine_as_test(
        WindowMachine,
        settings=settings(
            max_examples=3, stateful_step_count=11, deadline=None, derandomize=True, database=None
        ),
    )

    assert WindowMachine.done["evictions"] >= 5
    assert WindowMachine.done["whole windows"] >= 8
