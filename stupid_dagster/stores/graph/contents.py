"""All that a graph database holds, for who checks it against what it was made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl

from stupid_dagster.stores.graph.reader import GraphReader
from stupid_dagster.stores.graph.schema import NODE_TABLE, quoted

_BUFFER_POOL = 256 << 20
_NODES = """
MATCH (n:Entity) RETURN n.entity_id AS entity_id, n.events AS events, n.days AS days,
n.first_seen AS first_seen, n.last_seen AS last_seen
"""
_TOTALS = """
MATCH ()-[e:{type}]->() RETURN count(*) AS rows, sum(e.weight) AS weight, sum(e.days) AS days,
min(e.first_seen) AS first
"""
_BEFORE = "MATCH ()-[e:{type}]->() WHERE e.{column} < $moment RETURN count(*)"
_EDGES = """
MATCH (a:Entity)-[e:{type}]->(b:Entity) RETURN a.entity_id AS source, b.entity_id AS target,
e.weight AS weight, e.days AS days
"""


@dataclass(frozen=True)
class EdgeTotals:
    """Edges of a type, the sums of their weights and days, and when the first was seen."""

    rows: int
    weight: int
    days: int
    first_seen: datetime | None


class GraphContents:
    """An open graph database, read as a whole. `with GraphContents(directory) as graph: ...`"""

    def __init__(self, directory: Path) -> None:
        self._reader = GraphReader.open(directory, buffer_pool_bytes=_BUFFER_POOL, connections=1)

    def __enter__(self) -> GraphContents:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()

    def nodes(self) -> pl.DataFrame:
        """Return entity_id, events, days, first_seen and last_seen of all nodes."""
        return self._reader.frame(_NODES)

    def edge_totals(self) -> Mapping[str, EdgeTotals]:
        """Return the totals of each edge type, whether or not `graph.json` knows it."""
        tables = self._reader.frame("CALL show_tables() RETURN name, type")
        names = tables.filter(pl.col("type") == "REL")["name"].sort()
        return {name: self._totals(name) for name in names if name != NODE_TABLE}

    def _totals(self, edge_type: str) -> EdgeTotals:
        query = _TOTALS.format(type=quoted(edge_type))
        rows, weight, days, first = self._reader.frame(query).row(0)
        return EdgeTotals(int(rows), int(weight or 0), int(days or 0), first)

    def edges_before(self, edge_type: str, moment: datetime) -> tuple[int, int]:
        """Return how many edges of a type were seen before a moment, and how many only then."""
        seen, only = (
            self._reader.frame(
                _BEFORE.format(type=quoted(edge_type), column=column), {"moment": moment}
            ).item()
            for column in ("first_seen", "last_seen")
        )
        return seen, only

    def edges(self, edge_type: str) -> pl.DataFrame:
        """Return source, target, weight and days of a type's edges; millions take gigabytes."""
        return self._reader.frame(_EDGES.format(type=quoted(edge_type)))
