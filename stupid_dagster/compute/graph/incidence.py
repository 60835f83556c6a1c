"""The window's edges by node: what traversals and paths walk along."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse

from stupid_dagster.compute.graph.adjacency import NumberedGraph
from stupid_dagster.errors import ComputeError

Direction = Literal["both", "out", "in"]
Numbers = NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class Incidence:
    """The edges at each of n nodes, in CSR form; each edge stands at both of its ends.

    `nodes` has entity_id (ascending), type and maybe more; a node's number is its row there.
    Entries `starts[v]` to `starts[v + 1]` are those at node v, ascending by the number of the
    other end in `ends` [2 m]; `weights`, `kinds` and `edges` belong to them. A kind is twice the
    edge type's place in `edge_types`, and one more where the edge comes in. `edges` are rows of
    `details` [m], which has what else is known of an edge. A loop stands at its node as an edge
    out and one in.
    """

    nodes: pl.DataFrame
    starts: Numbers
    ends: Numbers
    weights: Numbers
    kinds: Numbers
    edges: Numbers
    details: pl.DataFrame
    edge_types: tuple[str, ...]

    @classmethod
    def of(cls, graph: NumberedGraph) -> Incidence:
        """Return a graph's edges by node; raises ComputeError for an edge that stands twice."""
        nodes, edges = graph.nodes, graph.edges
        edge_types = edges["type"].cast(pl.String).unique().sort()
        # Matrix columns are ends and kinds in one, so that parallel edges stay apart.
        kinds = max(2 * len(edge_types), 1)
        width = nodes.height * kinds
        index = np.int32 if width < 2**31 else np.int64
        source, target = (edges[end].to_numpy().astype(index) for end in ("source", "target"))
        kind = 2 * edges["type"].cast(pl.Enum(edge_types)).to_physical().to_numpy().astype(index)
        rows = np.concatenate([source, target])
        columns = np.concatenate([target * kinds + kind, source * kinds + kind + 1])
        numbers = np.arange(edges.height, dtype=np.int32)
        matrix = sparse.coo_array(
            (np.concatenate([numbers, numbers]), (rows, columns)), shape=(nodes.height, width)
        ).tocsr()
        if matrix.nnz < len(rows):
            raise ComputeError("edges hold the same edge more than once; merge them first")
        del rows, columns, source, target
        matrix.sort_indices()
        numbers = np.asarray(matrix.data, dtype=np.int32)
        ends = matrix.indices // kinds
        kind = (matrix.indices - ends * kinds).astype(np.min_scalar_type(kinds))
        # Edges in the order of those that go out: a node's own then lie side by side.
        order = numbers[kind % 2 == 0]
        places = np.empty(len(order), dtype=np.int32)
        places[order] = np.arange(len(order), dtype=np.int32)
        return cls(
            nodes,
            matrix.indptr,
            ends.astype(np.int32),
            edges["weight"].to_numpy()[numbers],
            kind,
            places[numbers],
            edges.drop("source", "target", "type", "weight")[order],
            tuple(edge_types),
        )

    @property
    def ids(self) -> pl.Series:
        """Entity ids, ascending."""
        return self.nodes["entity_id"]

    @property
    def types(self) -> pl.Series:
        """Entity types."""
        return self.nodes["type"]

    @property
    def size(self) -> int:
        """Number of nodes."""
        return self.nodes.height

    @property
    def bytes(self) -> int:
        """Bytes of all arrays and tables, in memory or in files that are mapped into it."""
        arrays = (self.starts, self.ends, self.weights, self.kinds, self.edges)
        tables = self.nodes.estimated_size() + self.details.estimated_size()
        return sum(array.nbytes for array in arrays) + int(tables)

    @cached_property
    def described(self) -> Mapping[str, NDArray[Any]]:
        """The columns of `details`, without copies; times are numbers."""
        return {name: self.details[name].to_physical().to_numpy() for name in self.details.columns}

    def owners(self, entries: Numbers) -> Numbers:
        """Return the nodes that the entries are at."""
        # Of another type than `starts`, NumPy would convert all of these.
        wanted = entries.astype(self.starts.dtype)
        return np.searchsorted(self.starts, wanted, side="right") - 1

    def find(self, entity_ids: Sequence[str]) -> list[int | None]:
        """Return the node of each entity, None where there is none."""
        ids = self.ids
        if not len(ids):
            return [None] * len(entity_ids)
        if len(entity_ids) == 1:
            # Polars' own search is for many: for one it takes ten times as long.
            at = bisect_left(ids, entity_ids[0])
            return [at if at < len(ids) and ids[at] == entity_ids[0] else None]
        wanted = pl.Series(map(_storable, entity_ids), dtype=pl.String)
        places = ids.search_sorted(wanted).clip(upper_bound=len(ids) - 1)
        there = ids.gather(places) == wanted
        return [at if met else None for at, met in zip(places, there, strict=True)]

    def numbers(self, entity_ids: Sequence[str]) -> Numbers:
        """Return the node of each entity; raises ComputeError where there is none."""
        found = self.find(entity_ids)
        for entity_id, at in zip(entity_ids, found, strict=True):
            if at is None:
                raise ComputeError(f"the graph has no entity {entity_id[:200]!r}")
        return np.array(found, dtype=np.int64)

    def number(self, entity_id: str) -> int:
        """Return an entity's node; raises ComputeError where there is none."""
        return int(self.numbers([entity_id])[0])

    def degrees(self, nodes: Numbers) -> Numbers:
        """Return the number of edges at each of the nodes; a loop is two."""
        return self.starts[nodes + 1] - self.starts[nodes]

    def entries(self, nodes: Numbers) -> Numbers:
        """Return the entries at the nodes, in their order (int64)."""
        first = self.starts[nodes].astype(np.int64)
        if len(nodes) == 1:
            return np.arange(int(first[0]), int(self.starts[nodes[0] + 1]))
        counts = self.starts[nodes + 1] - first
        before = np.cumsum(counts) - counts
        entries = np.repeat(first - before, counts)
        entries += np.arange(len(entries))
        return entries

    def view(
        self,
        edge_types: Sequence[str] | None = None,
        direction: Direction = "both",
        check: Callable[[], None] = lambda: None,
    ) -> View:
        """Return the graph as one sees it who follows edges of these types, this way.

        `check` is called between the steps of a search, which it ends by raising.
        """
        allowed = np.zeros(2 * len(self.edge_types) + 1, dtype=bool)
        for place, edge_type in enumerate(self.edge_types):
            if edge_types is None or edge_type in edge_types:
                allowed[2 * place] = direction != "in"
                allowed[2 * place + 1] = direction != "out"
        return View(self, allowed, check)


