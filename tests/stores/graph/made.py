"""Small graphs, and databases of them, with the engine that the environment names."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from stupid_dagster.stores.graph import Engine, build_graph_database

ENGINE: Engine = "ladybug" if os.environ.get("TEST_GRAPH_ENGINE") == "ladybug" else "kuzu"
START = datetime(2013, 1, 11, 5, 30, 0, 123_000, tzinfo=UTC)
TIME = pl.Datetime("ms", "UTC")

NODE_SCHEMA = pl.Schema(
    {
        "entity_id": pl.String,
        "type": pl.String,
        "key": pl.String,
        "properties": pl.Struct({"name": pl.String, "vip": pl.String}),
        "events": pl.UInt32,
        "days": pl.UInt16,
        "first_seen": TIME,
        "last_seen": TIME,
        "is_test": pl.Boolean,
    }
)
EDGE_SCHEMA = pl.Schema(
    {
        "source": pl.String,
        "target": pl.String,
        "type": pl.String,
        "weight": pl.UInt32,
        "days": pl.UInt16,
        "first_seen": TIME,
        "last_seen": TIME,
    }
)


def nodes_of(ids: list[str]) -> pl.DataFrame:
    rows = [
        {
            "entity_id": name,
            "type": ("Aircraft", "Airport")[index % 2],
            "key": name,
            "properties": {"name": name if index % 3 else None, "vip": 'it\'s "1"'},
            "events": 10 + index,
            "days": 1 + index % 30,
            "first_seen": START + timedelta(milliseconds=index),
            "last_seen": START + timedelta(days=index % 30, milliseconds=index),
            "is_test": index % 4 == 0,
        }
        for index, name in enumerate(ids)
    ]
    return pl.DataFrame(rows, schema=NODE_SCHEMA)


def edges_of(triples: list[tuple[str, str, str, int]]) -> pl.DataFrame:
    rows = [
        (source, target, kind, weight, 1, START, START + timedelta(hours=weight % 700))
        for source, target, kind, weight in triples
    ]
    return pl.DataFrame(rows, schema=EDGE_SCHEMA, orient="row")


def build(folder: Path, nodes: pl.DataFrame, edges: pl.DataFrame, name: str = "graph") -> Path:
    nodes.write_parquet(folder / "nodes.parquet")
    edges.write_parquet(folder / "edges.parquet")
    directory = folder / name
    build_graph_database(
        directory, folder / "nodes.parquet", folder / "edges.parquet", engine=ENGINE
    )
    return directory
