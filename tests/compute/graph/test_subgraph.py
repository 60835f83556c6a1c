"""Subgraphs against networkx."""

from __future__ import annotations

import networkx as nx
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stupid_dagster.compute.graph.stored import described_graph
from stupid_dagster.compute.graph.subgraph import LINK_SCHEMA, NODE_SCHEMA, subgraph
from stupid_dagster.errors import ComputeError
from tests.compute.graph.test_traversal import whole
from tests.compute.graphs import graph_tables, graphs, unhurried

Tables = tuple[pl.DataFrame, pl.DataFrame]


@unhurried
@given(graphs().filter(lambda tables: tables[0].height > 0), st.data())
def test_what_is_near_and_all_links_among_it(tables: Tables, data: st.DataObject) -> None:
    graph = whole(tables)
    starts = data.draw(st.lists(st.sampled_from(sorted(graph)), min_size=1, unique=True))
    depth = data.draw(st.integers(1, 3))
    limit = len(starts) + data.draw(st.integers(0, 12))
    wanted = data.draw(st.none() | st.just(["Opened"]))
    narrowed = tables if wanted is None else (tables[0], tables[1].filter(type="Opened"))
    hops = nx.multi_source_dijkstra_path_length(
        whole(narrowed), set(starts), cutoff=depth, weight=lambda *_: 1
    )
    found = subgraph(
        described_graph(tables[0], tables[1].lazy()).view(wanted), starts, depth=depth, limit=limit
    )
    assert found.nodes.schema == NODE_SCHEMA
    assert found.links.schema == LINK_SCHEMA
    near = dict(found.nodes.select("id", "depth").iter_rows())
    assert len(near) == found.nodes.height == min(limit, len(hops))
    assert all(hops[entity] == steps for entity, steps in near.items())
    assert found.nodes["depth"].is_sorted()
    assert found.truncated == (len(hops) > limit)
    assert set(found.nodes.filter("start")["id"]) == set(starts)
    among = narrowed[1].filter(pl.col("source").is_in([*near]) & pl.col("target").is_in([*near]))
    links = found.links.sort("source", "target", "type")
    assert links.rows() == sorted(among.select("source", "target", "type", "weight").rows())
    assert found.links["weight"].is_sorted(descending=True)


def test_the_heaviest_edges_come_first() -> None:
    edges = [("hub:1", f"a:{n}", "X", n + 1) for n in range(9)]
    edges += [(f"a:{n}", "hub:1", "Y", 1) for n in range(9)] + [("a:8", "b:1", "X", 99)]
    tables = graph_tables(edges)
    view = described_graph(tables[0], tables[1].lazy()).view()
    found = subgraph(view, ["hub:1"], depth=2, limit=4)
    assert found.nodes["id"].to_list() == ["hub:1", "a:8", "a:7", "a:6"]
    assert found.nodes["degree"].to_list() == [18, 3, 2, 2]
    assert found.links.rows()[0] == ("hub:1", "a:8", "X", 9)
    assert found.links.height == 6
    assert found.truncated
    whole_graph = subgraph(view, ["hub:1"], depth=2, limit=11)
    assert whole_graph.nodes.height == 11
    assert not whole_graph.truncated
    for wrong in ([], ["hub:1", "a:1"], ["z:1"]):
        with pytest.raises(ComputeError):
            subgraph(view, wrong, depth=1, limit=1)
