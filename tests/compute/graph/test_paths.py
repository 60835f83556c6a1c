"""Shortest paths against networkx."""

from __future__ import annotations

import itertools
import math

import networkx as nx
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stupid_dagster.compute.graph.paths import STEP_SCHEMA, Path, edges_along, shortest_path
from stupid_dagster.errors import ComputeError
from tests.compute.graph.test_incidence import incidence
from tests.compute.graphs import graph_tables, graphs, shuffled, unhurried

Tables = tuple[pl.DataFrame, pl.DataFrame]


def networkx_of(tables: Tables, *, directed: bool) -> nx.Graph:
    """Return networkx's graph with added-up weights and their inverse as distance."""
    graph = nx.DiGraph() if directed else nx.Graph()
    graph.add_nodes_from(tables[0]["entity_id"])
    for source, target, weight in tables[1].select("source", "target", "weight").iter_rows():
        if source != target:
            before = graph.get_edge_data(source, target, {"weight": 0})["weight"]
            graph.add_edge(source, target, weight=before + weight, distance=1 / (before + weight))
    return graph


def large(seed: int, nodes: int, edges: int, weights: int) -> Tables:
    """Return a graph with hubs: the ends of its edges are drawn as by Zipf's law."""
    rng = np.random.default_rng(seed)
    ends = np.minimum(rng.zipf(1.6, (edges, 2)), nodes) - 1
    drawn = {(f"n:{a:04}", f"n:{b:04}", "X"): int(w) for (a, b), w in
             zip(ends.tolist(), rng.integers(1, weights, edges), strict=True)}  # fmt: skip
    return graph_tables([(*key, weight) for key, weight in drawn.items()])


def check(tables: Tables, source: str, target: str, *, directed: bool) -> None:
    graph = networkx_of(tables, directed=directed)
    view = incidence(*tables).view(direction="out" if directed else "both")
    hops = shortest_path(view, source, target)
    light = shortest_path(view, source, target, weighted=True)
    if not nx.has_path(graph, source, target):
        assert hops is None and light is None
        return
    assert hops is not None and hops.entities == min(nx.all_shortest_paths(graph, source, target))
    assert hops.distance == len(hops.entities) - 1
    for bound in range(len(hops.entities)):
        bounded = shortest_path(view, source, target, max_hops=bound)
        assert bounded == (hops if bound == hops.distance else None)
    assert light is not None and light.exact
    assert (light.entities[0], light.entities[-1]) == (source, target)
    assert light.distance == math.fsum(
        graph[a][b]["distance"] for a, b in itertools.pairwise(light.entities)
    )
    least = nx.dijkstra_path_length(graph, source, target, weight="distance")
    assert light.distance == pytest.approx(least, abs=1e-9)
    again = incidence(*(shuffled(table, 3) for table in tables)).view(
        direction="out" if directed else "both"
    )
    assert shortest_path(again, source, target, weighted=True) == light


@unhurried
@given(graphs().filter(lambda tables: tables[0].height > 0), st.data())
def test_paths_are_networkx_s(tables: Tables, data: st.DataObject) -> None:
    ids = st.sampled_from(tables[0]["entity_id"].to_list())
    check(tables, data.draw(ids), data.draw(ids), directed=data.draw(st.booleans()))


@pytest.mark.parametrize("weights", [2, 4, 1000])
@pytest.mark.parametrize("directed", [False, True])
def test_paths_through_hubs_are_networkx_s(weights: int, directed: bool) -> None:
    tables = large(weights, 1500, 4000, weights)
    pairs = np.random.default_rng(1).choice(tables[0]["entity_id"].to_numpy(), (12, 2))
    for source, target in pairs.tolist():
        check(tables, source, target, directed=directed)


def test_a_long_way_of_strong_links_is_shorter() -> None:
    far = [(f"a:{n:03}", f"a:{n + 1:03}", "X", 1000) for n in range(200)]
    tables = graph_tables([*far, ("a:000", "a:200", "X", 4)])
    view = incidence(*tables).view()
    assert shortest_path(view, "a:000", "a:200") == Path(["a:000", "a:200"], 1.0)
    path = shortest_path(view, "a:000", "a:200", weighted=True)
    assert path is not None and len(path.entities) == 201
    assert path.distance == pytest.approx(0.2)


def test_links_of_several_types_add_up_where_they_count() -> None:
    edges = [("a:1", "b:1", "X", 2), ("b:1", "a:1", "Y", 2), ("b:1", "c:1", "X", 1)]
    graph = incidence(*graph_tables(edges))

    def distance(*edge_types: str) -> float | None:
        path = shortest_path(graph.view(edge_types or None), "a:1", "c:1", weighted=True)
        return path and path.distance

    assert (distance(), distance("X"), distance("Y")) == (1.25, 1.5, None)


def test_the_edges_of_a_path() -> None:
    edges = [("a:1", "b:1", "Y", 2), ("b:1", "a:1", "X", 3), ("c:1", "b:1", "X", 1)]
    graph = incidence(*graph_tables([*edges, ("b:1", "d:1", "X", 9)]))
    along = edges_along(graph.view(), ["a:1", "b:1", "c:1"])
    assert along.schema == STEP_SCHEMA
    assert along.rows() == [
        (1, "a:1", "b:1", "X", "in", 3),
        (1, "a:1", "b:1", "Y", "out", 2),
        (2, "b:1", "c:1", "X", "in", 1),
    ]
    assert edges_along(graph.view(["Y"]), ["a:1", "b:1"])["edge_type"].to_list() == ["Y"]
    assert edges_along(graph.view(), ["a:1"]).is_empty()


def test_a_search_that_is_cut_short_says_so() -> None:
    tables = large(5, 1500, 4000, 1000)
    graph = networkx_of(tables, directed=False)
    view = incidence(*tables).view()
    ids = sorted(nx.node_connected_component(graph, "n:0000"))
    cut = 0
    for target in ids[-40:]:
        path = shortest_path(view, ids[200], target, weighted=True, most_steps=1)
        least = nx.dijkstra_path_length(graph, ids[200], target, weight="distance")
        assert path is not None and nx.is_path(graph, path.entities)
        assert path.distance >= least - 1e-9
        assert not path.exact or path.distance == pytest.approx(least)
        cut += not path.exact
    assert cut


def test_paths_that_make_no_sense() -> None:
    view = incidence(*graph_tables([("a:1", "b:1", "X", 1)])).view()
    assert shortest_path(view, "a:1", "a:1", weighted=True) == Path(["a:1"], 0.0)
    for ends in (("a:1", "z"), ("z", "a:1")):
        with pytest.raises(ComputeError, match="no entity 'z'"):
            shortest_path(view, *ends)
    with pytest.raises(ComputeError, match="max_hops"):
        shortest_path(view, "a:1", "b:1", weighted=True, max_hops=2)
