from __future__ import annotations

import networkx as nx
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stupid_dagster.compute.graph.modularity_methods import louvain_and_leiden
from stupid_dagster.compute.graph.partitions import modularity
from tests.compute.graphs import (
    adjacency_of,
    graph_tables,
    graphs,
    networkx_graph,
    planted,
    unhurried,
)

Tables = tuple[pl.DataFrame, pl.DataFrame]


def random_graph(seed: int) -> Tables:
    """Return a graph of few popular games and many members, as events make them."""
    rng = np.random.default_rng(seed)
    ends = zip(rng.pareto(1, 600).astype(int) % 80, rng.integers(0, 150, 600), strict=True)
    weights = {(f"game:{game}", f"member:{member}"): 1 + game % 7 for game, member in ends}
    return graph_tables((*ends, "X", weight) for ends, weight in weights.items())


@pytest.mark.parametrize("seed", range(4))
def test_no_worse_than_networkx(seed: int) -> None:
    tables = random_graph(seed)
    graph, adjacency = networkx_graph(*tables), adjacency_of(*tables)
    greedy = nx.community.greedy_modularity_communities(graph, weight="weight")
    theirs = nx.community.louvain_communities(graph, seed=seed)
    louvain, leiden = (modularity(adjacency, x) for x in louvain_and_leiden(adjacency, seed=seed))
    # Louvain depends on the order in which nodes are moved.
    assert louvain >= nx.community.modularity(graph, greedy) - 0.01
    assert louvain >= nx.community.modularity(graph, theirs) - 0.01
    assert leiden >= nx.community.modularity(graph, greedy)
    assert leiden >= nx.community.modularity(graph, theirs) - 1e-9


@unhurried
@given(graphs(), st.integers(0, 2**31))
def test_no_worse_than_each_node_alone_or_all_together(tables: Tables, seed: int) -> None:
    adjacency = adjacency_of(*tables)
    least = max(
        modularity(adjacency, np.arange(adjacency.size)),
        modularity(adjacency, np.zeros(adjacency.size, dtype=np.int64)),
    )
    for labels in louvain_and_leiden(adjacency, seed=seed):
        assert len(labels) == adjacency.size
        assert modularity(adjacency, labels) >= least - 1e-12


def test_networkit_s_threads_are_left_as_they_were() -> None:
    import networkit

    before = networkit.getMaxNumberOfThreads()
    adjacency = adjacency_of(*graph_tables(planted(groups=3, size=10, seed=2)))
    results = []
    try:
        for threads in (2, 3):
            networkit.setNumberOfThreads(threads)
            results.append(np.array(louvain_and_leiden(adjacency, seed=1)))
            assert networkit.getMaxNumberOfThreads() == threads
    finally:
        networkit.setNumberOfThreads(before)
    np.testing.assert_array_equal(*results)


def test_the_seed_counts_whatever_ran_before() -> None:
    ends = np.random.default_rng(0).integers(0, 400, (1500, 2))
    edges = {(f"a:{a}", f"a:{b}", "X", 1) for a, b in ends if a < b}
    adjacency = adjacency_of(*graph_tables(edges))
    first = louvain_and_leiden(adjacency, seed=3)
    others = [louvain_and_leiden(adjacency, seed=seed)[1] for seed in range(4, 10)]
    np.testing.assert_array_equal(first, louvain_and_leiden(adjacency, seed=3))
    assert any((first[1] != other).any() for other in others)
