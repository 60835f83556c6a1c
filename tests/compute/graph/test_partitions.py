from __future__ import annotations

import networkx as nx
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stupid_dagster.compute.graph.partitions import largest_first, modularity, split_disconnected
from tests.compute.graphs import adjacency_of, graph_tables, graphs, networkx_graph, unhurried

Tables = tuple[pl.DataFrame, pl.DataFrame]


@unhurried
@given(graphs(), st.integers(0, 100))
def test_modularity_of_any_partition_is_networkx_s(tables: Tables, seed: int) -> None:
    adjacency = adjacency_of(*tables)
    labels = np.random.default_rng(seed).integers(0, 4, adjacency.size)
    graph = networkx_graph(*tables)
    if graph.number_of_edges():
        groups = [set(adjacency.ids.filter(pl.Series(labels == i))) for i in range(4)]
        expected = nx.community.modularity(graph, groups)
        assert modularity(adjacency, labels) == pytest.approx(expected, abs=1e-12)
    else:
        assert modularity(adjacency, labels) == 0


@unhurried
@given(graphs(), st.integers(0, 100))
def test_communities_in_pieces_are_taken_apart(tables: Tables, seed: int) -> None:
    adjacency = adjacency_of(*tables)
    labels = np.random.default_rng(seed).integers(0, 3, adjacency.size)
    split = split_disconnected(adjacency, labels)
    graph = networkx_graph(*tables)
    expected = {
        frozenset(piece)
        for label in range(3)
        for piece in nx.connected_components(
            graph.subgraph(adjacency.ids.filter(pl.Series(labels == label)))
        )
    }
    pieces = {
        frozenset(adjacency.ids.filter(pl.Series(split == label))) for label in np.unique(split)
    }
    assert pieces == expected
    assert modularity(adjacency, split) >= modularity(adjacency, labels) - 1e-12


def test_a_torn_community() -> None:
    edges = [("a:1", "a:2", "X", 1), ("a:3", "a:4", "X", 1), ("a:4", "a:5", "X", 1)]
    adjacency = adjacency_of(*graph_tables(edges))
    torn = np.array([0, 1, 1, 0, 0])
    np.testing.assert_array_equal(split_disconnected(adjacency, torn), [0, 1, 2, 3, 3])


@given(st.lists(st.integers(0, 5)))
def test_the_largest_comes_first_then_the_one_that_begins_first(labels: list[int]) -> None:
    renumbered = largest_first(np.array(labels, dtype=np.int64)).tolist()
    order = sorted(set(labels), key=lambda label: (-labels.count(label), labels.index(label)))
    assert renumbered == [order.index(label) for label in labels]
