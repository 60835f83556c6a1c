"""What becomes a graph database, and what is refused."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from stupid_dagster.errors import GraphStoreError
from stupid_dagster.stores.graph import GraphReader, build_graph_database
from stupid_dagster.stores.graph.schema import DATABASE_FILE, METADATA_FILE
from tests.stores.graph.made import ENGINE, build, edges_of, nodes_of


def test_nodes_without_properties_and_several_input_files(tmp_path: Path) -> None:
    nodes = tmp_path / "nodes"
    nodes.mkdir()
    nodes_of(["a", "b"]).drop("properties").write_parquet(nodes / "part-0.parquet")
    nodes_of(["c"]).drop("properties").write_parquet(nodes / "part-1.parquet")
    (nodes / "_version.json").write_text("{}")
    edges_of([("a", "c", "Knows", 1)]).write_parquet(tmp_path / "edges.parquet")
    report = build_graph_database(
        tmp_path / "graph", nodes, tmp_path / "edges.parquet", engine=ENGINE
    )
    assert (report.nodes, report.edges) == (3, {"Knows": 1})
    with GraphReader.open(tmp_path / "graph") as graph:
        node = graph.node("c")
        assert node is not None and node["properties"] == {}
        assert graph.neighbors("a")["neighbor"].to_list() == ["c"]


def test_the_files_are_final(tmp_path: Path) -> None:
    folder = tmp_path / 'it\'s [1]*? "odd" #%20 dir'
    folder.mkdir()
    built = build(folder, nodes_of(["a", "b"]), edges_of([("a", "b", "Knows", 2)]))
    assert sorted(file.name for file in built.iterdir()) == [DATABASE_FILE, METADATA_FILE]
    for file in built.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o444
        assert b"odd" not in file.read_bytes()
    final = tmp_path / "final"
    built.rename(final)
    before = {file: file.read_bytes() for file in final.iterdir()}
    with GraphReader.open(final) as graph:
        assert graph.neighbors("b")["neighbor"].to_list() == ["a"]
    assert {file: file.read_bytes() for file in final.iterdir()} == before


def test_a_directory_in_use_is_refused(tmp_path: Path) -> None:
    directory = build(tmp_path, nodes_of(["a"]), edges_of([]))
    with pytest.raises(GraphStoreError, match="isn't empty"):
        build(tmp_path, nodes_of(["a"]), edges_of([]))
    assert directory.exists()


@pytest.mark.parametrize(
    ("nodes", "edges", "message"),
    [
        (["a", "a"], [], "duplicated primary key value a"),
        (["a"], [("a", "zz", "Knows", 1)], "zz"),
        (["a"], [("a", "a", "Knows", 1), ("a", "a", "KNOWS", 1)], "upper from lower case"),
        (["a"], [("a", "a", "entity", 1)], "node table"),
        (["a"], [("a", "a", "x`) DROP TABLE Entity", 1)], "can't name an edge type"),
    ],
)
def test_what_cannot_be_a_graph_is_refused(
    tmp_path: Path, nodes: list[str], edges: list[Any], message: str
) -> None:
    with pytest.raises(GraphStoreError, match=message):
        build(tmp_path, nodes_of(nodes), edges_of(edges))
    assert not (tmp_path / "graph" / METADATA_FILE).exists()


def test_unusable_input_is_named(tmp_path: Path) -> None:
    nodes, edges = nodes_of(["a"]), edges_of([])
    with pytest.raises(GraphStoreError, match=r"nodes\.parquet lacks the column.*days, is_test"):
        build(tmp_path, nodes.drop("days", "is_test"), edges, "one")
    with pytest.raises(GraphStoreError, match=r"edges\.parquet has a value that doesn't fit"):
        loop = edges_of([("a", "a", "Knows", 1)]).with_columns(weight=pl.lit(-1))
        build(tmp_path, nodes, loop, "two")
    with pytest.raises(GraphStoreError, match="without a type"):
        loop = edges_of([("a", "a", "Knows", 1)]).with_columns(type=pl.lit(None, pl.String))
        build(tmp_path, nodes, loop, "three")
    with pytest.raises(GraphStoreError, match="no Parquet file"):
        build_graph_database(tmp_path / "four", tmp_path / "no", tmp_path / "no", engine=ENGINE)


def test_a_buffer_that_is_too_small_is_told_with_its_setting(tmp_path: Path) -> None:
    nodes_of(["a"]).write_parquet(tmp_path / "nodes.parquet")
    edges_of([("a", "a", "Knows", 1)]).write_parquet(tmp_path / "edges.parquet")
    files = (tmp_path / "nodes.parquet", tmp_path / "edges.parquet")
    with pytest.raises(GraphStoreError, match=r"It had 4 MB: raise graph_buffer_mb"):
        build_graph_database(tmp_path / "g", *files, engine=ENGINE, buffer_pool_bytes=4 << 20)


def test_what_cannot_be_opened_says_why(tmp_path: Path) -> None:
    with pytest.raises(GraphStoreError, match="no graph database in"):
        GraphReader.open(tmp_path)
    directory = build(tmp_path, nodes_of(["a"]), edges_of([]))
    metadata = json.loads((directory / METADATA_FILE).read_text())

    def with_metadata(**changes: Any) -> None:
        (directory / METADATA_FILE).chmod(0o644)
        (directory / METADATA_FILE).write_text(json.dumps({**metadata, **changes}))

    other = "kuzu" if ENGINE == "ladybug" else "ladybug"
    with_metadata(engine=other)
    with pytest.raises(GraphStoreError, match=f"{other} can't be used in this process"):
        GraphReader.open(directory)
    with_metadata(engine="neo4j")
    with pytest.raises(GraphStoreError, match="is no graph engine"):
        GraphReader.open(directory)
    with_metadata(format=99)
    with pytest.raises(GraphStoreError, match="format 99"):
        GraphReader.open(directory)
    with_metadata()
    (directory / DATABASE_FILE).chmod(0o644)
    (directory / DATABASE_FILE).write_bytes(b"written by something else" * 500)
    with pytest.raises(GraphStoreError, match="can't open"):
        GraphReader.open(directory)
    (directory / DATABASE_FILE).unlink()
    with pytest.raises(GraphStoreError, match="no graph database at"):
        GraphReader.open(directory)
    (directory / METADATA_FILE).write_text("{")
    with pytest.raises(GraphStoreError, match="can't be read"):
        GraphReader.open(directory)
