"""The graph's stages over two windows of real flights."""

from __future__ import annotations

from functools import partial

import polars as pl
import pytest

from assets.graph import KNOWLEDGE
from stupid_dagster.compute.graph import ranges
from stupid_dagster.compute.graph.pagerank import pagerank
from stupid_dagster.project import Project
from stupid_dagster.stages import graph as graph_stages
from stupid_dagster.stages.day import make_connections, make_documents, make_vectors
from stupid_dagster.stages.graph import (
    make_graph,
    make_graph_database,
    make_graph_knowledge,
    pagerank_verdict,
)
from stupid_dagster.stages.window import make_window_days
from stupid_dagster.stages.written import Written
from stupid_dagster.stores.graph import GraphReader
from stupid_dagster.tables import TABLES
from tests.compute.graphs import adjacency_of, graph_tables

DAYS = ["2013-02-06", "2013-02-07"]
Windows = tuple[Project, dict[str, dict[str, Written]]]


@pytest.fixture(scope="module")
def windows(module_project: Project) -> Windows:
    """Return the project, and what the stages reported by last day and table."""
    for day in DAYS:
        for stage in (make_documents, make_connections, make_vectors):
            stage(module_project, day)
    reports = {}
    for last_day in DAYS:
        stages = (make_window_days, make_graph, make_graph_database, make_graph_knowledge)
        written = [one for stage in stages for one in stage(module_project, last_day)]
        reports[last_day] = {one.table: one for one in written}
    return module_project, reports


def test_all_tables_are_written_as_described(windows: Windows) -> None:
    project, reports = windows
    for last_day in DAYS:
        tables = ["window_days", "graph_nodes", "graph_edges", "graph_database", *KNOWLEDGE]
        assert list(reports[last_day]) == tables
        for name in KNOWLEDGE:
            assert dict(project.lake.read(name, last_day).schema) == TABLES[name].schema


def test_edges_are_sorted_and_add_up_over_the_days(windows: Windows) -> None:
    project, _ = windows
    edges = project.lake.read("graph_edges", DAYS[1])
    key = ["type", "source", "target"]
    assert dict(edges.schema) == TABLES["graph_edges"].schema
    assert edges.equals(edges.sort(key))
    days = project.lake.scan_days("edges", DAYS).collect()
    expected = days.group_by(key).agg(pl.col("weight").sum()).sort(key)
    assert edges.select(*key, "weight").equals(expected)
    version = project.lake.live("graph_edges", DAYS[1])
    assert len(version.files) == edges["type"].n_unique() > 1
    assert version.rows == edges.height


def test_the_database_holds_the_edges_of_all_files(windows: Windows) -> None:
    project, _ = windows
    version = project.lake.live("graph_database", DAYS[1])
    with GraphReader.open(project.lake.version_path(version)) as reader:
        counted = reader.metadata.statistics.edge_types
    edges = project.lake.read("graph_edges", DAYS[1])
    assert counted == dict(edges.group_by("type").len().iter_rows())


def test_the_second_window_is_compared_with_the_first(windows: Windows) -> None:
    project, reports = windows
    first, second = (project.lake.read("pagerank", day) for day in DAYS)
    assert first["previous_score"].null_count() == first.height
    both = second.join(first, on="entity_id", suffix="_first")
    assert (both["previous_score"] == both["score_first"]).all()
    assert second["previous_score"].count() == both.height > 0

    members, earlier = (project.lake.read("community_members", day) for day in DAYS[::-1])
    moves = project.lake.read("community_moves", DAYS[1])
    for table, end in ((members, "to_id"), (earlier, "from_id")):
        counts = moves.filter(pl.col(end).is_not_null()).group_by(end).agg(pl.col("members").sum())
        sizes = table.group_by("community_id").agg(pl.len())
        assert sorted(counts.rows()) == sorted(sizes.rows())
    changes = project.lake.read("community_changes", DAYS[1])
    assert "continued" in changes["change"].to_list()
    known = set(earlier["community_id"])
    born = changes.filter(pl.col("change").is_in(["born", "split"]))["group_id"].to_list()
    assert not known & set(born)
    assert not project.lake.read("community_changes", DAYS[0]).height
    numbers = members["community_id"].str.split(":").list.last().cast(pl.Int64)
    next_number = reports[DAYS[1]]["communities"].version.metadata["next_number"]
    assert next_number > int(numbers.to_numpy().max())


