from __future__ import annotations

import networkx as nx
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stupid_dagster.compute.graph.label_propagation import label_propagation
from tests.compute.graphs import (
    adjacency_of,
    graph_tables,
    graphs,
    networkx_graph,
    shuffled,
    unhurried,
)

Tables = tuple[pl.DataFrame, pl.DataFrame]


def defined(
    graph: nx.Graph, ids: list[str], order: list[int], max_rounds: int
) -> tuple[list[int], int, bool]:
    """Return labels, rounds and convergence, from the definition alone."""
    number = {name: n for n, name in enumerate(ids)}
    labels = list(range(len(ids)))
    for rounds in range(1, max_rounds + 1):
        before = list(labels)
        for node in order:
            votes: dict[int, float] = {}
            for neighbour, edge in graph[ids[node]].items():
                label = labels[number[neighbour]]
                votes[label] = votes.get(label, 0) + edge["weight"]
            if votes:
                labels[node] = min(votes, key=lambda label: (-votes[label], label))
        if labels == before:
            return labels, rounds, True
    return labels, max_rounds, False


@unhurried
@given(graphs(), st.integers(0, 100), st.integers(1, 5))
def test_labels_are_as_defined(tables: Tables, seed: int, max_rounds: int) -> None:
    adjacency = adjacency_of(*(shuffled(table, seed) for table in tables))
    ids = adjacency.ids.to_list()
    order = np.random.default_rng(seed).permutation(len(ids)).tolist()
    found = label_propagation(adjacency, seed=seed, max_rounds=max_rounds)
    expected = defined(networkx_graph(*tables), ids, order, max_rounds)
    assert (found.labels.tolist(), found.rounds, found.converged) == expected


@pytest.mark.parametrize("weights", [1, 3])
def test_labels_are_as_defined_where_many_neighbours_tie(weights: int) -> None:
    rng = np.random.default_rng(weights)
    ends = {(int(a), int(b)) for a, b in rng.integers(0, 300, (900, 2)) if a < b}
    edges = [(f"a:{a:03}", f"a:{b:03}", "X", 1 + (a + b) % weights) for a, b in sorted(ends)]
    tables = graph_tables(edges)
    adjacency = adjacency_of(*tables)
    found = label_propagation(adjacency, seed=weights)
    order = np.random.default_rng(weights).permutation(adjacency.size).tolist()
    expected = defined(networkx_graph(*tables), adjacency.ids.to_list(), order, 50)
    assert found.rounds > 3
    assert (found.labels.tolist(), found.rounds, found.converged) == expected


@unhurried
@given(graphs(), st.integers(0, 100))
def test_it_never_goes_round_in_circles(tables: Tables, seed: int) -> None:
    adjacency = adjacency_of(*tables)
    found = label_propagation(adjacency, seed=seed)
    assert found.converged
    again = label_propagation(adjacency, seed=seed)
    np.testing.assert_array_equal(found.labels, again.labels)


@pytest.mark.parametrize("sides", [(1, 1), (1, 8), (5, 7)])
def test_both_sides_of_a_bipartite_graph_agree(sides: tuple[int, int]) -> None:
    """Where all nodes move at once, the sides of such a graph swap labels for ever."""
    left, right = sides
    edges = [(f"a:{i}", f"b:{j}", "X", 1) for i in range(left) for j in range(right)]
    found = label_propagation(adjacency_of(*graph_tables(edges)), seed=1)
    assert found.converged
    assert len(set(found.labels.tolist())) == 1


def test_cliques_with_one_light_edge_between_keep_to_themselves() -> None:
    edges = [
        (f"{side}:{i}", f"{side}:{j}", "X", 9) for side in "ab" for i in range(6) for j in range(i)
    ]
    found = label_propagation(adjacency_of(*graph_tables([*edges, ("a:0", "b:0", "X", 1)])), seed=1)
    assert found.labels.tolist() == [found.labels[0]] * 6 + [found.labels[6]] * 6
    assert found.labels[0] != found.labels[6]


@pytest.mark.parametrize("nodes", [[], ["a:1"], ["a:1", "a:2"]])
def test_graphs_without_edges(nodes: list[str]) -> None:
    found = label_propagation(adjacency_of(*graph_tables([], nodes=nodes)), seed=1)
    assert (found.labels.tolist(), found.rounds) == (list(range(len(nodes))), 1)
    assert found.converged
