from __future__ import annotations

import polars as pl

from stupid_dagster.compute.graph.adjacency import Adjacency, number_graph
from stupid_dagster.compute.graph.communities import communities
from stupid_dagster.compute.graph.degrees import degrees
from stupid_dagster.compute.graph.pagerank import pagerank
from stupid_dagster.compute.plots.graph import community_plot, degree_plot, rank_plot
from tests.compute.graphs import Edge, graph_tables, planted
from tests.compute.plots.test_plots import CRITICAL, count, pixels

INK = (0x1F, 0x29, 0x37)


def drawn(edges: list[Edge], nodes: tuple[str, ...] = ()) -> list[bytes]:
    graph = number_graph(*graph_tables(edges, nodes=nodes))
    adjacency = Adjacency.of(graph)
    ranks = pagerank(adjacency).table
    found = communities(adjacency, ranks, "a", algorithm="leiden", seed=1)
    return [
        rank_plot(ranks),
        degree_plot(degrees(graph)),
        community_plot(found.communities, found.methods),
    ]


def test_graphs_are_drawn() -> None:
    plots = drawn(planted(groups=15, size=10, seed=1))
    ranks, linked, groups = map(pixels, plots)
    assert count(ranks, (0x1F, 0x77, 0xB4)) > 100  # the first line's colour
    nothing = pixels(drawn([])[1])
    assert count(linked, INK) > count(nothing, INK) + 100
    assert count(groups, CRITICAL) > 1000
    assert plots == drawn(planted(groups=15, size=10, seed=1))


def test_the_smallest_graphs_are_drawn() -> None:
    for edges, nodes in (([], ()), ([], ("a:1",)), ([("a:1", "b:1", "X", 1)], ("a:2",))):
        for plot in drawn(edges, nodes):
            pixels(plot)


def test_many_types_are_drawn() -> None:
    edges = [(f"t{n}:1", f"t{n}:2", "X", 1 + n) for n in range(20)]
    pixels(drawn(edges)[0])


def test_a_title_counts_the_nodes_without_edges() -> None:
    table = degrees(number_graph(*graph_tables([("a:1", "b:1", "X", 1)], nodes=["a:2"])))
    assert degree_plot(table) != degree_plot(table.filter(pl.col("degree") > 0))
