"""Graphs for the tests: tables to build them, Hypothesis strategies, and networkx's view."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

import networkx as nx
import numpy as np
import polars as pl
from hypothesis import settings
from hypothesis import strategies as st

from stupid_dagster.compute.graph.adjacency import Adjacency, number_graph
from stupid_dagster.tables import TABLES

Edge = tuple[str, str, str, int]
# The first example pays for imports; other jobs may share the machine.
unhurried = settings(deadline=None, max_examples=50)
MORNING = dt.datetime(2025, 1, 1, 8, tzinfo=dt.UTC)


def graph_tables(
    edges: Iterable[Edge], *, nodes: Iterable[str] = (), test: Iterable[str] = ()
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return `graph_nodes` and `graph_edges`; an entity's type is its prefix."""
    edges = list(edges)
    ids = {*nodes, *test, *(end for edge in edges for end in edge[:2])}
    seen = {"days": 1, "first_seen": MORNING, "last_seen": MORNING}
    node_rows = [
        {
            "entity_id": entity_id,
            "type": entity_id.partition(":")[0],
            "key": entity_id.partition(":")[2],
            "events": 1,
            "is_test": entity_id in set(test),
            **seen,
        }
        for entity_id in sorted(ids)
    ]
    edge_rows = [
        {"source": source, "target": target, "type": kind, "weight": weight, **seen}
        for source, target, kind, weight in edges
    ]
    return (
        pl.DataFrame(node_rows, schema=TABLES["graph_nodes"].schema),
        pl.DataFrame(edge_rows, schema=TABLES["graph_edges"].schema),
    )


def networkx_graph(nodes: pl.DataFrame, edges: pl.DataFrame) -> nx.Graph:
    """Return the undirected graph with added-up weights, without test accounts and loops."""
    graph = nx.Graph()
    graph.add_nodes_from(nodes.filter(~pl.col("is_test"))["entity_id"])
    for source, target, weight in edges.select("source", "target", "weight").iter_rows():
        if source != target and source in graph and target in graph:
            before = graph.get_edge_data(source, target, {"weight": 0})["weight"]
            graph.add_edge(source, target, weight=before + weight)
    return graph


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


_members = st.integers(0, 11).map("member:{}".format)
_games = st.integers(0, 5).map("game:{}".format)
_entities = _members | _games


@st.composite
def graphs(draw: st.DrawFn) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Draw nodes and edges: parallel and opposite edges, loops, isolated and test nodes."""
    keys = st.tuples(_entities, _entities, st.sampled_from(["Opened", "Likes"]))
    weights = st.integers(1, 50)
    edges = draw(st.dictionaries(keys, weights, max_size=40))
    nodes = draw(st.lists(_entities, max_size=4))
    test = draw(st.lists(_members, max_size=3))
    return graph_tables(((*key, weight) for key, weight in edges.items()), nodes=nodes, test=test)


def shuffled(frame: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Return the rows in another order."""
    return frame.sample(fraction=1, shuffle=True, seed=seed)


def adjacency_of(
    nodes: pl.DataFrame, edges: pl.DataFrame, *, include_test: bool = False
) -> Adjacency:
    """Return the matrix of the tables `graph_nodes` and `graph_edges`."""
    return Adjacency.of(number_graph(nodes, edges, include_test=include_test))
