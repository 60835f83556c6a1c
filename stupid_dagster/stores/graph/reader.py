"""Read the window's graph database, from any number of threads."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, get_args

import polars as pl

from stupid_dagster.deadline import check, remaining, timed_out
from stupid_dagster.errors import GraphStoreError
from stupid_dagster.stores.graph.schema import (
    DATABASE_FILE,
    MAX_DATABASE_BYTES,
    NODE_SCHEMA,
    GraphMetadata,
    GraphStatistics,
    import_engine,
    quoted,
)

Direction = Literal["both", "out", "in"]

BUFFER_POOL_BYTES = 1 << 30
CONNECTIONS = 4

_NODE = (
    "MATCH (n:Entity {entity_id: $id}) RETURN "  # one row at most: it is the primary key
    + ", ".join(f"n.{name}" for name in NODE_SCHEMA.names)
)
# The edge types in {types} come from the database's own list; all else is bound. Weights alone
# sort four times faster than whole rows, so a hub's lightest edges are cut off by weight first.
_HEAVIEST = """
MATCH (n:Entity {{entity_id: $id}}){left}[e:{types}]{right}(m:Entity)
RETURN e.weight AS weight ORDER BY weight DESC LIMIT $limit
"""
_NEIGHBORS = """
MATCH (n:Entity {{entity_id: $id}}){left}[e:{types}]{right}(m:Entity)
WHERE e.weight >= $weight
RETURN m.entity_id AS neighbor, m.type AS neighbor_type, label(e) AS edge_type,
       '{direction}' AS direction, e.weight AS weight, e.days AS days,
       e.first_seen AS first_seen, e.last_seen AS last_seen
