"""The graph database against plain Polars computations."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stupid_dagster.errors import GraphStoreError
from stupid_dagster.stores.graph import GraphReader
from stupid_dagster.stores.graph.reader import NEIGHBOR_SCHEMA
from tests.stores.graph.made import build, edges_of, nodes_of


def expected_neighbors(
    nodes: pl.DataFrame,
    edges: pl.DataFrame,
    entity: str,
    direction: str,
    edge_types: list[str] | None,
    limit: int,
) -> pl.DataFrame:
    if edge_types is not None:
        edges = edges.filter(pl.col("type").is_in(edge_types))
    outgoing = edges.filter(source=entity).with_columns(neighbor="target", direction=pl.lit("out"))
    incoming = edges.filter(target=entity).with_columns(neighbor="source", direction=pl.lit("in"))
    sides = {"out": [outgoing], "in": [incoming], "both": [outgoing, incoming]}[direction]
    types = nodes.select(neighbor="entity_id", neighbor_type="type")
    return (
        pl.concat(sides)
        .rename({"type": "edge_type"})
        .join(types, on="neighbor", how="left")
        .select(NEIGHBOR_SCHEMA.keys())
        .cast(NEIGHBOR_SCHEMA)
        .sort("weight", "neighbor", "edge_type", "direction", descending=[True] + [False] * 3)
        .head(limit)
    )


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A hub with 3,000 leaves, hostile ids, a loop, edges both ways."""
    leaves = [f"aircraft:N{index}" for index in range(3_000)]
    odd = ['airport:it\'s "x" \\ `y` {z} $id', "空港:羽田", "airport:🛫\n\ttab", "airport: "]
    nodes = nodes_of(["airport:EWR", *leaves, *odd])
    edges = edges_of(
        [(leaf, "airport:EWR", "FlewTo", 1 + index % 50) for index, leaf in enumerate(leaves)]
        + [("airport:EWR", leaf, "Serves", 7) for leaf in leaves[:10]]
        + [("airport:EWR", "airport:EWR", "Serves", 9), (odd[0], odd[1], "FlewTo", 3)]
        + [
            (odd[1], odd[0], "FlewTo", 4),
            (odd[2], odd[0], "Order", 2**31),
            (odd[3], odd[0], "Order", 1),
        ]
    )
    directory = build(tmp_path_factory.mktemp("small"), nodes, edges)
    with GraphReader.open(directory) as graph:
        yield {"graph": graph, "nodes": nodes, "edges": edges, "odd": odd, "path": directory}


def test_a_node_is_what_was_written(small: dict[str, Any]) -> None:
    graph, nodes = small["graph"], small["nodes"]
    for expected in nodes.head(5).to_dicts() + nodes.tail(4).to_dicts():
        properties = {k: v for k, v in expected["properties"].items() if v is not None}
        assert graph.node(expected["entity_id"]) == {**expected, "properties": properties}


def test_hostile_ids_find_nothing_and_harm_nothing(small: dict[str, Any]) -> None:
    graph = small["graph"]
    for entity in [
        "",
        "'",
        "' OR 1=1 //",
        "\\",
        "x'}) DETACH DELETE n //",
        "$id",
        "`",
        "airport:ewr",
    ]:
        assert graph.node(entity) is None
        assert graph.neighbors(entity).is_empty()
        assert graph.neighbors(entity).schema == NEIGHBOR_SCHEMA
        assert graph.neighbors("airport:EWR", edge_types=[entity]).is_empty()
    assert graph.node("airport:EWR") is not None


@pytest.mark.parametrize("direction", ["both", "out", "in"])
@pytest.mark.parametrize("edge_types", [None, ["Serves"], ["FlewTo", "NoSuchEdge"], []])
@pytest.mark.parametrize("limit", [1, 100, 10_000])
def test_neighbors_of_a_hub(
    small: dict[str, Any], direction: Any, edge_types: list[str] | None, limit: int
) -> None:
    for entity in ["airport:EWR", "aircraft:N7", *small["odd"]]:
        found = small["graph"].neighbors(
            entity, edge_types=edge_types, direction=direction, limit=limit
        )
        expected = expected_neighbors(
            small["nodes"], small["edges"], entity, direction, edge_types, limit
        )
        assert found.equals(expected)


