"""The stages of trends and history on real flights: what they write, report and keep."""

from __future__ import annotations

import datetime as dt
from itertools import permutations

import polars as pl
import pytest

from stupid_dagster.project import Project
from stupid_dagster.stages.day import make_connections, make_documents, make_vectors
from stupid_dagster.stages.trends import make_history, make_trends
from stupid_dagster.stages.window import make_window_days
from stupid_dagster.tables import TABLES
from tests.pipeline import write_window_table
from tests.projects import landing_files, module_project  # noqa: F401

DAYS = [f"2013-02-{n:02d}" for n in range(4, 10)]


@pytest.fixture(scope="module")
def project(module_project: Project) -> Project:  # noqa: F811
    """Return a project with all days, and groups of every window."""
    for day in DAYS:
        for stage in (make_documents, make_connections, make_vectors):
            stage(module_project, day)
        make_window_days(module_project, day)
        write(module_project, "clusters", day, [("cluster:0", 900), ("cluster:1", int(day[-1]))])
        write(module_project, "communities", day, [("community:0", 40)])
    return module_project


def write(project: Project, table: str, day: str, sizes: list[tuple[str, int]]) -> None:
    name = next(iter(TABLES[table].schema))
    rows = [{name: group, "size": size} for group, size in sizes]
    write_window_table(project, table, day, pl.DataFrame(rows, schema=TABLES[table].schema))


def facts(project: Project, day: str) -> dict[tuple[dt.date, str, str], float]:
    rows = project.lake.read("history", day).iter_rows()
    return {(d, kind, name): value for d, kind, name, value in rows}


def test_trends_have_days_hours_and_the_engines_metrics(project: Project) -> None:
    (written,) = make_trends(project, DAYS[-1])
    table = project.lake.read("trends", DAYS[-1])
    assert table.schema == TABLES["trends"].schema
    engine = {"new_actors", "cluster_size", "community_size"}
    assert set(table["metric"]) == engine | set(project.model.metrics)
    assert set(table["grain"]) == {"day", "hour"}
    assert table.equals(table.sort("grain", "metric", "dimension", "member", "time"))
    off = table.filter(pl.col("severity") == "critical").group_by("grain").len()
    counts = dict(off.iter_rows())
    assert written.details["days_critical"] == counts["day"]
    assert written.details["hours_critical"] == counts["hour"]
    assert sum("by the hour" in title for title in written.pictures) == 1
    assert len(written.pictures) == 4
    storm = table.filter(
        pl.col("metric") == "cancellations", pl.col("dimension") == "", pl.col("grain") == "hour",
        pl.col("time") == dt.datetime(2013, 2, 8, 22, tzinfo=dt.UTC),
    ).row(0, named=True)  # fmt: skip
    assert (storm["severity"], storm["direction"], storm["value"]) == ("critical", "up", 68.0)
    assert storm["since"] < storm["time"]
    assert {driver["dimension"] for driver in storm["drivers"]} <= {"origin", "carrier"}


def test_sizes_are_judged_against_the_history_of_earlier_windows(project: Project) -> None:
    for day in (*DAYS[:4], DAYS[5]):  # The window that comes after has no say.
        make_history(project, day)
    write(project, "clusters", DAYS[4], [("cluster:0", 2000), ("cluster:1", 8)])
    versions = [make_trends(project, DAYS[4])[0].version.name for _ in range(2)]
    assert versions[0] == versions[1]
    rows = project.lake.read("trends", DAYS[4]).filter(pl.col("metric") == "cluster_size")
    large, small = rows.rows(named=True)
    assert (large["severity"], large["baseline"]) == ("critical", 900.0)
    assert (small["severity"], small["baseline"]) == ("normal", 5.5)


def test_history_survives_while_one_partition_is_left(project: Project) -> None:
    lake = project.lake
    for order in permutations(DAYS[3:]):
        for day in lake.partitions("history"):
            lake.drop("history", day)
        known: set[tuple[dt.date, str, str]] = set()
        for day in order:
            make_history(project, day)
            assert known <= set(facts(project, day))
            known |= set(facts(project, day))
            for other in set(lake.partitions("history")) - {day}:
                lake.drop("history", other)
        sizes = {day.isoformat() for day, kind, _ in known if kind == "cluster"}
        assert sizes == set(order)
        before = facts(project, order[-1])
        make_history(project, order[-1])
        assert facts(project, order[-1]) == before
    assert {kind for _, kind, _ in known} == {"metric", "cluster", "community", "trends"}


def test_history_has_no_id_of_any_entity(project: Project) -> None:
    make_history(project, DAYS[-1])
    names = set(project.lake.read("history", DAYS[-1])["name"])
    ids = set(project.lake.scan_days("entities", DAYS).select("entity_id").collect()["entity_id"])
    keys = set(project.lake.scan_days("entities", DAYS).select("key").collect()["key"])
    assert not names & (ids | keys)
    prefixes = tuple(f"{entity.prefix}:" for entity in project.model.entities.values())
    assert not [name for name in names if name.startswith(prefixes)]