ORDER BY weight DESC, neighbor, edge_type
LIMIT $limit
"""
_ARROWS = {"out": ("-", "->"), "in": ("<-", "-"), "both": ("-", "-")}
_TIME = pl.Datetime("ms", "UTC")
NEIGHBOR_SCHEMA = pl.Schema(
    {
        "neighbor": pl.String,
        "neighbor_type": pl.String,
        "edge_type": pl.String,
        "direction": pl.String,
        "weight": pl.UInt64,
        "days": pl.UInt16,
        "first_seen": _TIME,
        "last_seen": _TIME,
    }
)


class GraphReader:
    """An open graph database. `with GraphReader.open(directory) as graph: ...`

    Connections of the engine serve one thread at a time: each query borrows one of a pool.
    """

    def __init__(
        self, directory: Path, metadata: GraphMetadata, database: Any, connections: list[Any]
    ):
        self.directory = directory
        self.metadata = metadata
        self._database = database
        self._connections = connections
        self._idle: queue.LifoQueue[Any] = queue.LifoQueue()
        for connection in connections:
            self._idle.put(connection)
        self._closing = threading.Lock()
        self._closed = False

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        buffer_pool_bytes: int = BUFFER_POOL_BYTES,
        connections: int = CONNECTIONS,
    ) -> GraphReader:
        """Open the database in `directory` read-only; `connections` queries can run at once.

        Raises GraphStoreError where there is none, its engine can't be loaded, or it is damaged.
        """
        metadata = GraphMetadata.read(directory)
        file = directory / DATABASE_FILE
        if not file.is_file():
            raise GraphStoreError(
                f"there is no graph database at {file}; materialise the window's graph_database"
            )
        module = import_engine(metadata.engine)
        try:
            database = module.Database(
                str(file),
                read_only=True,
                buffer_pool_size=buffer_pool_bytes,
                max_db_size=MAX_DATABASE_BYTES,
            )
        except RuntimeError as error:
            raise GraphStoreError(
                f"{metadata.engine} {module.__version__} can't open {file}, written by "
                f"{metadata.engine_version}: {error}; materialise graph_database again"
            ) from error
        pool = [module.Connection(database) for _ in range(max(1, connections))]
        return cls(directory, metadata, database, pool)

    def __enter__(self) -> GraphReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Wait for running queries, then close; closing twice is harmless."""
        with self._closing:
            if self._closed:
                return
            for _ in self._connections:
                self._idle.get().close()
            self._closed = True
            self._database.close()
            # Wakes whoever waited for a connection meanwhile.
            self._idle.put(None)

    def statistics(self) -> GraphStatistics:
        """Return the number of nodes and edges per type, counted when it was built."""
        return self.metadata.statistics

    def node(self, entity_id: str) -> dict[str, Any] | None:
        """Return an entity, None where there is none of that id.

        Keys: entity_id, type, key, properties (names to strings, nulls left out), events, days
        (how many it was seen on), first_seen, last_seen (UTC), is_test.
        """
        rows = self._run(_NODE, {"id": entity_id})
        if not rows:
            return None
        node = dict(zip(NODE_SCHEMA.names, rows[0], strict=True))
        properties = json.loads(node["properties"])
        node["properties"] = {k: v for k, v in properties.items() if v is not None}
        return node

    def neighbors(
        self,
        entity_id: str,
        *,
        edge_types: Sequence[str] | None = None,
        direction: Direction = "both",
        limit: int = 100,
    ) -> pl.DataFrame:
        """Return the edges at an entity with their other ends, heaviest first.

        Columns as in `NEIGHBOR_SCHEMA`, at most `limit` rows, ties ordered by neighbor, edge type
        and direction (`in`, `out`). `edge_types` None means all; a type that the graph has no
        edges of adds none. An entity that isn't there has no edges. An edge from an entity to
        itself is found in both directions. Raises GraphStoreError for a direction or limit that
        can't be.
        """
        if direction not in get_args(Direction):
            raise GraphStoreError(f"direction is {direction!r}; use both, out or in")
        if limit < 1:
            raise GraphStoreError(f"limit is {limit}; it must be at least 1")
        known = self.metadata.statistics.edge_types
        wanted = sorted(known if edge_types is None else known.keys() & set(edge_types))
        rows: list[list[Any]] = []
        if wanted:
            types = "|".join(quoted(name) for name in wanted)
            parameters: dict[str, Any] = {"id": entity_id, "limit": limit}
            left, right = _ARROWS[direction]
            query = _HEAVIEST.format(types=types, left=left, right=right)
            heaviest = self._run(query, parameters)
            parameters["weight"] = heaviest[-1][0] if len(heaviest) == limit else 0
            sides = ("out", "in") if direction == "both" else (direction,)
            for side in sides if heaviest else ():
                left, right = _ARROWS[side]
                query = _NEIGHBORS.format(types=types, direction=side, left=left, right=right)
                rows += self._run(query, parameters)
        return (
            pl.DataFrame(rows, schema=NEIGHBOR_SCHEMA, orient="row")
            .sort(
                ["weight", "neighbor", "edge_type", "direction"],
                descending=[True, False, False, False],
            )
            .head(limit)
        )

    def frame(self, query: str, parameters: dict[str, Any] | None = None) -> pl.DataFrame:
        """Return a Cypher query's result; for many rows. Raises GraphStoreError, TimedOutError."""
        bound = parameters or {}
        with self._connection() as connection, connection.execute(query, bound) as result:
            table = pl.from_arrow(result.get_as_arrow())
        assert isinstance(table, pl.DataFrame)
        return table

    def _run(self, query: str, parameters: dict[str, Any]) -> list[list[Any]]:
        with self._connection() as connection, connection.execute(query, parameters) as result:
            # A result of few rows costs more as an Arrow table than the query itself.
            return result.get_all()

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        """Lend a connection, whose query the engine interrupts at the deadline."""
        check()
        try:
            connection = self._idle.get(timeout=remaining())
        except (queue.Empty, ValueError):  # None is free in time, or no time is left.
            raise timed_out() from None
        if connection is None:
            self._idle.put(None)
            raise GraphStoreError(
                f"the graph database in {self.directory} is closed; open it again"
            )
        try:
            left = remaining()
            connection.set_query_timeout(0 if left is None else max(1, int(left * 1000)))
            yield connection
        except RuntimeError as error:
            if str(error).startswith("Interrupted"):
                raise timed_out() from error
            raise GraphStoreError(f"{self.directory} can't answer: {error}") from error
        finally:
            self._idle.put(connection)