identifiers = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=8
)


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[str], list[tuple[str, str, str, int]]]:
    ids = draw(st.lists(identifiers, min_size=1, max_size=12, unique=True))
    node = st.sampled_from(ids)
    kinds = st.sampled_from(["FlewTo", "Serves", "match"])
    keys = draw(st.lists(st.tuples(node, node, kinds), max_size=40, unique=True))
    return ids, [(*key, draw(st.integers(1, 4))) for key in keys]


@settings(max_examples=8, deadline=None)
@given(graphs(), st.sampled_from(["both", "out", "in"]), st.integers(1, 50))
def test_random_graphs_agree_with_polars(
    graph: tuple[list[str], list[tuple[str, str, str, int]]], direction: Any, limit: int
) -> None:
    nodes, edges = nodes_of(graph[0]), edges_of(graph[1])
    with (
        TemporaryDirectory() as folder,
        GraphReader.open(build(Path(folder), nodes, edges)) as reader,
    ):
        statistics = reader.statistics()
        assert statistics.node_types == dict(nodes["type"].value_counts().iter_rows())
        assert statistics.edge_types == dict(edges["type"].value_counts().iter_rows())
        assert (statistics.nodes, statistics.edges) == (nodes.height, edges.height)
        for entity in graph[0]:
            node = reader.node(entity)
            assert node is not None and node["key"] == entity
            found = reader.neighbors(entity, direction=direction, limit=limit)
            assert found.equals(expected_neighbors(nodes, edges, entity, direction, None, limit))


@pytest.mark.parametrize("nodes", [[], ["a", "b"]])
def test_empty_graphs_answer(tmp_path: Path, nodes: list[str]) -> None:
    directory = build(tmp_path, nodes_of(nodes), edges_of([]))
    with GraphReader.open(directory) as graph:
        assert graph.statistics().nodes == len(nodes)
        assert graph.statistics().edge_types == {}
        assert (graph.node("a") is not None) == bool(nodes)
        assert graph.neighbors("a").is_empty()


def test_a_request_that_cannot_be_is_refused(small: dict[str, Any]) -> None:
    with pytest.raises(GraphStoreError, match="direction is 'sideways'"):
        small["graph"].neighbors("airport:EWR", direction="sideways")
    with pytest.raises(GraphStoreError, match="limit is 0"):
        small["graph"].neighbors("airport:EWR", limit=0)


def test_threads_share_a_reader(small: dict[str, Any]) -> None:
    graph = small["graph"]
    entities = [f"aircraft:N{index}" for index in range(40)] + ["airport:EWR"] * 5
    expected = [(graph.node(entity), graph.neighbors(entity)) for entity in entities]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda e: (graph.node(e), graph.neighbors(e)), entities * 3))
    assert len(found) == 3 * len(entities)
    for (node, neighbors), (same_node, same_neighbors) in zip(found, expected * 3, strict=True):
        assert node == same_node
        assert neighbors.equals(same_neighbors)


def test_closing_waits_and_then_refuses(small: dict[str, Any]) -> None:
    graph = GraphReader.open(small["path"], connections=2)
    with ThreadPoolExecutor(6) as pool:
        running = [pool.submit(graph.neighbors, "airport:EWR") for _ in range(30)]
        running[0].result()
        graph.close()
        graph.close()
        results = [run.exception() or run.result() for run in running]
    answers = [result for result in results if isinstance(result, pl.DataFrame)]
    refusals = [result for result in results if isinstance(result, GraphStoreError)]
    assert len(answers) + len(refusals) == 30
    assert all(answer.height == 100 for answer in answers)
    with pytest.raises(GraphStoreError, match="is closed"):
        graph.node("airport:EWR")


def test_processes_share_the_files(small: dict[str, Any]) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from stupid_dagster.stores.graph import GraphReader\n"
        "with GraphReader.open(Path(sys.argv[1])) as graph:\n"
        "    print('open', flush=True); sys.stdin.readline()\n"
        "    print(graph.neighbors('airport:EWR', limit=4).height)\n"
    )
    command = [sys.executable, "-c", code, str(small["path"])]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as reader:
        assert reader.stdout is not None
        if reader.stdout.readline() != "open\n":
            pytest.fail(f"{reader.communicate(timeout=60)}, exit code {reader.returncode}")
        assert small["graph"].neighbors("airport:EWR", limit=4).height == 4
        assert reader.communicate("\n", timeout=60) == ("4\n", "")
    assert reader.returncode == 0
