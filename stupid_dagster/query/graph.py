"""Questions to a snapshot's graph, which is mapped into memory; `catalog` tells its types."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast, get_args

import numpy as np
import polars as pl
import structlog

from stupid_dagster.compute.graph.incidence import Direction, Incidence, View
from stupid_dagster.compute.graph.neighbors import heaviest_edges
from stupid_dagster.compute.graph.stored import FOLDER, described_graph, read_graph
from stupid_dagster.deadline import check
from stupid_dagster.errors import InvalidQueryError, NotFoundError, hint
from stupid_dagster.query.frames import reading
from stupid_dagster.query.paging import Page
from stupid_dagster.stores.snapshots import Snapshot

log = structlog.get_logger(__name__)

DIRECTIONS: tuple[str, ...] = get_args(Direction)
_TOLD = 3


class SnapshotGraph:
    """The nodes and edges of one snapshot, opened when they are first asked for.

    Test accounts are in it, as they are in the graph database. Any number of threads may ask.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._lock = threading.Lock()
        self._graph: Incidence | None = None

    def open(self) -> Incidence:
        """Return the edges by node; raises GraphStoreError where they can't be read."""
        with self._lock:
            if self._graph is None:
                started = time.perf_counter()
                folder = self.snapshot.path("graph_database") / FOLDER
                ready = folder.is_dir()
                graph = self._graph = read_graph(folder) if ready else self._built()
                log.info(
                    "graph opened",
                    ready_made=ready,
                    nodes=graph.size,
                    edges=graph.details.height,
                    bytes=graph.bytes,
                    seconds=round(time.perf_counter() - started, 2),
                )
            return self._graph

    def warm(self) -> None:
        """Open it and look at all its arrays, so that the first walk waits for no file."""
        graph = self.open()
        for array in (graph.ends, graph.weights, graph.kinds, graph.edges):
            array.max(initial=0)

    def close(self) -> None:
        """Give the memory back."""
        with self._lock:
            self._graph = None

    def node(self, catalog: Mapping[str, Any], entity_id: str) -> dict[str, Any]:
        """Return an entity; raises NotFoundError.

        Keys: entity_id, type, key, properties (names to strings, nulls left out), events, days
        (how many it was seen on), first_seen, last_seen (UTC), is_test.
        """
        (at,) = self.numbers(catalog, [entity_id])
        node = self.open().nodes.row(at, named=True)
        properties = json.loads(node["properties"])
        return node | {"properties": {k: v for k, v in properties.items() if v is not None}}

    def numbers(self, catalog: Mapping[str, Any], entity_ids: Sequence[str]) -> list[int]:
        """Return the entities' nodes; raises NotFoundError for those that aren't there."""
        found = self.open().find(entity_ids)
        missing = [name for name, at in zip(entity_ids, found, strict=True) if at is None]
        if missing := [*dict.fromkeys(missing)]:
            prefixes = [entity["prefix"] for entity in catalog["entities"].values()]
            prefix = missing[0].partition(":")[0][:80]
            meant = self._meant(missing[:_TOLD], prefixes)
            near = "" if meant or prefix in prefixes else hint(prefix, prefixes)
            told = ", ".join(repr(name[:200]) for name in missing[:_TOLD])
            more = f" and {len(missing) - _TOLD} more" if len(missing) > _TOLD else ""
            raise NotFoundError(
                f"the graph has no entity {told}{more}{meant}; ids are <prefix>:<key>, and the "
                f"prefixes are {', '.join(prefixes)}{near}"
            )
        return [at for at in found if at is not None]

    def _meant(self, missing: Sequence[str], prefixes: Sequence[str]) -> str:
        """Return a hint at entities that have as their key what was given, or is behind its `:`."""
        keys = [key for name in missing for key in (name, name.partition(":")[2]) if key]
        tried = list(dict.fromkeys(f"{prefix}:{key}" for key in keys for prefix in prefixes))
        found = self.open().find(tried)
        there = [repr(name[:200]) for name, at in zip(tried, found, strict=True) if at is not None]
        return f" (did you mean {' or '.join(there[:_TOLD])}?)" if there else ""

    def neighbors(
        self,
        catalog: Mapping[str, Any],
        entity_ids: str | Sequence[str],
        edge_types: Sequence[str] | None,
        direction: str,
        limit: int,
    ) -> Page:
        """Return the edges at one entity, or at several, heaviest first, as `heaviest_edges` does.

        Of one entity without the column `entity_id`. An entity that isn't there has none. `total`
        is given where the page has all of them. Raises InvalidQueryError.
        """
        view = self.view(catalog, edge_types, direction)
        several = not isinstance(entity_ids, str)
        numbers = view.graph.find(entity_ids if several else [entity_ids])
        nodes = np.array([at for at in numbers if at is not None], dtype=np.int64)
        found = heaviest_edges(view, nodes, limit + 1)
        truncated = found.height > limit
        rows = found.head(limit)
        if not several:
            rows = pl.DataFrame(rows.get_columns()[1:])
        return Page(rows, limit, truncated, None if truncated else found.height)

    def view(
        self, catalog: Mapping[str, Any], edge_types: Sequence[str] | None, direction: str
    ) -> View:
        """Return the edges of these types, this way; searches along them keep to the deadline.

        Raises InvalidQueryError for edge types that the catalog lacks, and for no direction.
        """
        check_choice("direction", direction, DIRECTIONS)
        known = catalog["edges"]
        for edge_type in edge_types or ():
            if edge_type not in known:
                raise InvalidQueryError(
                    f"there is no edge type {edge_type[:80]!r}{hint(edge_type[:80], known)}; "
                    f"there are {', '.join(known)}"
                )
        check()
        return self.open().view(edge_types or None, cast(Direction, direction), check)

    def _built(self) -> Incidence:
        """Return what a snapshot of an earlier release has in its Parquet tables only."""
        with reading():
            nodes = self.snapshot.scan("graph_nodes").collect()
            return described_graph(nodes, self.snapshot.scan("graph_edges"))


def check_choice(name: str, value: str, choices: Collection[str]) -> None:
    """Raise InvalidQueryError for a value that is none of the choices."""
    if value not in choices:
        raise InvalidQueryError(f"{name} {value[:80]!r}: use one of {', '.join(choices)}")
