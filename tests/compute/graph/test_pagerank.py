from __future__ import annotations

import networkx as nx
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stupid_dagster.compute.graph.pagerank import pagerank, rank_changes
from stupid_dagster.errors import ComputeError
from stupid_dagster.tables import TABLES
from tests.compute.graphs import (
    adjacency_of,
    graph_tables,
    graphs,
    networkx_graph,
    shuffled,
    unhurried,
)

Tables = tuple[pl.DataFrame, pl.DataFrame]


@unhurried
@given(graphs(), st.sampled_from([0.0, 0.5, 0.85, 0.95]))
def test_scores_are_networkx_s(tables: Tables, damping: float) -> None:
    graph = networkx_graph(*tables)
    result = pagerank(adjacency_of(*tables), damping, 1e-12, 2000)
    expected = nx.pagerank(graph, alpha=damping, tol=1e-12, max_iter=2000)
    assert result.converged
    assert dict(result.table.select("entity_id", "score").iter_rows()) == pytest.approx(
        expected, abs=1e-9
    )


@unhurried
@given(graphs(), st.integers(0, 100))
def test_table_s_properties(tables: Tables, seed: int) -> None:
    result = pagerank(adjacency_of(*tables))
    table = result.table
    assert dict(table.schema) == TABLES["pagerank"].schema
    assert result.converged
    assert result.residual < 1e-6
    if table.height:
        assert table["score"].sum() == pytest.approx(1, abs=1e-12)
        assert (table["score"] > 0).all()
    assert table["rank"].to_list() == list(range(1, table.height + 1))
    assert table.equals(table.sort("score", "entity_id", descending=[True, False]))
    for (_,), of_type in table.group_by("type", maintain_order=True):
        assert of_type["type_rank"].to_list() == list(range(1, of_type.height + 1))
    again = pagerank(adjacency_of(*(shuffled(table, seed) for table in tables)))
    assert again.table.equals(table)


def test_the_default_tolerance_bounds_the_error() -> None:
    graph = nx.gnm_random_graph(300, 900, seed=4)
    weights = np.random.default_rng(4).integers(1, 100, 900)
    edges = [
        (f"a:{u}", f"a:{v}", "X", int(weight))
        for (u, v), weight in zip(graph.edges, weights, strict=True)
    ]
    adjacency = adjacency_of(*graph_tables(edges, nodes=["a:alone"]))
    rough = pagerank(adjacency)
    exact = pagerank(adjacency, tolerance=1e-14, max_iterations=1000)
    both = rough.table.join(exact.table, on="entity_id", suffix="_exact", validate="1:1")
    error = (both["score"] - both["score_exact"]).abs().sum()
    assert 0 < error <= 1e-6 * 0.85 / 0.15
    assert rough.iterations < exact.iterations


def test_weights_matter() -> None:
    edges = [("a:1", "b:light", "X", 1), ("a:1", "b:heavy", "X", 9)]
    table = pagerank(adjacency_of(*graph_tables(edges))).table
    assert table["entity_id"].to_list() == ["a:1", "b:heavy", "b:light"]
    assert table["type_rank"].to_list() == [1, 1, 2]


def test_equals_are_ranked_by_id() -> None:
    nodes, edges = graph_tables([], nodes=["b:2", "a:3", "b:1"])
    table = pagerank(adjacency_of(nodes, edges)).table
    assert table["score"].to_list() == pytest.approx([1 / 3] * 3)
    assert table["entity_id"].to_list() == ["a:3", "b:1", "b:2"]


def test_it_says_that_it_did_not_converge() -> None:
    edges = [("a:1", "b:1", "X", 1), ("b:1", "c:1", "X", 1)]
    result = pagerank(adjacency_of(*graph_tables(edges)), max_iterations=3)
    assert (result.iterations, result.converged) == (3, False)
    assert result.residual > 1e-6
    assert result.table["score"].sum() == pytest.approx(1)


@unhurried
@given(graphs(), graphs())
def test_scores_and_ranks_of_the_previous_window(tables: Tables, earlier: Tables) -> None:
    previous = pagerank(adjacency_of(*earlier)).table
    table = pagerank(adjacency_of(*tables), previous=shuffled(previous, 3)).table
    assert dict(table.schema) == TABLES["pagerank"].schema
    alone = pagerank(adjacency_of(*tables)).table
    assert alone["previous_score"].null_count() == alone.height
    assert table.drop("^previous.*$").equals(alone.drop("^previous.*$"))
    before = {
        entity: (score, rank)
        for entity, score, rank in previous.select("entity_id", "score", "type_rank").iter_rows()
    }
    for row in table.iter_rows(named=True):
        found = (row["previous_score"], row["previous_type_rank"])
        assert found == before.get(row["entity_id"], (None, None))

    changes = rank_changes(table, most=2)
    biggest: dict[str, list[tuple[float, str]]] = {}
    for row in table.iter_rows(named=True):
        change = row["score"] - (row["previous_score"] or 0.0)
        if change and table["previous_score"].count():
            biggest.setdefault(row["type"], []).append((-abs(change), row["entity_id"]))
    expected = [entity for name in sorted(biggest) for _, entity in sorted(biggest[name])[:2]]
    assert changes["entity_id"].to_list() == expected


def test_older_tables_lack_some_columns() -> None:
    adjacency = adjacency_of(*graph_tables([("a:1", "b:1", "X", 1)]))
    older = pagerank(adjacency).table.drop("previous_score", "previous_type_rank")
    assert pagerank(adjacency, previous=older).table["previous_type_rank"].to_list() == [1, 1]


@pytest.mark.parametrize("nodes", [[], ["a:1"]])
def test_smallest_graphs(nodes: list[str]) -> None:
    result = pagerank(adjacency_of(*graph_tables([], nodes=nodes)))
    assert result.converged
    assert result.table["score"].to_list() == [1.0] * len(nodes)


@pytest.mark.parametrize(
    "wrong",
    [{"damping": 1.0}, {"damping": -0.1}, {"tolerance": 0.0}, {"max_iterations": 0}],
)
def test_parameters_out_of_range(wrong: dict[str, float]) -> None:
    adjacency = adjacency_of(*graph_tables([], nodes=["a:1"]))
    with pytest.raises(ComputeError, match=next(iter(wrong))):
        pagerank(adjacency, **wrong)  # pyright: ignore[reportArgumentType]  # wrong on purpose
