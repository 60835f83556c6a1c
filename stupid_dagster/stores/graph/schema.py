"""What the graph database looks like, and the two engines that can hold it.

One node table `Entity`, one relationship table per edge type: a table per type loads in a third
of the memory of one generic table, and a traversal reads only the types that it asks for.
`graph.json` beside the database names the engine, because neither engine opens the other's files.
"""

from __future__ import annotations

import importlib
import json
import re
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Literal, get_args

import pyarrow as pa

from stupid_dagster.errors import GraphStoreError

Engine = Literal["kuzu", "ladybug"]
ENGINES: tuple[Engine, ...] = get_args(Engine)

DATABASE_FILE = "graph.db"
METADATA_FILE = "graph.json"
NODE_TABLE = "Entity"
FORMAT = 1

# A bound on address space, not on memory; the engines' default of 8 TiB leaves room for a
# handful of open databases only.
MAX_DATABASE_BYTES = 1 << 40

TIME = pa.timestamp("us", "UTC")
NODE_SCHEMA = pa.schema(
    {
        "entity_id": pa.string(),
        "type": pa.string(),
        "key": pa.string(),
        "properties": pa.string(),
        "events": pa.uint64(),
        "days": pa.uint16(),
        "first_seen": TIME,
        "last_seen": TIME,
        "is_test": pa.bool_(),
    }
)
EDGE_SCHEMA = pa.schema(
    {
        "source": pa.string(),
        "target": pa.string(),
        "weight": pa.uint64(),
        "days": pa.uint16(),
        "first_seen": TIME,
        "last_seen": TIME,
    }
)
_CYPHER_TYPES = {
    pa.string(): "STRING",
    pa.uint64(): "UINT64",
    pa.uint16(): "UINT16",
    pa.bool_(): "BOOL",
    TIME: "TIMESTAMP_TZ",
}
_IDENTIFIER = re.compile(r"[^\W\d]\w*")


@dataclass(frozen=True)
class GraphStatistics:
    """Nodes per entity type and edges per edge type, by name."""

    node_types: dict[str, int]
    edge_types: dict[str, int]

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        return sum(self.node_types.values())

    @property
    def edges(self) -> int:
        """Number of edges."""
        return sum(self.edge_types.values())


@dataclass(frozen=True)
class GraphMetadata:
    """Content of `graph.json`."""

    format: int
    engine: Engine
    engine_version: str
    statistics: GraphStatistics

    def write(self, directory: Path) -> None:
        """Write it into `directory`."""
        text = json.dumps(asdict(self), indent=1, ensure_ascii=False)
        (directory / METADATA_FILE).write_text(text, encoding="utf-8")

    @classmethod
    def read(cls, directory: Path) -> GraphMetadata:
        """Read it from `directory`; raises GraphStoreError where it is missing or unreadable."""
        file = directory / METADATA_FILE
        try:
            tree = json.loads(file.read_text(encoding="utf-8"))
            statistics = GraphStatistics(**tree.pop("statistics"))
            metadata = cls(**tree, statistics=statistics)
        except FileNotFoundError:
            raise GraphStoreError(
                f"there is no graph database in {directory}: {METADATA_FILE} is missing; "
                "materialise the window's graph_database"
            ) from None
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise GraphStoreError(
                f"{file} can't be read ({error}); materialise the window's graph_database again"
            ) from error
        if metadata.format != FORMAT:
            raise GraphStoreError(
                f"{file} has format {metadata.format}, this release reads {FORMAT}; "
                "materialise the window's graph_database again"
            )
        return metadata


def import_engine(engine: str) -> ModuleType:
    """Return the engine's module; raises GraphStoreError where it can't be had.

    Both engines register the same native types: a process that imports both crashes.
    """
    if engine not in ENGINES:
        raise GraphStoreError(
            f"{engine!r} is no graph engine; set graph_engine to one of {', '.join(ENGINES)}"
        )
    for other in ENGINES:
        if other != engine and other in sys.modules:
            raise GraphStoreError(
                f"{engine} can't be used in this process: it has loaded {other} already, and the "
                f"two crash together; open {engine} databases in a process of their own"
            )
    try:
        return importlib.import_module(engine)
    except ImportError as error:
        raise GraphStoreError(
            f"the graph engine {engine} can't be imported ({error}); install it "
            "(`pip install 'stupid-dagster[ladybug]'` for ladybug) or set graph_engine"
        ) from error


def create_node_table() -> str:
    """Return the Cypher that creates the node table."""
    columns = ", ".join(f"{field.name} {_CYPHER_TYPES[field.type]}" for field in NODE_SCHEMA)
    return f"CREATE NODE TABLE {quoted(NODE_TABLE)}({columns}, PRIMARY KEY(entity_id))"


def create_edge_table(edge_type: str) -> str:
    """Return the Cypher that creates an edge type's relationship table."""
    columns = ", ".join(
        f"{field.name} {_CYPHER_TYPES[field.type]}" for field in list(EDGE_SCHEMA)[2:]
    )
    ends = f"FROM {quoted(NODE_TABLE)} TO {quoted(NODE_TABLE)}"
    return f"CREATE REL TABLE {quoted(edge_type)}({ends}, {columns})"


def copy_from(table: str, file: Path) -> str:
    """Return the Cypher that loads a Parquet file into a table."""
    # COPY expands patterns; a bracket expression stands for each special character itself.
    pattern = re.sub(r"([*?\[])", r"[\1]", str(file))
    literal = pattern.replace("\\", "\\\\").replace("'", "\\'")
    return f"COPY {quoted(table)} FROM '{literal}'"


def quoted(name: str) -> str:
    """Return a table's name in backticks; raises GraphStoreError for one that is no identifier."""
    if not _IDENTIFIER.fullmatch(name):
        raise GraphStoreError(
            f"{name!r} can't name an edge type: use letters, digits and underscores"
        )
    return f"`{name}`"


def check_edge_types(edge_types: list[str]) -> None:
    """Raise GraphStoreError unless every edge type can be a table: case counts for nothing."""
    taken = {NODE_TABLE.lower(): f"the node table {NODE_TABLE!r}"}
    for name in edge_types:
        quoted(name)
        if name.lower() in taken:
            raise GraphStoreError(
                f"the edge type {name!r} clashes with {taken[name.lower()]}: the graph database "
                "doesn't tell upper from lower case; rename one in the event model"
            )
        taken[name.lower()] = f"the edge type {name!r}"
