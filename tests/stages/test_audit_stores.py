"""The audit finds ghosts in the graph database, the search index, files, and what names them."""

from __future__ import annotations

import json
import os
import threading
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from stupid_dagster.compute.references import Cited
from stupid_dagster.project import Project
from stupid_dagster.stages.audit import audit
from stupid_dagster.stages.audit.scope import Scope
from stupid_dagster.stages.audit.stores import audit_sessions
from stupid_dagster.stages.evict import eviction_steps, leftovers, plan_eviction, remove_garbage
from stupid_dagster.stages.window import open_window
from stupid_dagster.stores.graph.schema import DATABASE_FILE, EDGE_SCHEMA
from stupid_dagster.stores.ledger import FOLDER
from stupid_dagster.stores.sessions import KeptSession, session_key, write_session
from stupid_dagster.stores.snapshots import snapshot_ids
from stupid_dagster.stores.version import Version
from stupid_dagster.tables import TABLES
from tests.auditing import LAST, NOBODY, OLD, audited, guilty, linked_copy, own_file, plant
from tests.pipeline import write_window_table
from tests.stores.lakes import put_one


@pytest.fixture
def project(flights_project: Project, tmp_path: Path) -> Project:
    return linked_copy(flights_project, tmp_path / "project")


def test_an_orphaned_node_and_an_edge_that_weighs_too_much_are_counted(project: Project) -> None:
    plant(project, "graph_nodes", entity_id=NOBODY)
    edges = open_window(project, LAST).read("graph_edges")
    heavier = pl.int_range(pl.len()) < 2
    edges = edges.with_columns(pl.col("weight") + heavier.cast(pl.UInt32))
    write_window_table(project, "graph_edges", LAST, edges)

    found = guilty(project)

    assert found["graph_nodes"] == (0, 1)
    assert found["graph_edges"] == (2, 0)
    # The database was made of others.
    assert found["graph_database"][0] == 2


def database(project: Project) -> Path:
    lake = project.lake
    return own_file(lake.version_path(lake.live("graph_database", LAST)) / DATABASE_FILE)


def in_kuzu(file: Path, *queries: str) -> None:
    import kuzu

    with kuzu.Database(str(file)) as opened, kuzu.Connection(opened) as connection:
        for query in queries:
            connection.execute(query).close()  # pyright: ignore[reportAttributeAccessIssue]


def test_stray_edges_and_nodes_in_the_graph_database_are_counted(project: Project) -> None:
    edge = project.lake.read("graph_edges", LAST).row(0, named=True)
    values = ", ".join(f"{name}: 1" for name in ("weight", "days"))
    times = ", ".join(
        f"{name}: CAST('2013-02-08' AS TIMESTAMP_TZ)" for name in EDGE_SCHEMA.names[-2:]
    )
    node = f"entity_id: '{NOBODY}', events: 1, days: 1, {times}"
    in_kuzu(
        database(project),
        f"CREATE (n:Entity {{{node}}})",
        f"MATCH (a:Entity {{entity_id: '{edge['source']}'}}), (b:Entity {{entity_id: '{NOBODY}'}}) "
        f"CREATE (a)-[:`{edge['type']}` {{{values}, {times}}}]->(b)",
    )

    assert guilty(project) == {"graph_database": (0, 2)}


def test_edges_of_evicted_days_in_the_graph_database_are_counted(project: Project) -> None:
    edge_type = project.lake.read("graph_edges", LAST)["type"][0]
    in_kuzu(
        database(project),
        f"MATCH ()-[e:`{edge_type}`]->() WITH e LIMIT 3 "
        f"SET e.first_seen = CAST('{OLD}' AS TIMESTAMP_TZ), e.last_seen = e.first_seen",
    )

    assert guilty(project) == {"graph_database": (3, 3)}


def test_a_row_in_the_search_index_is_counted(project: Project) -> None:
    import lancedb

    lake = project.lake
    folder = lake.version_path(lake.live("search_index", LAST))
    for file in [file for file in folder.rglob("*") if file.is_file()]:
        own_file(file)
    table = lancedb.connect(folder).open_table("texts")
    row = table.search().limit(1).to_arrow()
    changed = row.set_column(0, "text_id", pl.Series([5], dtype=pl.UInt64).to_arrow())
    table.add(changed)

    assert guilty(project) == {"search_index": (0, 1)}

    days = pl.Series([[date(2013, 1, 5)]]).to_arrow()
    table.add(changed.set_column(row.schema.get_field_index("days"), "days", days))

    assert guilty(project) == {"search_index": (1, 1)}


def test_the_catalog_and_what_a_window_is_made_of_are_looked_at(project: Project) -> None:
    lake = project.lake
    file = own_file(lake.version_path(lake.live("catalog", LAST)) / "catalog.json")
    catalog = json.loads(file.read_text())
    catalog["days"].append(OLD)
    next(iter(catalog["events"].values()))["first_day"] = OLD
    file.write_text(json.dumps(catalog, indent=1))
    pins = lake.live("window_days", LAST)
    part = lake.version_path(pins) / "part.parquet"
    rows = pl.read_parquet(part)
    part.unlink()
    pl.concat([rows, rows.head(1).with_columns(day=pl.lit(OLD))]).write_parquet(part)

    assert guilty(project) == {"catalog": (2, 0), "window_days": (1, 0)}


