from __future__ import annotations

import networkx as nx
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stupid_dagster.compute.adjacency import Adjacency
from stupid_dagster.compute.communities import (
    CommunityResult,
    communities,
    modularity,
    split_disconnected,
)
from stupid_dagster.compute.pagerank import pagerank
from stupid_dagster.errors import ComputeError
from stupid_dagster.tables import TABLES
from tests.compute.graphs import Edge, graph_tables, graphs, networkx_graph, shuffled, unhurried

Tables = tuple[pl.DataFrame, pl.DataFrame]


def found(tables: Tables, seed: int = 1, resolution: float = 1.0) -> CommunityResult:
    adjacency = Adjacency.from_tables(*tables)
    table = pagerank(adjacency).table
    return communities(adjacency, table, "member", seed=seed, resolution=resolution, key_members=3)


def planted(groups: int, size: int, seed: int) -> list[Edge]:
    """Return edges of which 85% of the weight lies within groups `a:<group>-<i>`."""
    rng = np.random.default_rng(seed)
    edges: dict[tuple[str, str], int] = {}
    for _ in range(groups * size * 6):
        first = second = rng.integers(groups)
        if rng.random() > 0.85:
            second = rng.integers(groups)
        ends = f"a:{first}-{rng.integers(size):02}", f"a:{second}-{rng.integers(size):02}"
        if ends[0] != ends[1]:
            edges[ends] = edges.get(ends, 0) + int(rng.integers(1, 6))
    return [(*ends, "X", weight) for ends, weight in edges.items()]


def sets(result: CommunityResult) -> list[set[str]]:
    """Return the communities' members, in the order of the table."""
    groups = dict(result.members.group_by("community_id").agg("entity_id").iter_rows())
    return [set(groups[name]) for name in result.communities["community_id"]]


@unhurried
@given(graphs(), st.sampled_from([0.2, 1.0, 3.0]), st.integers(0, 2**31))
def test_tables_describe_a_partition(tables: Tables, resolution: float, seed: int) -> None:
    result = found(tables, seed, resolution)
    graph = networkx_graph(*tables)
    members, table = result.members, result.communities
    assert dict(members.schema) == TABLES["community_members"].schema
    assert dict(table.schema) == TABLES["communities"].schema
    assert members["entity_id"].to_list() == sorted(graph)
    groups = sets(result)
    assert table["community_id"].to_list() == [f"community:{i}" for i in range(len(groups))]
    assert groups == sorted(groups, key=lambda group: (-len(group), min(group)))
    if graph.number_of_edges():
        expected = nx.community.modularity(graph, groups, resolution=resolution)
        assert result.modularity == pytest.approx(expected, abs=1e-12)
    else:
        assert result.modularity == 0

    scores = nx.pagerank(graph, tol=1e-12, max_iter=1000)
    for group, row in zip(groups, table.iter_rows(named=True), strict=True):
        assert nx.is_connected(graph.subgraph(group))
        types = [member.partition(":")[0] for member in group]
        assert row["size"] == len(group)
        assert row["actors"] == types.count("member")
        assert row["internal_weight"] == graph.subgraph(group).size(weight="weight")
        assert row["external_weight"] == nx.cut_size(graph, group, weight="weight")
        counts = sorted((-types.count(t), t) for t in set(types))
        assert row["types"] == [{"type": t, "members": -n} for n, t in counts]
        keys = row["key_members"]
        assert set(keys) <= group
        assert len(set(keys)) == len(keys) == min(3, len(group))
        best = sorted((scores[member] for member in group), reverse=True)[:3]
        assert [scores[member] for member in keys] == pytest.approx(best, abs=1e-5)


@unhurried
@given(graphs(), st.integers(0, 100))
def test_same_input_same_output(tables: Tables, seed: int) -> None:
    first = found(tables, seed)
    found(tables, seed + 1)
    again = found((shuffled(tables[0], seed), shuffled(tables[1], seed)), seed)
    assert again.members.equals(first.members)
    assert again.communities.equals(first.communities)
    assert again.modularity == first.modularity


def test_planted_groups_are_found() -> None:
    tables = graph_tables(planted(groups=8, size=25, seed=7))
    result = found(tables)
    expected: dict[str, set[str]] = {}
    for entity_id in tables[0]["entity_id"]:
        expected.setdefault(entity_id.partition("-")[0], set()).add(entity_id)
    assert sorted(map(sorted, sets(result))) == sorted(map(sorted, expected.values()))


