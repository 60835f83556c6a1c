from __future__ import annotations

import networkx as nx
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stupid_dagster.compute.graph.adjacency import number_graph
from stupid_dagster.errors import ComputeError
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
@given(graphs())
def test_matrix_is_networkx_s(tables: Tables) -> None:
    adjacency = adjacency_of(*tables)
    graph = networkx_graph(*tables)
    assert adjacency.ids.to_list() == sorted(graph)
    assert adjacency.types.to_list() == [i.partition(":")[0] for i in sorted(graph)]
    assert adjacency.size == len(graph)
    expected = nx.to_numpy_array(graph, nodelist=sorted(graph)) if len(graph) else np.zeros((0, 0))
    np.testing.assert_array_equal(adjacency.matrix.toarray(), expected)
    np.testing.assert_array_equal(adjacency.strength, expected.sum(axis=1))
    assert adjacency.matrix.nnz == 2 * graph.number_of_edges()
    assert adjacency.matrix.dtype == np.float64
    assert adjacency.matrix.has_canonical_format


@unhurried
@given(graphs(), st.integers(0, 100))
def test_order_of_rows_is_of_no_matter(tables: Tables, seed: int) -> None:
    first = adjacency_of(*tables)
    second = adjacency_of(*(shuffled(table, seed) for table in tables))
    assert first.ids.equals(second.ids)
    for part in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(first.matrix, part), getattr(second.matrix, part))


def test_edges_of_all_types_and_directions_add_up() -> None:
    edges = [("a:1", "b:1", "X", 2), ("b:1", "a:1", "X", 5), ("a:1", "b:1", "Y", 1)]
    nodes, table = graph_tables(edges)
    assert adjacency_of(nodes, table).matrix.toarray().tolist() == [[0, 8], [8, 0]]


def test_test_accounts_are_left_out_unless_asked_for() -> None:
    edges = [("a:1", "b:1", "X", 2), ("a:2", "b:1", "X", 5)]
    nodes, table = graph_tables(edges, test=["a:1"])
    assert adjacency_of(nodes, table).ids.to_list() == ["a:2", "b:1"]
    everything = adjacency_of(nodes, table, include_test=True)
    assert everything.matrix.toarray().tolist() == [[0, 0, 2], [0, 0, 5], [2, 5, 0]]


@pytest.mark.parametrize("lost", ["a:1", "b:1"])
def test_edges_to_unknown_entities_are_refused(lost: str) -> None:
    nodes, edges = graph_tables([("a:1", "b:1", "X", 2)], test=["a:1"])
    with pytest.raises(ComputeError, match=f"1 entities that nodes lack, such as .'{lost}'."):
        adjacency_of(nodes.filter(pl.col("entity_id") != lost), edges)


def test_an_entity_that_stands_twice_is_refused() -> None:
    nodes, edges = graph_tables([("a:1", "b:1", "X", 2)])
    with pytest.raises(ComputeError, match=r"more than once, such as \['a:1'\]"):
        adjacency_of(pl.concat([nodes, nodes.head(1)]), edges)


@unhurried
@given(graphs(), st.booleans())
def test_edges_by_number_are_the_edges(tables: Tables, include_test: bool) -> None:
    nodes, edges = tables
    graph = number_graph(shuffled(nodes, 1), shuffled(edges, 1).lazy(), include_test=include_test)
    kept = nodes.filter(pl.lit(include_test) | ~pl.col("is_test"))
    assert graph.nodes.equals(kept.select("entity_id", "type").sort("entity_id"))
    ids = graph.nodes["entity_id"].to_list()
    named = [
        (ids[source], ids[target], kind, weight)
        for source, target, kind, weight in graph.edges.select(
            "source", "target", "type", "weight"
        ).iter_rows()
    ]
    among = edges.filter(pl.col("source").is_in(ids), pl.col("target").is_in(ids))
    assert sorted(named) == sorted(among.select("source", "target", "type", "weight").rows())
