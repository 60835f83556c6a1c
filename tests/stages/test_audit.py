"""The audit finds each kind of ghost, and nothing where there is none."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from stupid_dagster.compute.references import Horizon, leaves
from stupid_dagster.project import Project
from stupid_dagster.stages.audit import Audited, audit
from stupid_dagster.stages.audit.run import MOST_AUDITS, Finding
from stupid_dagster.stages.evict import eviction_steps, plan_eviction, remove_garbage
from stupid_dagster.stages.window import open_window
from stupid_dagster.stores.graph.schema import DATABASE_FILE, EDGE_SCHEMA
from stupid_dagster.stores.snapshots import FOLDER, snapshot_ids
from stupid_dagster.tables import TABLES, TIME, Column
from tests.pipeline import write_window_table

LAST, OLD = "2013-02-09", "2013-01-05"
OLD_TIME = datetime(2013, 1, 5, 12, tzinfo=UTC)
NOBODY = "airport:XXX"


@pytest.fixture(scope="module")
def linked(flights_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder on the same disk, for copies of which files are links."""
    return tmp_path_factory.mktemp("linked")


@pytest.fixture
def project(flights_project: Project, linked: Path, request: pytest.FixtureRequest) -> Project:
    """Return a project of the test's own; files are replaced in it, never written into."""
    root = linked / str(len(list(linked.iterdir())))
    shutil.copytree(flights_project.settings.root, root, copy_function=os.link)
    settings = replace(Project.load(root).settings, garbage_minutes=0.0)
    return Project(settings)


def audited(project: Project, records: tuple[Finding, ...] = ()) -> Audited:
    eviction = plan_eviction(project)
    assert eviction is not None
    assert eviction.horizon == date(2013, 1, 10)
    return audit(project, eviction, records)


def guilty(project: Project) -> dict[str, tuple[int, int]]:
    """Return by table the references and orphans that an audit finds."""
    return {f.table: (f.references, f.orphans) for f in audited(project).guilty}


def own_file(file: Path) -> Path:
    """Return a file that is a link, made the copy's own and writable."""
    content = file.read_bytes()
    file.unlink()
    file.write_bytes(content)
    return file


def plant(project: Project, table: str, **values: Any) -> None:
    """Write a window's table with one more row: its first, with other values."""
    rows = open_window(project, LAST).read(table)
    row = rows.head(1).with_columns(
        pl.Series(name, [value], dtype=rows.schema[name]) for name, value in values.items()
    )
    write_window_table(project, table, LAST, pl.concat([rows, row]))


def test_a_lake_without_ghosts_is_found_clean(project: Project) -> None:
    found = audited(project)

    assert found.guilty == []
    assert found.passed and found.written.verdicts[0].passed
    assert found.advice == "nothing speaks of a day before 2013-01-10, in any store"
    by_table = {finding.table: finding for finding in found.findings}
    assert by_table.keys() == {*TABLES, FOLDER} - {"audit"}
    assert by_table["graph_database"].store == "kuzu"
    assert by_table["documents"].scanned > 2_000


def test_each_table_is_looked_at(project: Project) -> None:
    audited(project)
    seen = {finding.table for finding in audited(project).findings}

    assert {*TABLES} <= seen
    for name, table in TABLES.items():
        assert table.columns or name in ("search_index", "graph_database", "catalog"), (
            f"{name} has no columns in tables/, and no audit of its own: see stages/audit/run.py"
        )


def old_values(column: Column) -> list[tuple[str, Any]]:
    """Return values of a column that speak of an evicted day, each of one leaf."""

    def nested(dtype: Any, refers: str | None) -> list[Any]:
        if isinstance(dtype, pl.List):
            return [[value] for value in nested(dtype.inner, refers)]
        if isinstance(dtype, pl.Struct):
            return [
                {field.name: value if field == part else None for field in dtype.fields}
                for part in dtype.fields
                for value in nested(part.dtype, refers)
            ]
        if dtype == pl.Date:
            return [date(2013, 1, 5)]
        if dtype == TIME:
            return [OLD_TIME]
        if dtype == pl.String:
            document = f"{OLD}/Departure/3"
            return {
                "document": [document],
                "day": [OLD],
                "json": [json.dumps({"time": f"{OLD}T05:00:00+00:00"}), json.dumps([document])],
                None: [OLD, document],
            }.get(refers, [])
        return []

    return [(column.name, value) for value in nested(column.dtype, column.refers)]


PLANTS = [
    pytest.param(table.name, *value, id=f"{table.name}-{value[0]}-{place}")
    for table in TABLES.values()
    for place, value in enumerate(v for column in table.columns for v in old_values(column))
]