@dataclass(frozen=True, eq=False)
class View:
    """A graph's edges of some kinds: `allowed` [kinds + 1] says which."""

    graph: Incidence
    allowed: NDArray[np.bool_]
    check: Callable[[], None]

    def reversed(self) -> View:
        """Return the same edges, walked the other way."""
        pairs = self.allowed[:-1].reshape(-1, 2)[:, ::-1].ravel()
        return View(self.graph, np.append(pairs, False), self.check)

    def work(self, nodes: Numbers) -> int:
        """Return the number of entries at the nodes, which is what expanding them costs."""
        return int(self.graph.degrees(nodes).sum())

    def entries(self, nodes: Numbers) -> Numbers:
        """Return the entries at the nodes, in their order (int64)."""
        entries = self.graph.entries(nodes)
        if not self.allowed[:-1].all():
            entries = entries[self.allowed[self.graph.kinds[entries]]]
        return entries

    def expand(self, nodes: Numbers) -> tuple[Numbers, Numbers]:
        """Return the edges at the nodes: other ends, and the nodes they are at, in their order."""
        entries = self.graph.entries(nodes)
        owners = np.repeat(nodes, self.graph.degrees(nodes))
        if not self.allowed[:-1].all():
            used = self.allowed[self.graph.kinds[entries]]
            entries, owners = entries[used], owners[used]
        return self.graph.ends[entries], owners

    def neighbors(self, node: int) -> tuple[Numbers, Numbers]:
        """Return a node's neighbours, ascending, and the weight of all edges to each (int64)."""
        at = slice(self.graph.starts[node], self.graph.starts[node + 1])
        ends, weights = self.graph.ends[at], self.graph.weights[at]
        used = ends != node
        if not self.allowed[:-1].all():
            used &= self.allowed[self.graph.kinds[at]]
        if not used.all():
            ends, weights = ends[used], weights[used]
        if not len(ends):
            return ends, weights.astype(np.int64)
        first = np.flatnonzero(np.append(True, ends[1:] != ends[:-1]))
        if len(first) == len(ends):
            return ends, weights.astype(np.int64)
        return ends[first], np.add.reduceat(weights, first, dtype=np.int64)

    def between(self, near: int, far: int) -> tuple[Numbers, Numbers]:
        """Return the kinds, ascending, and weights of the edges between two nodes, from `near`."""
        at = slice(self.graph.starts[near], self.graph.starts[near + 1])
        found = slice(*(at.start + np.searchsorted(self.graph.ends[at], [far, far + 1])))
        used = self.allowed[self.graph.kinds[found]]
        return self.graph.kinds[found][used], self.graph.weights[found][used]


def _storable(entity_id: str) -> str | None:
    """Return an id that was asked for; None for one that UTF-8 can't hold, which nothing has."""
    try:
        entity_id.encode()
    except UnicodeEncodeError:
        return None
    return entity_id
