"""Edges by node, against a plain list of edges."""

from __future__ import annotations

from collections import Counter

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stupid_dagster.compute.graph.adjacency import number_graph
from stupid_dagster.compute.graph.incidence import Incidence, View
from stupid_dagster.errors import ComputeError
from tests.compute.graphs import graph_tables, graphs, shuffled, unhurried

Tables = tuple[pl.DataFrame, pl.DataFrame]
edge_types = st.none() | st.lists(st.sampled_from(["Opened", "Likes", "Hated"]), unique=True)
directions = st.sampled_from(["both", "out", "in"])


def incidence(nodes: pl.DataFrame, edges: pl.DataFrame) -> Incidence:
    return Incidence.of(number_graph(nodes, edges, include_test=True))


def neighbors(view: View, entity_id: str) -> dict[str, int]:
    ends, weights = view.neighbors(view.graph.number(entity_id))
    assert np.all(np.diff(ends) > 0)
    return dict(zip(view.graph.ids.gather(ends), weights.tolist(), strict=True))


@unhurried
@given(graphs(), edge_types, directions, st.integers(0, 99))
def test_neighbours_are_the_edges_other_ends(
    tables: Tables, wanted: list[str] | None, direction: str, seed: int
) -> None:
    nodes, edges = (shuffled(table, seed) for table in tables)
    graph = incidence(nodes, edges)
    assert graph.ids.to_list() == sorted(nodes["entity_id"])
    assert graph.types.to_list() == [entity.partition(":")[0] for entity in graph.ids]
    view = graph.view(wanted, direction)  # type: ignore[arg-type]
    expected: dict[str, Counter[str]] = {entity: Counter() for entity in graph.ids}
    for source, target, kind, weight in edges.select(
        "source", "target", "type", "weight"
    ).iter_rows():
        if source != target and (wanted is None or kind in wanted):
            if direction != "in":
                expected[source][target] += weight
            if direction != "out":
                expected[target][source] += weight
    assert {entity: neighbors(view, entity) for entity in graph.ids} == expected
    # All at once, parallel edges apart, and seen from the other side.
    ends, owners = view.expand(np.arange(graph.size))
    assert {
        (graph.ids[o], graph.ids[e]) for e, o in zip(ends.tolist(), owners.tolist(), strict=True)
    } == {(near, far) for near, row in expected.items() for far in row} | {
        (source, source)
        for source, target, kind in edges.select("source", "target", "type").iter_rows()
        if source == target and (wanted is None or kind in wanted)
    }
    back = view.reversed()
    for entity in graph.ids:
        assert set(neighbors(back, entity)) == {e for e, row in expected.items() if entity in row}
    assert view.work(np.arange(graph.size)) == len(graph.ends)


def test_more_weight_than_32_bits_hold() -> None:
    edges = [("a:1", "b:1", kind, 2**32 - 1) for kind in ("X", "Y", "Z")]
    graph = incidence(*graph_tables(edges))
    assert neighbors(graph.view(), "b:1") == {"a:1": 3 * (2**32 - 1)}


def test_kinds_beyond_a_byte() -> None:
    edges = [("a:1", "b:1", f"X{n:03}", n + 1) for n in range(200)]
    graph = incidence(*graph_tables(edges))
    assert neighbors(graph.view(["X199"], "in"), "b:1") == {"a:1": 200}
    assert neighbors(graph.view(["X199"], "out"), "b:1") == {}


def test_no_nodes_and_no_edges() -> None:
    assert incidence(*graph_tables([])).size == 0
    alone = incidence(*graph_tables([("a:1", "a:1", "X", 1)]))
    assert neighbors(alone.view(), "a:1") == {}


@pytest.mark.parametrize("entity_id", ["", "a", "a:0", "a:10", "b:1", "z"])
def test_what_is_no_entity(entity_id: str) -> None:
    graph = incidence(*graph_tables([("a:1", "a:2", "X", 1)]))
    with pytest.raises(ComputeError, match=f"no entity '{entity_id}'"):
        graph.number(entity_id)


def test_tables_that_dont_belong_together() -> None:
    nodes, edges = graph_tables([("a:1", "b:1", "X", 2)])
    with pytest.raises(ComputeError, match=r"more than once, such as \['a:1'\]"):
        incidence(pl.concat([nodes, nodes.head(1)]), edges)
    with pytest.raises(ComputeError, match="edges end in 1 entities that nodes lack"):
        incidence(nodes.head(1), edges)
    with pytest.raises(ComputeError, match="same edge more than once"):
        incidence(nodes, pl.concat([edges, edges]))
