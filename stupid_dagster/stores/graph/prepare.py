"""Parquet nodes and edges as the graph database's COPY wants them, in bounded memory.

COPY reads timestamps that Polars wrote as plain integers, so pyarrow writes these files; and it
loads one relationship table from one file, so edges are split by type.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stupid_dagster.errors import GraphStoreError
from stupid_dagster.stores.graph.schema import EDGE_SCHEMA, NODE_SCHEMA, check_edge_types

BATCH_ROWS = 1 << 18


def prepare_nodes(source: Path, target: Path) -> int:
    """Write `source`'s nodes to the file `target`; return their number.

    `properties`, a struct of strings, becomes JSON; nodes without the column get `{}`.
    Raises GraphStoreError where a column is missing or has a value that doesn't fit.
    """
    plain = [name for name in NODE_SCHEMA.names if name != "properties"]
    files = _files(source, plain)
    rows = 0
    with pq.ParquetWriter(target, NODE_SCHEMA) as writer:
        for batch in _batches(files, [*plain, "properties"]):
            writer.write_table(_conform(_with_json_properties(batch), NODE_SCHEMA, source))
            rows += batch.num_rows
    return rows


def prepare_edges(source: Path, folder: Path) -> dict[str, tuple[Path, int]]:
    """Split `source`'s edges into one file per type in `folder`.

    Returns type to (file, edges), sorted by type. Raises GraphStoreError where a column is
    missing, has a value that doesn't fit, or a type can't name a table.
    """
    columns = ["type", *EDGE_SCHEMA.names]
    sources = _files(source, columns)
    files: dict[str, Path] = {}
    counts: dict[str, int] = {}
    writers: dict[str, pq.ParquetWriter] = {}
    with ExitStack() as stack:
        for batch in _batches(sources, columns):
            for edge_type in batch["type"].unique().to_pylist():
                if edge_type is None:
                    raise GraphStoreError(f"{source} has edges without a type")
                part = batch.filter(pc.field("type") == edge_type)
                if edge_type not in writers:
                    check_edge_types([*writers, edge_type])
                    # Numbered, because a type may hold characters that a file's name can't.
                    files[edge_type] = folder / f"edges-{len(files)}.parquet"
                    writer = pq.ParquetWriter(files[edge_type], EDGE_SCHEMA)
                    writers[edge_type] = stack.enter_context(writer)
                    counts[edge_type] = 0
                writers[edge_type].write_table(_conform(part, EDGE_SCHEMA, source))
                counts[edge_type] += part.num_rows
    return {name: (files[name], counts[name]) for name in sorted(files)}


def _files(source: Path, required: list[str]) -> list[Path]:
    """Return the source's Parquet files; raises GraphStoreError where one lacks a column."""
    files = sorted(source.glob("*.parquet")) if source.is_dir() else [source]
    if not files or not all(file.is_file() for file in files):
        raise GraphStoreError(f"there is no Parquet file at {source}")
    for file in files:
        try:
            names = pq.read_schema(file).names
        except (pa.ArrowException, OSError) as error:
            raise GraphStoreError(f"{file} can't be read: {error}") from error
        missing = [name for name in required if name not in names]
        if missing:
            raise GraphStoreError(f"{file} lacks the column(s) {', '.join(missing)}")
    return files


def _batches(files: list[Path], columns: list[str]) -> Iterator[pa.Table]:
    """Yield the rows in pieces, with those of the columns that a file has."""
    for file in files:
        with pq.ParquetFile(file) as parquet:
            present = [name for name in columns if name in parquet.schema_arrow.names]
            for batch in parquet.iter_batches(batch_size=BATCH_ROWS, columns=present):
                yield pa.Table.from_batches([batch])


def _with_json_properties(nodes: pa.Table) -> pa.Table:
    if "properties" not in nodes.column_names:
        return nodes.append_column("properties", pa.repeat("{}", nodes.num_rows))
    properties = pl.from_arrow(nodes["properties"])
    if isinstance(properties, pl.Series) and isinstance(properties.dtype, pl.Struct):
        json = properties.struct.json_encode().fill_null("{}").to_arrow()
    else:
        raise GraphStoreError(
            f"properties must be a struct of strings, not {nodes.schema.field('properties').type}"
        )
    return nodes.set_column(nodes.column_names.index("properties"), "properties", json)


def _conform(table: pa.Table, schema: pa.Schema, source: Path) -> pa.Table:
    try:
        return table.select(schema.names).cast(schema)
    except (pa.ArrowException, ValueError) as error:
        raise GraphStoreError(
            f"{source} has a value that doesn't fit the graph: {error}"
        ) from error
