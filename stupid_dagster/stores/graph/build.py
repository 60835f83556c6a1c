"""Build the window's graph database from its nodes and edges, by bulk COPY alone."""

from __future__ import annotations

import shutil
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from stupid_dagster.errors import GraphStoreError
from stupid_dagster.stores.graph.prepare import prepare_edges, prepare_nodes
from stupid_dagster.stores.graph.schema import (
    DATABASE_FILE,
    FORMAT,
    MAX_DATABASE_BYTES,
    Engine,
    GraphMetadata,
    GraphStatistics,
    copy_from,
    create_edge_table,
    create_node_table,
    import_engine,
)

log = structlog.get_logger(__name__)

# Less fails to load ten million edges.
BUFFER_POOL_BYTES = 2 << 30
_SCRATCH = ".scratch"
_BUFFER_FULL = "Buffer manager exception"


@dataclass(frozen=True)
class GraphReport:
    """What was built: nodes, edges per type, size of all files in bytes, seconds it took."""

    nodes: int
    edges: dict[str, int]
    bytes: int
    seconds: float


def build_graph_database(
    directory: Path,
    nodes_parquet: Path,
    edges_parquet: Path,
    *,
    engine: Engine = "kuzu",
    buffer_pool_bytes: int = BUFFER_POOL_BYTES,
) -> GraphReport:
    """Build a graph database in the empty `directory` and make it read-only.

    `nodes_parquet` and `edges_parquet` are files, or folders of `*.parquet`, with the columns of
    `NODE_SCHEMA` (`properties` a struct of strings) and of `EDGE_SCHEMA` plus `type`. Nothing in
    the directory holds an absolute path; it may be renamed afterwards. `buffer_pool_bytes` bounds
    the engine's memory.

    Raises GraphStoreError where the directory isn't empty, a column is missing or misfit, an
    entity appears twice, an edge's end is no node, or the engine fails.
    """
    started = time.perf_counter()
    module = import_engine(engine)
    directory.mkdir(parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise GraphStoreError(f"{directory} isn't empty; build a graph database in a new folder")
    scratch = directory / _SCRATCH
    scratch.mkdir()
    try:
        nodes_file = scratch / "nodes.parquet"
        nodes = prepare_nodes(nodes_parquet, nodes_file)
        edge_files = prepare_edges(edges_parquet, scratch)
        log.debug("graph prepared", nodes=nodes, seconds=round(time.perf_counter() - started, 2))
        statistics = _load(
            module, directory / DATABASE_FILE, nodes_file, edge_files, buffer_pool_bytes
        )
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    edges = {name: count for name, (_, count) in edge_files.items()}
    if statistics.nodes != nodes or statistics.edge_types != edges:
        raise GraphStoreError(
            f"{engine} loaded {statistics.nodes} nodes and {statistics.edge_types} edges of "
            f"{nodes} and {edges}"
        )
    GraphMetadata(FORMAT, engine, module.__version__, statistics).write(directory)
    _make_read_only(directory)
    size = sum(file.stat().st_size for file in directory.iterdir())
    report = GraphReport(nodes, edges, size, time.perf_counter() - started)
    log.info(
        "graph built",
        engine=engine,
        nodes=nodes,
        edges=statistics.edges,
        bytes=size,
        seconds=round(report.seconds, 2),
    )
    return report


def _load(
    module: Any,
    database_file: Path,
    nodes_file: Path,
    edge_files: dict[str, tuple[Path, int]],
    buffer_pool_bytes: int,
) -> GraphStatistics:
    try:
        with ExitStack() as stack:
            database = module.Database(
                str(database_file),
                buffer_pool_size=buffer_pool_bytes,
                max_db_size=MAX_DATABASE_BYTES,
            )
            stack.callback(database.close)
            connection = module.Connection(database)
            stack.callback(connection.close)
            connection.execute(create_node_table()).close()
            connection.execute(copy_from("Entity", nodes_file)).close()
            for edge_type, (file, _) in edge_files.items():
                connection.execute(create_edge_table(edge_type)).close()
                connection.execute(copy_from(edge_type, file)).close()
            connection.execute("CHECKPOINT").close()
            return GraphStatistics(
                _counts(connection, "MATCH (n:Entity) RETURN n.type, count(*)"),
                {
                    edge_type: _counts(
                        connection, f"MATCH ()-[e:`{edge_type}`]->() RETURN 'edges', count(*)"
                    ).get("edges", 0)
                    for edge_type in edge_files
                },
            )
    except RuntimeError as error:
        what = f"the graph database {database_file} can't be built: {error}"
        if _BUFFER_FULL in str(error):
            what += (
                f" It had {buffer_pool_bytes >> 20} MB: raise graph_buffer_mb in the settings, "
                "and give the step as much more memory"
            )
        raise GraphStoreError(what) from error


def _counts(connection: Any, query: str) -> dict[str, int]:
    with connection.execute(query) as result:
        return {name: int(count) for name, count in sorted(result.get_all())}


def _make_read_only(directory: Path) -> None:
    left = [file.name for file in directory.iterdir() if file.name.endswith((".wal", ".shadow"))]
    if left:
        raise GraphStoreError(f"{directory} still has {', '.join(left)} after closing the database")
    for file in directory.iterdir():
        file.chmod(0o444)