@pytest.mark.parametrize("seed", range(4))
def test_no_worse_than_networkx_s_louvain(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ends = zip(rng.pareto(1, 600).astype(int) % 80, rng.integers(0, 150, 600), strict=True)
    weights = {(f"game:{game}", f"member:{member}"): 1 + game % 7 for game, member in ends}
    tables = graph_tables((*ends, "X", weight) for ends, weight in weights.items())
    graph = networkx_graph(*tables)
    louvain = nx.community.louvain_communities(graph, seed=seed)
    assert found(tables).modularity >= nx.community.modularity(graph, louvain) - 1e-9


def test_weights_decide() -> None:
    """A ring of four is cut where it is light, wherever that is."""
    ring = ["a:1", "a:2", "a:3", "a:4"]
    for heavy in (0, 1):
        edges = [(ring[i], ring[(i + 1) % 4], "X", 9 if i % 2 == heavy else 1) for i in range(4)]
        pairs = [{ring[i], ring[(i + 1) % 4]} for i in range(4) if i % 2 == heavy]
        assert sorted(map(sorted, sets(found(graph_tables(edges))))) == sorted(map(sorted, pairs))


def test_resolution_sets_the_scale() -> None:
    tables = graph_tables(planted(groups=8, size=25, seed=7))
    counts = [found(tables, resolution=r).communities.height for r in (1e-6, 1.0, 5.0, 1e6)]
    assert counts == sorted(counts)
    assert counts[0] == 1
    assert counts[-1] == tables[0].height


def test_modularity_of_any_partition() -> None:
    tables = graph_tables(planted(groups=3, size=10, seed=2))
    adjacency = Adjacency.from_tables(*tables)
    labels = np.random.default_rng(0).integers(0, 4, adjacency.size)
    groups = [set(adjacency.ids.filter(pl.Series(labels == i))) for i in range(4)]
    expected = nx.community.modularity(networkx_graph(*tables), groups, resolution=0.7)
    assert modularity(adjacency, labels, 0.7) == pytest.approx(expected, abs=1e-12)


def test_communities_in_pieces_are_taken_apart() -> None:
    edges = [("a:1", "a:2", "X", 1), ("a:3", "a:4", "X", 1), ("a:4", "a:5", "X", 1)]
    adjacency = Adjacency.from_tables(*graph_tables(edges))
    whole, right = np.zeros(5, dtype=int), np.array([0, 0, 1, 1, 1])
    for labels in (whole, right):
        np.testing.assert_array_equal(split_disconnected(adjacency, labels), right)
    torn = np.array([0, 1, 1, 0, 0])
    np.testing.assert_array_equal(split_disconnected(adjacency, torn), [0, 1, 2, 3, 3])


@unhurried
@given(graphs(), st.integers(0, 100), st.sampled_from([0.5, 1.0, 2.0]))
def test_taking_apart_never_costs_modularity(tables: Tables, seed: int, resolution: float) -> None:
    adjacency = Adjacency.from_tables(*tables)
    labels = np.random.default_rng(seed).integers(0, 3, adjacency.size)
    before = modularity(adjacency, labels, resolution)
    after = modularity(adjacency, split_disconnected(adjacency, labels), resolution)
    assert after >= before - 1e-12


def test_networkit_s_threads_are_left_as_they_were() -> None:
    import networkit

    before = networkit.getMaxNumberOfThreads()
    tables = graph_tables(planted(groups=3, size=10, seed=2))
    results = []
    try:
        for threads in (2, 3):
            networkit.setNumberOfThreads(threads)
            results.append(found(tables))
            assert networkit.getMaxNumberOfThreads() == threads
    finally:
        networkit.setNumberOfThreads(before)
    assert results[0].members.equals(results[1].members)


@pytest.mark.parametrize("nodes", [[], ["member:1"], ["game:1", "member:1"]])
def test_graphs_without_edges(nodes: list[str]) -> None:
    result = found(graph_tables([], nodes=nodes))
    assert result.modularity == 0
    assert result.communities["key_members"].to_list() == [[node] for node in nodes]
    assert result.communities["actors"].to_list() == [int("member" in node) for node in nodes]
    assert result.members["community_id"].to_list() == [f"community:{i}" for i in range(len(nodes))]


@pytest.mark.parametrize("wrong", [{"seed": -1}, {"resolution": 0.0}, {"key_members": -1}])
def test_parameters_out_of_range(wrong: dict[str, float]) -> None:
    adjacency = Adjacency.from_tables(*graph_tables([], nodes=["a:1"]))
    table = pagerank(adjacency).table
    with pytest.raises(ComputeError, match=next(iter(wrong))):
        communities(adjacency, table, "a", **{"seed": 1, **wrong})  # pyright: ignore[reportArgumentType]  # wrong on purpose


def test_what_does_not_belong_together_is_refused() -> None:
    tables = graph_tables([("a:1", "b:1", "X", 2)])
    directed = Adjacency.from_tables(*tables, directed=True)
    adjacency = Adjacency.from_tables(*tables)
    table = pagerank(adjacency).table
    with pytest.raises(ComputeError, match="undirected"):
        communities(directed, table, "a", seed=1)
    with pytest.raises(ComputeError, match="1 nodes of the graph have no PageRank"):
        communities(adjacency, table.head(1), "a", seed=1)
