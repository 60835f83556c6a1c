"""The window's edges by node, ready-made in files: opened at once, whatever their size.

Built anew from its Parquet tables a graph of ten million edges takes seconds and a gigabyte in
every process that reads it. The files hold the arrays as they are, mapped into memory.
"""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl

from stupid_dagster.compute.graph.adjacency import number_graph
from stupid_dagster.compute.graph.incidence import Incidence
from stupid_dagster.errors import GraphStoreError, StoreError
from stupid_dagster.stores.mapped import read_mapped, write_mapped

FOLDER = "adjacency"
METADATA_FILE = "adjacency.json"
FORMAT = 1
_DETAILS = ("days", "first_seen", "last_seen")
_ENTRIES = ("ends", "weights", "kinds", "edges")


def described_graph(nodes: pl.DataFrame, edges: pl.LazyFrame) -> Incidence:
    """Return the graph of `graph_nodes` and `graph_edges`, with all that they say of it.

    Test accounts are in it; properties are JSON. Raises ComputeError as `number_graph` does.
    """
    dtype = nodes.schema.get("properties")
    properties = pl.repeat("{}", nodes.height, dtype=pl.String, eager=True)
    if isinstance(dtype, pl.Struct) and dtype.fields:
        properties = nodes["properties"].struct.json_encode().fill_null("{}")
    # Nodes with equal properties share the bytes: a file a third as large.
    distinct = properties.unique()
    places = properties.cast(pl.Enum(distinct)).to_physical()
    nodes = nodes.with_columns(distinct.gather(places).alias("properties"))
    return Incidence.of(number_graph(nodes, edges, include_test=True, more=_DETAILS))


def write_graph(directory: Path, graph: Incidence) -> None:
    """Write a graph into the folder `directory`, which is made."""
    directory.mkdir(parents=True)
    entries = {name: getattr(graph, name) for name in _ENTRIES}
    write_mapped(directory / "nodes.arrow", graph.nodes)
    write_mapped(directory / "starts.arrow", pl.DataFrame({"starts": graph.starts}))
    write_mapped(directory / "entries.arrow", pl.DataFrame(entries))
    write_mapped(directory / "details.arrow", graph.details)
    head = {"format": FORMAT, "edge_types": graph.edge_types}
    (directory / METADATA_FILE).write_text(json.dumps(head, ensure_ascii=False), encoding="utf-8")


def read_graph(directory: Path) -> Incidence:
    """Return the graph in `directory`; raises GraphStoreError where it is missing or damaged."""
    try:
        head = json.loads((directory / METADATA_FILE).read_text(encoding="utf-8"))
        if head["format"] != FORMAT:
            raise StoreError(f"it has format {head['format']}, this release reads {FORMAT}")
        nodes, starts, entries, details = (
            read_mapped(directory / f"{name}.arrow")
            for name in ("nodes", "starts", "entries", "details")
        )
        return Incidence(
            nodes=nodes,
            starts=starts["starts"].to_numpy(allow_copy=False),
            **{name: entries[name].to_numpy(allow_copy=False) for name in _ENTRIES},
            details=details,
            edge_types=tuple(head["edge_types"]),
        )
    except (OSError, ValueError, TypeError, KeyError, StoreError, RuntimeError) as error:
        raise GraphStoreError(
            f"the graph in {directory} can't be read ({error}); materialise the window's "
            "graph_database again"
        ) from error
