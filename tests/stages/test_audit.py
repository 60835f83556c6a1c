"""The audit finds each kind of ghost in the tables, and nothing where there is none."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from stupid_dagster.compute.references import Horizon, leaves
from stupid_dagster.project import Project
from stupid_dagster.stages.audit.run import MOST_AUDITS, Finding
from stupid_dagster.stores.garbage import SCRATCH
from stupid_dagster.stores.ledger import FOLDER
from stupid_dagster.tables import TABLES, TIME, Column
from tests.auditing import NOBODY, OLD, audited, guilty, linked_copy, plant

OLD_TIME = datetime(2013, 1, 5, 12, tzinfo=UTC)


@pytest.fixture
def project(flights_project: Project, tmp_path: Path) -> Project:
    return linked_copy(flights_project, tmp_path / "project")


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


def test_vectors_that_a_killed_run_left_of_an_evicted_day_are_found(project: Project) -> None:
    left = project.lake.root / SCRATCH / OLD / "0123" / "part.parquet"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"vectors")
    (project.lake.root / SCRATCH / "2013-02-09").mkdir()

    [finding] = audited(project).guilty
    assert (finding.table, finding.references, finding.bytes) == (SCRATCH, 1, 7)
    assert OLD in (finding.example or "")
