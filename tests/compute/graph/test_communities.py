from __future__ import annotations

import networkx as nx
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from stupid_dagster.compute.graph.communities import Algorithm, CommunityResult, communities
from stupid_dagster.compute.graph.pagerank import pagerank
from stupid_dagster.errors import ComputeError
from stupid_dagster.tables import TABLES
from tests.compute.graphs import (
    adjacency_of,
    graph_tables,
    graphs,
    networkx_graph,
    planted,
    shuffled,
    unhurried,
)

Tables = tuple[pl.DataFrame, pl.DataFrame]
ALGORITHMS: tuple[Algorithm, ...] = ("louvain", "leiden", "label_propagation")


def found(
    tables: Tables,
    seed: int = 1,
    algorithm: Algorithm = "leiden",
    previous: CommunityResult | None = None,
) -> CommunityResult:
    adjacency = adjacency_of(*tables)
    return communities(
        adjacency,
        pagerank(adjacency).table,
        "member",
        algorithm=algorithm,
        seed=seed,
        previous_members=None if previous is None else shuffled(previous.members, seed),
        next_number=0 if previous is None else previous.next_number,
        key_members=3,
    )


def sets(result: CommunityResult) -> list[set[str]]:
    """Return the communities' members, in the order of the table."""
    groups = dict(result.members.group_by("community_id").agg("entity_id").iter_rows())
    return [set(groups[name]) for name in result.communities["community_id"]]


def columns(result: CommunityResult, algorithm: str) -> list[set[str]]:
    """Return the communities of an algorithm by its own column, in the order of the numbers."""
    groups = result.members.group_by(algorithm).agg("entity_id").sort(algorithm)
    assert groups[algorithm].to_list() == list(range(groups.height))
    return [set(ids) for ids in groups["entity_id"]]


@unhurried
@given(graphs(), st.sampled_from(ALGORITHMS), st.integers(0, 2**31))
def test_tables_describe_a_partition(tables: Tables, algorithm: Algorithm, seed: int) -> None:
    result = found(tables, seed, algorithm)
    graph = networkx_graph(*tables)
    members, table = result.members, result.communities
    assert dict(members.schema) == TABLES["community_members"].schema
    assert dict(table.schema) == TABLES["communities"].schema
    assert members["entity_id"].to_list() == sorted(n for n in graph if graph.degree(n))
    groups = sets(result)
    assert table["community_id"].to_list() == [f"community:{i}" for i in range(len(groups))]
    assert groups == columns(result, algorithm)

    scores = nx.pagerank(graph, tol=1e-12, max_iter=1000)
    for group, row in zip(groups, table.iter_rows(named=True), strict=True):
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
@given(graphs(), st.sampled_from(ALGORITHMS))
def test_each_algorithm_is_described(tables: Tables, chosen: Algorithm) -> None:
    result = found(tables, algorithm=chosen)
    graph = networkx_graph(*tables)
    alone = [{node} for node in nx.isolates(graph)]
    assert dict(result.methods.schema) == TABLES["community_methods"].schema
    assert sorted(result.methods["algorithm"]) == sorted(ALGORITHMS)
    for row in result.methods.iter_rows(named=True):
        groups = columns(result, row["algorithm"])
        assert groups == sorted(groups, key=lambda group: (-len(group), min(group)))
        assert all(nx.is_connected(graph.subgraph(group)) for group in groups)
        assert row["chosen"] == (row["algorithm"] == chosen)
        assert row["communities"] == sum(len(group) > 1 for group in groups)
        assert row["largest"] == max(map(len, groups), default=0)
        both = (result.members[name].to_list() for name in (chosen, row["algorithm"]))
        assert row["agreement"] == pytest.approx(adjusted_rand_score(*both))
        if groups:
            expected = nx.community.modularity(graph, groups + alone)
            assert row["modularity"] == pytest.approx(expected, abs=1e-12)
        if row["chosen"]:
            assert row["modularity"] == result.modularity


@unhurried
@given(graphs(), st.integers(0, 100))
def test_same_input_same_output(tables: Tables, seed: int) -> None:
    first = found(tables, seed)
    other = found(tables, seed + 1)
    again = found((shuffled(tables[0], seed), shuffled(tables[1], seed)), seed)
    assert again.members.equals(first.members)
    assert again.communities.equals(first.communities)
    assert again.methods.equals(first.methods)
    followed = [found(tables, seed, previous=other) for _ in range(2)]
    assert followed[0].changes.equals(followed[1].changes)
    assert followed[0].moves.equals(followed[1].moves)


@pytest.mark.parametrize(
    ("algorithm", "least"), [("louvain", 1.0), ("leiden", 1.0), ("label_propagation", 0.85)]
)
def test_planted_groups_are_found(algorithm: Algorithm, least: float) -> None:
    members = found(graph_tables(planted(groups=8, size=25, seed=7)), algorithm=algorithm).members
    truth = members["entity_id"].str.split("-").list.first()
    assert adjusted_rand_score(truth, members["community_id"]) >= least


