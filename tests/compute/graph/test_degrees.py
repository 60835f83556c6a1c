from __future__ import annotations

import networkx as nx
import polars as pl
from hypothesis import given

from stupid_dagster.compute.graph.adjacency import number_graph
from stupid_dagster.compute.graph.degrees import degrees
from stupid_dagster.tables import TABLES
from tests.compute.graphs import graph_tables, graphs, shuffled, unhurried

Tables = tuple[pl.DataFrame, pl.DataFrame]


@unhurried
@given(graphs())
def test_degrees_are_networkx_s(tables: Tables) -> None:
    nodes, edges = tables
    graph = nx.MultiDiGraph()
    graph.add_nodes_from(nodes.filter(~pl.col("is_test"))["entity_id"])
    for source, target, weight in edges.select("source", "target", "weight").iter_rows():
        if source in graph and target in graph:
            graph.add_edge(source, target, weight=weight)
    table = degrees(number_graph(shuffled(nodes, 1), shuffled(edges, 1)))
    assert dict(table.schema) == TABLES["degrees"].schema
    assert table.rows() == [
        (
            entity_id,
            entity_id.partition(":")[0],
            graph.in_degree(entity_id),
            graph.out_degree(entity_id),
            graph.degree(entity_id),
            graph.degree(entity_id, weight="weight"),
        )
        for entity_id in sorted(graph)
    ]


def test_test_accounts_count_where_asked_for() -> None:
    tables = graph_tables([("a:1", "b:1", "X", 2), ("a:2", "b:1", "X", 5)], test=["a:1"])
    assert degrees(number_graph(*tables))["degree"].to_list() == [1, 1]
    everything = number_graph(*tables, include_test=True)
    assert degrees(everything)["degree"].to_list() == [1, 1, 2]