def test_reports_are_fit_for_the_ui(windows: Windows) -> None:
    _, reports = windows
    written = reports[DAYS[1]]
    pictured = {name: list(one.pictures) for name, one in written.items() if one.pictures}
    assert pictured == {
        "degrees": ["degrees"],
        "pagerank": ["ranks"],
        "communities": ["communities"],
    }
    changes = written["pagerank"].previews["biggest changes"]
    assert set(changes["type"]) <= {"Aircraft", "Airport", "Carrier", "Flight", "Route"}
    assert changes.height
    details = written["pagerank"].details
    assert "Airport: airport:" in details["top"]
    [verdict] = written["pagerank"].verdicts
    assert (verdict.passed, verdict.is_error) == (True, False)
    assert f"converged after {details['iterations']} rounds" in verdict.description
    assert written["communities"].details["algorithm"] == "leiden"
    assert written["community_methods"].previews["methods"].height == 3
    assert sum(written["community_changes"].details.values()) > 0
    for one in written.values():
        for preview in one.previews.values():
            assert not any(dtype.is_nested() for dtype in preview.dtypes)


def test_no_convergence_is_said() -> None:
    edges = [("a:1", "b:1", "X", 1), ("b:1", "c:1", "X", 1)]
    ranks = pagerank(adjacency_of(*graph_tables(edges)), max_iterations=2)
    verdict = pagerank_verdict(ranks)
    assert not verdict.passed
    assert "not converged after 2 rounds, residual 0." in verdict.description


def test_again_gives_the_same_versions(windows: Windows) -> None:
    project, reports = windows
    made = [reports[DAYS[1]][table].version.name for table in KNOWLEDGE]
    assert [one.version.name for one in make_graph_knowledge(project, DAYS[1])] == made


def test_tables_merged_in_ranges_are_the_same(
    windows: Windows, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, _ = windows
    tables = ("graph_nodes", "graph_edges")
    whole = {name: project.lake.read(name, DAYS[0]) for name in tables}
    with monkeypatch.context() as patch:
        for name in ("entity_ranges", "edge_ranges"):
            few = partial(getattr(ranges, name), rows=400, sampled=10)
            patch.setattr(graph_stages, name, few)
        made = {one.table: one.version for one in make_graph(project, DAYS[0])}
    for name in tables:
        assert project.lake.read(name, DAYS[0]).equals(whole[name])
    assert len(made["graph_nodes"].files) > 3
    assert len(made["graph_edges"].files) > 3 + whole["graph_edges"]["type"].n_unique()
    (database,) = make_graph_database(project, DAYS[0])
    with GraphReader.open(project.lake.version_path(database.version)) as reader:
        assert sum(reader.metadata.statistics.edge_types.values()) == whole["graph_edges"].height
    make_graph(project, DAYS[0])
    make_graph_database(project, DAYS[0])


def test_an_older_lake_s_tables_will_do(windows: Windows) -> None:
    project, _ = windows
    for table, new in (
        ("pagerank", ["previous_score", "previous_type_rank"]),
        ("community_members", ["louvain", "leiden", "label_propagation"]),
        ("communities", []),
    ):
        older = project.lake.read(table, DAYS[0]).drop(new)
        with project.lake.write(table, DAYS[0]) as writer:
            writer.write(older)
    changes = project.lake.read("community_changes", DAYS[1])
    make_graph_knowledge(project, DAYS[1])
    assert project.lake.read("community_changes", DAYS[1]).equals(changes)


@pytest.mark.parametrize("algorithm", ["louvain", "label_propagation"])
def test_the_setting_chooses_the_algorithm(windows: Windows, algorithm: str) -> None:
    project, _ = windows
    root = project.settings.root
    chosen = Project.load(root, {"community_algorithm": algorithm})
    make_graph_knowledge(chosen, DAYS[1])
    methods = project.lake.read("community_methods", DAYS[1])
    assert methods.filter("chosen")["algorithm"].to_list() == [algorithm]
    members = project.lake.read("community_members", DAYS[1])
    pairs = members.select("community_id", algorithm).unique()
    assert pairs.height == members["community_id"].n_unique() == members[algorithm].n_unique()
