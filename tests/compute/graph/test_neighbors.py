"""The heaviest edges at some nodes, against Polars over the tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stupid_dagster.compute.graph.incidence import Incidence
from stupid_dagster.compute.graph.neighbors import heaviest_edges
from stupid_dagster.compute.graph.stored import (
    METADATA_FILE,
    described_graph,
    read_graph,
    write_graph,
)
from stupid_dagster.errors import GraphStoreError
from stupid_dagster.stores.graph.reader import NEIGHBOR_SCHEMA
from tests.compute.graphs import graph_tables, graphs, shuffled, unhurried
from tests.stores.graph.test_reader import expected_neighbors

Tables = tuple[pl.DataFrame, pl.DataFrame]
edge_types = st.none() | st.lists(st.sampled_from(["Opened", "Likes", "Hated"]), unique=True)
directions = st.sampled_from(["both", "out", "in"])


def expected(
    tables: Tables, starts: list[str], direction: str, wanted: list[str] | None, limit: int
) -> pl.DataFrame:
    found = [
        expected_neighbors(*tables, start, direction, wanted, 10_000).select(
            pl.lit(start).alias("entity_id"), pl.all()
        )
        for start in sorted(set(starts))
    ]
    order = ["weight", "neighbor", "edge_type", "direction", "entity_id"]
    return pl.concat(found).sort(order, descending=[True, False, False, False, False]).head(limit)


@unhurried
@given(graphs().filter(lambda t: t[0].height > 0), edge_types, directions, st.data())
def test_the_heaviest_of_several_nodes(
    tables: Tables, wanted: list[str] | None, direction: str, data: st.DataObject
) -> None:
    nodes, edges = (shuffled(table, data.draw(st.integers(0, 99))) for table in tables)
    starts = data.draw(st.lists(st.sampled_from(sorted(nodes["entity_id"])), min_size=1))
    limit = data.draw(st.integers(1, 12))
    graph = described_graph(nodes, edges.lazy())
    view = graph.view(wanted, direction)  # type: ignore[arg-type]
    found = heaviest_edges(view, graph.numbers(starts), limit)
    assert found.schema == {"entity_id": pl.String, **NEIGHBOR_SCHEMA}
    assert found.equals(expected(tables, starts, direction, wanted, limit))


@pytest.mark.parametrize("limit", [1, 99, 100, 101, 1500, 5000])
@pytest.mark.parametrize("direction", ["both", "out", "in"])
def test_a_hub_with_many_equal_weights(limit: int, direction: str) -> None:
    edges = [(f"a:{n:04}", "hub:1", "X", 1 + n % 3) for n in range(1500)]
    edges += [("hub:1", f"a:{n:04}", "X", 2) for n in range(0, 1500, 2)]
    edges += [("hub:1", "hub:1", "Y", 2), ("hub:2", "hub:1", "X", 9)]
    tables = graph_tables(edges)
    graph = described_graph(tables[0], tables[1].lazy())
    view = graph.view(None, direction)  # type: ignore[arg-type]
    for starts in (["hub:1"], ["hub:1", "hub:2", "a:0004"]):
        found = heaviest_edges(view, graph.numbers(starts), limit)
        assert found.equals(expected(tables, starts, direction, None, limit))


def same(one: Incidence, other: Incidence) -> None:
    for name in ("starts", "ends", "weights", "kinds", "edges"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert one.nodes.equals(other.nodes) and one.details.equals(other.details)
    assert one.edge_types == other.edge_types


@unhurried
@given(graphs())
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, tables: Tables) -> None:
    nodes = tables[0].with_columns(
        properties=pl.struct(name=pl.col("key"), vip=pl.lit(None, pl.String))
    )
    graph = described_graph(nodes, tables[1].lazy())
    folder = tmp_path_factory.mktemp("graph") / "adjacency"
    write_graph(folder, graph)
    same(read_graph(folder), graph)


def test_files_that_are_damaged(tmp_path: Path) -> None:
    tables = graph_tables([("a:1", "b:1", "X", 1)])
    write_graph(tmp_path / "g", described_graph(tables[0], tables[1].lazy()))
    entries = tmp_path / "g" / "entries.arrow"
    whole = entries.read_bytes()
    for damage in (b"", whole[:100], whole[: len(whole) // 2]):
        entries.write_bytes(damage)
        with pytest.raises(GraphStoreError, match="materialise the window's graph_database"):
            read_graph(tmp_path / "g")
    entries.write_bytes(whole)
    for text in ("{", '{"format": 7, "edge_types": []}', "{}"):
        (tmp_path / "g" / METADATA_FILE).write_text(text)
        with pytest.raises(GraphStoreError, match="can't be read"):
            read_graph(tmp_path / "g")
