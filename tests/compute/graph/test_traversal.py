"""Walks against networkx."""

from __future__ import annotations

import networkx as nx
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stupid_dagster.compute.graph.traversal import TRAVERSAL_SCHEMA, traverse
from stupid_dagster.errors import ComputeError
from tests.compute.graph.test_incidence import incidence
from tests.compute.graphs import graph_tables, graphs, networkx_graph, unhurried

Tables = tuple[pl.DataFrame, pl.DataFrame]
connected = graphs().filter(lambda tables: tables[0].height > 0)


def whole(tables: Tables) -> nx.Graph:
    """Return networkx's view, test accounts and all."""
    return networkx_graph(tables[0].with_columns(is_test=False), tables[1])


@unhurried
@given(connected, st.data())
def test_breadth_first_goes_by_hops_then_by_id(tables: Tables, data: st.DataObject) -> None:
    graph = whole(tables)
    start = data.draw(st.sampled_from(sorted(graph)))
    depth = data.draw(st.integers(0, 5))
    limit = data.draw(st.integers(1, 20))
    found = traverse(incidence(*tables).view(), [start], depth=depth, limit=limit)
    hops = nx.single_source_shortest_path_length(graph, start, cutoff=depth)
    expected = sorted(hops, key=lambda entity: (hops[entity], entity))
    assert found.table.schema == TRAVERSAL_SCHEMA
    assert found.table["entity_id"].to_list() == expected[:limit]
    assert found.truncated == (len(expected) > limit)
    assert found.table["order"].to_list() == list(range(found.table.height))
    for row in found.table.iter_rows(named=True):
        entity = row["entity_id"]
        assert row["depth"] == hops[entity]
        assert row["type"] == entity.partition(":")[0]
        parents = [n for n in graph[entity] if hops.get(n) == hops[entity] - 1]
        assert row["parent"] == min(parents, default=None)


@unhurried
@given(connected, st.data())
def test_depth_first_is_networkx_s(tables: Tables, data: st.DataObject) -> None:
    graph = whole(tables)
    start = data.draw(st.sampled_from(sorted(graph)))
    depth = data.draw(st.integers(1, 5))
    limit = data.draw(st.integers(1, 20))
    found = traverse(incidence(*tables).view(), [start], depth=depth, order="depth", limit=limit)
    edges = list(nx.dfs_edges(graph, start, depth_limit=depth, sort_neighbors=sorted))
    parents = {start: None, **{child: parent for parent, child in edges}}
    assert found.table.select("entity_id", "parent").rows() == list(parents.items())[:limit]
    assert found.truncated == (len(parents) > limit)
    depths = {None: -1}
    for row in found.table.iter_rows(named=True):
        depths[row["entity_id"]] = depths[row["parent"]] + 1
        assert row["depth"] == depths[row["entity_id"]]


def test_the_first_of_several_parents_is_named() -> None:
    ways = [(end, f"b:{n}", "X", 1) for n in range(5) for end in ("a:1", "c:1")]
    found = traverse(incidence(*graph_tables(ways)).view(), ["a:1"], depth=2, limit=99)
    assert found.table.select("entity_id", "parent").rows()[-1] == ("c:1", "b:0")


def test_types_and_directions_narrow() -> None:
    tables = graph_tables(
        [("a:1", "b:1", "X", 1), ("b:1", "c:1", "X", 1), ("d:1", "b:1", "X", 1),
         ("b:1", "e:1", "Y", 1)]
    )  # fmt: skip
    graph = incidence(*tables)

    def reached(order: str, **narrowed: object) -> set[str]:
        view = graph.view(**narrowed)  # type: ignore[arg-type]
        found = traverse(view, ["a:1"], depth=5, order=order, limit=99)  # type: ignore[arg-type]
        return set(found.table["entity_id"])

    for order in ("breadth", "depth"):
        assert reached(order, edge_types=["X"]) == {"a:1", "b:1", "c:1", "d:1"}
        assert reached(order, edge_types=["X"], direction="out") == {"a:1", "b:1", "c:1"}
        assert reached(order, direction="in") == {"a:1"}
        assert reached(order, edge_types=[]) == {"a:1"}


def test_a_walk_to_the_start_alone() -> None:
    view = incidence(*graph_tables([("a:1", "b:1", "X", 1)])).view()
    for order in ("breadth", "depth"):
        found = traverse(view, ["a:1"], depth=0, order=order, limit=1)  # type: ignore[arg-type]
        assert found.table.rows() == [("a:1", "a", 0, None, 0)]
        assert not found.truncated


def test_walks_that_make_no_sense() -> None:
    view = incidence(*graph_tables([("a:1", "b:1", "X", 1)])).view()
    for wrong in ({"depth": -1}, {"limit": 0}, {"starts": ["c:1"]}, {"starts": []}):
        with pytest.raises(ComputeError):
            traverse(view, **{"starts": ["a:1"], "depth": 1, "limit": 1, **wrong})