def test_what_an_algorithm_leaves_in_pieces_is_taken_apart() -> None:
    """Label propagation gives two cut-off parts of this graph one label, with this seed."""
    weights = {
        **{(0, 4): 3, (0, 6): 2, (0, 8): 5, (0, 9): 5, (1, 7): 4, (1, 10): 4},
        **{(2, 9): 1, (3, 4): 2, (3, 5): 2, (4, 8): 4, (4, 10): 4},
    }
    tables = graph_tables((f"a:{a:02}", f"a:{b:02}", "X", w) for (a, b), w in weights.items())
    result = found(tables, algorithm="label_propagation")
    assert len(set(result.propagation.labels.tolist())) < result.communities.height
    graph = networkx_graph(*tables)
    assert all(nx.is_connected(graph.subgraph(group)) for group in sets(result))


def test_weights_decide() -> None:
    """A ring of four is cut where it is light, wherever that is."""
    ring = ["a:1", "a:2", "a:3", "a:4"]
    for heavy in (0, 1):
        edges = [(ring[i], ring[(i + 1) % 4], "X", 9 if i % 2 == heavy else 1) for i in range(4)]
        pairs = [{ring[i], ring[(i + 1) % 4]} for i in range(4) if i % 2 == heavy]
        for algorithm in ALGORITHMS:
            groups = sets(found(graph_tables(edges), algorithm=algorithm))
            assert sorted(map(sorted, groups)) == sorted(map(sorted, pairs))


def test_communities_keep_their_ids_while_they_are_the_same() -> None:
    """Group 0 leaves, group 8 comes, member 0 of group 1 moves to group 2: the rest stays."""
    tables = graph_tables(planted(groups=8, size=25, seed=7))
    first = found(tables)
    names = dict(first.members.select("entity_id", "community_id").iter_rows())
    coming = [
        (source.replace("a:0-", "a:8-"), target.replace("a:0-", "a:8-"), kind, weight)
        for source, target, kind, weight in planted(groups=8, size=25, seed=7)
    ]
    moving = [("a:1-00", f"a:2-{i:02}", "X", 50) for i in range(25)]
    second = found(graph_tables([*coming, *moving]), previous=first)
    now = dict(second.members.select("entity_id", "community_id").iter_rows())
    for group in range(1, 8):
        assert now[f"a:{group}-01"] == names[f"a:{group}-01"]
    assert now["a:1-00"] == names["a:2-01"]
    assert now["a:8-01"] == "community:8"
    assert second.next_number == 9
    told = dict(second.changes.select("group_id", "change").iter_rows())
    assert told.pop("community:8") == "born"
    assert told.pop(names["a:0-01"]) == "died"
    assert set(told.values()) == {"continued"}
    moved = second.moves.filter(pl.col("from_id") != pl.col("to_id"))
    assert moved.rows() == [(names["a:1-00"], names["a:2-01"], 1)]
    sizes = second.communities.select("community_id", "size").rows()
    assert sizes == sorted(sizes, key=lambda row: -row[1])


@pytest.mark.parametrize("nodes", [[], ["member:1"], ["game:1", "member:1"]])
def test_nodes_without_edges_are_in_no_community(nodes: list[str]) -> None:
    result = found(graph_tables([], nodes=nodes))
    assert result.modularity == 0
    assert result.communities.is_empty() and result.members.is_empty()
    assert result.methods["communities"].to_list() == [0, 0, 0]
    gone = found(
        graph_tables([], nodes=nodes), previous=found(graph_tables([("a:1", "b:1", "X", 1)]))
    )
    assert gone.changes["change"].to_list() == ["died"]


@pytest.mark.parametrize("wrong", [{"seed": -1}, {"algorithm": "guess"}, {"key_members": -1}])
def test_parameters_out_of_range(wrong: dict[str, float]) -> None:
    adjacency = adjacency_of(*graph_tables([], nodes=["a:1"]))
    table = pagerank(adjacency).table
    with pytest.raises(ComputeError, match=next(iter(wrong))):
        communities(adjacency, table, "a", **{"seed": 1, "algorithm": "leiden", **wrong})  # pyright: ignore[reportArgumentType]  # wrong on purpose


def test_what_does_not_belong_together_is_refused() -> None:
    tables = graph_tables([("a:1", "b:1", "X", 2)])
    adjacency = adjacency_of(*tables)
    table = pagerank(adjacency).table
    with pytest.raises(ComputeError, match="1 nodes of the graph have no PageRank"):
        communities(adjacency, table.head(1), "a", algorithm="leiden", seed=1)