@pytest.mark.parametrize(("table", "column", "value"), PLANTS)
def test_an_evicted_day_is_found_in_each_column_that_can_name_one(
    flights_project: Project, table: str, column: str, value: Any
) -> None:
    from stupid_dagster.compute.references import days_cited, ids_named, json_dates

    dtype = TABLES[table].schema[column]
    frame = TABLES[table].empty().lazy()
    ghost = pl.LazyFrame({column: pl.Series([None, value], dtype=dtype)})
    found = leaves(table, ghost.collect_schema())
    horizon = Horizon(date(2013, 1, 10), flights_project.model.zone)
    if TABLES[table].outlives:
        texts = [leaf for leaf in found if leaf.dtype == pl.String]
        assert not texts or ids_named(ghost, found, {"airport"}).values == 1
    elif found[0].refers == "json":
        assert len(list(json_dates([value], horizon))) == 1
    else:
        assert days_cited(ghost, found, horizon).values == 1
        on_time = Horizon(date(2013, 1, 5), flights_project.model.zone)
        assert days_cited(ghost, found, on_time).values == 0
    assert frame.collect().is_empty()


PLANTED: dict[str, tuple[Callable[[Project], None], dict[str, tuple[int, int]]]] = {
    "an insight since long": (
        lambda p: plant(p, "insights", since=date(2013, 1, 5)),
        {"insights": (1, 0)},
    ),
    "an insight about nobody": (
        lambda p: plant(p, "insights", subjects=[NOBODY], evidence=f'{{"a": "{NOBODY}"}}'),
        {"insights": (0, 2)},
    ),
    "a label that cites an old document": (
        lambda p: plant(p, "labels", subject=f"{OLD}/Departure/3"),
        {"labels": (1, 0)},
    ),
    "a score of nobody": (
        lambda p: plant(p, "pagerank", entity_id=NOBODY),
        {"pagerank": (0, 1)},
    ),
    "a member that is gone": (
        lambda p: plant(p, "cluster_members", actor=NOBODY),
        {"cluster_members": (0, 1)},
    ),
    "an anomaly's document": (
        lambda p: plant(p, "anomalies", documents=[f"{OLD}/Departure/3"]),
        {"anomalies": (1, 0)},
    ),
    "a document of a day that has none": (
        lambda p: plant(p, "anomalies", documents=["2013-01-20/Departure/3"]),
        {"anomalies": (0, 1)},
    ),
    "a text of no day": (
        lambda p: plant(p, "text_clusters", text_id=5),
        {"text_clusters": (0, 1)},
    ),
    "a trend of an old hour": (
        lambda p: plant(p, "trends", time=OLD_TIME),
        {"trends": (1, 0)},
    ),
    "history that names an entity": (
        lambda p: plant(p, "history", name=NOBODY),
        {"history": (1, 0)},
    ),
    "history that names a document": (
        lambda p: plant(p, "history", name=f"{OLD}/Departure/3"),
        {"history": (1, 0)},
    ),
}


@pytest.mark.parametrize("kind", PLANTED)
def test_a_row_that_speaks_of_what_is_gone_is_counted(project: Project, kind: str) -> None:
    put, expected = PLANTED[kind]
    put(project)

    assert guilty(project) == expected


def test_history_may_speak_of_old_days(project: Project) -> None:
    plant(project, "history", day=date(2012, 5, 1))

    assert guilty(project) == {}


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


def test_audits_are_kept_without_ids_and_not_for_ever(project: Project) -> None:
    plant(project, "pagerank", entity_id=NOBODY)
    for _ in range(2):
        audited(project, (Finding("dagster", "documents", 3, 1, example=f"partition {OLD}"),))

    kept = project.lake.read("audit", "all")

    assert kept["audited"].n_unique() == 2
    assert kept.filter(pl.col("table") == "pagerank")["orphans"].to_list() == [1, 1]
    assert NOBODY not in kept.write_csv()
    assert guilty(project) != {"audit": (0, 0)}
    many = pl.concat(
        [kept.with_columns(audited=pl.lit(datetime(2013, 2, 9, 0, n // 60, n % 60, tzinfo=UTC)))
         for n in range(MOST_AUDITS + 5)]
    ).cast({"audited": TIME})  # fmt: skip
    with project.lake.write("audit", "all") as writer:
        writer.write(many)
    assert audited(project).written.version.rows < many.height
    assert project.lake.read("audit", "all")["audited"].n_unique() == MOST_AUDITS
