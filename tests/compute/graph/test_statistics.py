from __future__ import annotations

import networkx as nx
import polars as pl
import pytest
from hypothesis import given

from stupid_dagster.compute.graph.adjacency import Adjacency, number_graph
from stupid_dagster.compute.graph.degrees import degrees
from stupid_dagster.compute.graph.statistics import graph_statistics
from stupid_dagster.errors import ComputeError
from stupid_dagster.tables import TABLES
from tests.compute.graphs import adjacency_of, graph_tables, graphs, networkx_graph, unhurried

Tables = tuple[pl.DataFrame, pl.DataFrame]


@unhurried
@given(graphs())
def test_numbers_are_networkx_s(tables: Tables) -> None:
    nodes, edges = tables
    numbered = number_graph(nodes, edges)
    table = graph_statistics(numbered, Adjacency.of(numbered))
    assert dict(table.schema) == TABLES["graph_statistics"].schema
    overall = dict(table.filter(pl.col("type") == "").select("statistic", "value").iter_rows())

    graph = networkx_graph(nodes, edges)
    among = edges.filter(pl.col("source").is_in(list(graph)) & pl.col("target").is_in(list(graph)))
    components = [len(component) for component in nx.connected_components(graph)]
    mean_degree = degrees(numbered)["degree"].mean() or 0.0
    assert overall == pytest.approx(
        {
            "nodes": len(graph),
            "edges": among.height,
            "weight": among["weight"].sum(),
            "density": nx.density(graph),
            "components": len(components),
            "largest_component": max(components, default=0),
            "isolated_nodes": nx.number_of_isolates(graph),
            "mean_degree": mean_degree,
        }
    )
    for name in ("nodes", "edges", "weight"):
        rows = table.filter((pl.col("statistic") == name) & (pl.col("type") != ""))
        assert rows["value"].sum() == overall[name]
        assert rows["type"].to_list() == sorted(rows["type"].unique())


def test_a_graph_worked_out_by_hand() -> None:
    edges = [
        ("member:1", "game:1", "Opened", 3),
        ("member:1", "game:1", "Likes", 1),
        ("member:2", "game:1", "Opened", 2),
        ("member:3", "game:2", "Opened", 4),
    ]
    graph = number_graph(*graph_tables(edges, nodes=["member:4"]))
    table = graph_statistics(graph, Adjacency.of(graph))
    assert table.rows() == [
        ("nodes", "", 6),
        ("nodes", "game", 2),
        ("nodes", "member", 4),
        ("edges", "", 4),
        ("edges", "Likes", 1),
        ("edges", "Opened", 3),
        ("weight", "", 10),
        ("weight", "Likes", 1),
        ("weight", "Opened", 9),
        ("density", "", 3 / 15),
        ("components", "", 3),
        ("largest_component", "", 3),
        ("isolated_nodes", "", 1),
        ("mean_degree", "", 8 / 6),
    ]


@pytest.mark.parametrize("nodes", [[], ["a:1"]])
def test_smallest_graphs(nodes: list[str]) -> None:
    graph = number_graph(*graph_tables([], nodes=nodes))
    table = graph_statistics(graph, Adjacency.of(graph))
    values = dict(table.filter(pl.col("type") == "").select("statistic", "value").iter_rows())
    counted = {"nodes", "components", "largest_component", "isolated_nodes"}
    assert values == {name: len(nodes) if name in counted else 0 for name in values}
    assert len(values) == 8


def test_an_adjacency_of_another_graph_is_refused() -> None:
    graph = number_graph(*graph_tables([("a:1", "b:1", "X", 2)]))
    other = adjacency_of(*graph_tables([("a:1", "c:1", "X", 2)]))
    with pytest.raises(ComputeError, match="another graph"):
        graph_statistics(graph, other)