def test_a_partition_left_behind_alone_and_one_left_on_the_disk_are_counted(
    project: Project,
) -> None:
    with project.lake.write("metrics", OLD) as writer:
        writer.write(TABLES["metrics"].empty())
    stray = project.lake.root / "edges" / OLD / "20130105T000000000-abcdef"
    stray.mkdir(parents=True)
    (stray / "part.parquet").write_bytes(b"x" * 10)
    os.utime(stray.parent, (0, 0))
    (project.lake.root / "texts" / OLD / "not a version").mkdir(parents=True)

    found = {finding.table: finding for finding in audited(project).guilty}

    assert {name: f.references for name, f in found.items()} == {
        "metrics": 1,
        "edges": 1,
        "texts": 1,
    }
    assert "Evict again" in audited(project).advice
    eviction = plan_eviction(project)
    assert eviction and eviction.stale == {"metrics": [OLD]}


def test_a_vector_without_a_text_is_counted(project: Project) -> None:
    lake = project.lake
    vectors, version = lake.read("vectors", LAST), lake.live("vectors", LAST)
    ghost = vectors.head(1).with_columns(text_id=pl.lit(5, pl.UInt64))
    with lake.write("vectors", LAST) as writer:
        writer.write(pl.concat([vectors, ghost]))
        writer.metadata |= dict(version.metadata)

    assert guilty(project) == {"vectors": (0, 1)}


def test_a_snapshot_that_names_an_evicted_day_is_counted(project: Project) -> None:
    (name,) = snapshot_ids(project.lake)
    file = own_file(project.lake.root / FOLDER / f"{name}.json")
    manifest = json.loads(file.read_text())
    manifest["days"].append(OLD)
    file.write_text(json.dumps(manifest))

    assert guilty(project) == {FOLDER: (1, 0)}


def test_what_cannot_be_read_is_not_cleared(project: Project) -> None:
    lake = project.lake
    file = own_file(lake.version_path(lake.live("pagerank", LAST)) / "part.parquet")
    file.write_bytes(b"PAR1 and no more")
    own_file(lake.version_path(lake.live("degrees", LAST)) / "_version.json").write_text("{")

    found = audited(project).guilty

    assert [(f.table, f.references) for f in found] == [("degrees", 1), ("pagerank", 1)]
    assert all(f.example and "can't be read" in f.example for f in found)


def test_dropped_versions_that_wait_for_their_grace_are_pending_and_no_violation(
    project: Project,
) -> None:
    patient = Project(replace(project.settings, garbage_minutes=60.0))
    with patient.lake.write("metrics", OLD) as writer:
        writer.write(TABLES["metrics"].empty())
    size = patient.lake.live("metrics", OLD).bytes
    eviction = plan_eviction(patient)
    assert eviction
    assert [*eviction_steps(patient, eviction)] == [f"dropped metrics {OLD}"]

    found = {finding.table: finding for finding in audited(patient).findings}

    assert found["metrics"].references == 0
    assert found["metrics"].pending > size
    assert audited(patient).written.details["bytes_waiting"] == found["metrics"].pending


def test_a_window_made_of_evicted_days_is_told_until_it_is_made_again(project: Project) -> None:
    eviction = plan_eviction(project, date(2013, 3, 9))
    assert eviction and eviction.horizon == date(2013, 2, 7)
    for _ in eviction_steps(project, eviction):
        pass
    remove_garbage(project)

    # Whatever the horizon: what it was made of is gone.
    for plan in (eviction, plan_eviction(project)):
        assert plan
        found = audit(project, plan)
        assert found.horizon == date(2013, 2, 7)
        counted = {f.table: (f.references, f.orphans) for f in found.guilty}
        for table in ("graph_nodes", "graph_edges", "graph_database", "search_index"):
            assert all(counted[table]), table
        assert {"window_days", "catalog", "trends"} <= counted.keys()
        assert not {"documents", "edges", "history", FOLDER} & counted.keys()
        assert "window ending on 2013-02-09 was made of days that were evicted" in found.advice
    assert not (project.lake.root / "documents" / "2013-02-06").exists()


def test_a_turn_of_a_snapshot_that_is_gone_is_counted(
    project: Project, bucket: str, tmp_path: Path
) -> None:
    eviction = plan_eviction(project)
    assert eviction
    there = {"data_root": bucket, "workplace": tmp_path / "there"}
    project = Project.load(project.settings.root, there)
    files, now = project.lake.files, time.time()
    old, new = (f"2026010{n}T000000000-abcdef" for n in (1, 2))
    project.lake.ledger.add(new, "{}")
    turns = tuple({"question": "q", "snapshot": name} for name in (old, new, old))
    write_session(files, session_key("a"), KeptSession(now, now, turns), None)

    scope = Scope(project, eviction, leftovers(project), {}, {}, {})

    assert audit_sessions(scope) == (3, Cited(2, f"a turn of {old}, which is gone"))


def test_what_is_kept_in_a_bucket_is_asked_for_side_by_side(
    project: Project, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    eviction = plan_eviction(project)
    there = {"data_root": bucket, "workplace": tmp_path / "there"}
    project = Project.load(project.settings.root, there)
    tables = ["documents", "entities", "edges", "texts"]
    made = {table: put_one(project.lake, table, "2013-02-09", table) for table in tables}
    asked, find = threading.Barrier(len(tables)), project.lake.find

    def together(table: str, partition: str, name: str | None = None) -> Version | None:
        asked.wait(20)  # Raises where one waits for another's answer.
        return find(table, partition, name)

    monkeypatch.setattr(project.lake, "find", together)
    assert eviction
    scope = Scope.of(project, eviction)
    assert scope.versions == {table: [version] for table, version in made.items()}
