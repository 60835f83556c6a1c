"""The window's edges by node: what traversals and paths walk along."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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

    `ids` and `types` are entity ids, ascending, and their entity types; a node's number is its
    row there. Entries `starts[v]` to `starts[v + 1]` are those at node v, ascending by the
    number of the other end in `ends` [2 m]; `weights` and `kinds` belong to them. A kind is twice
    the edge type's place in `edge_types`, and one more where the edge comes in. Loops are left out.
    """

    ids: pl.Series
    types: pl.Series
    starts: Numbers
    ends: Numbers
    weights: Numbers
    kinds: Numbers
    edge_types: tuple[str, ...]

    @classmethod
    def of(cls, graph: NumberedGraph) -> Incidence:
        """Return the edges of a graph by node."""
        nodes = graph.nodes
        edges = graph.edges.filter(pl.col("source") != pl.col("target"))
        edge_types = edges["type"].cast(pl.String).unique().sort()
        # Matrix columns are ends and kinds in one, so that parallel edges stay apart.
        kinds = max(2 * len(edge_types), 1)
        width = nodes.height * kinds
        index = np.int32 if width < 2**31 else np.int64
        source, target = (edges[end].to_numpy().astype(index) for end in ("source", "target"))
        kind = 2 * edges["type"].cast(pl.Enum(edge_types)).to_physical().to_numpy().astype(index)
        rows = np.concatenate([source, target])
        columns = np.concatenate([target * kinds + kind, source * kinds + kind + 1])
        weights = edges["weight"].to_numpy()
        matrix = sparse.coo_array(
            (np.concatenate([weights, weights]), (rows, columns)), shape=(nodes.height, width)
        ).tocsr()
        matrix.sort_indices()
        ends = matrix.indices // kinds
        return cls(
            nodes["entity_id"],
            nodes["type"],
            matrix.indptr,
            ends.astype(np.int32),
            np.asarray(matrix.data, dtype=weights.dtype),
            (matrix.indices - ends * kinds).astype(np.min_scalar_type(kinds)),
            tuple(edge_types),
        )

    @property
    def size(self) -> int:
        """Number of nodes."""
        return len(self.ids)

    @property
    def bytes(self) -> int:
        """Bytes in memory."""
        arrays = (self.starts, self.ends, self.weights, self.kinds)
        return sum(array.nbytes for array in arrays) + int(self.ids.estimated_size())

    def number(self, entity_id: str) -> int:
        """Return an entity's node; raises ComputeError when there is none."""
        at = int(self.ids.search_sorted(entity_id)) if self.size else 0
        if at == self.size or self.ids[at] != entity_id:
            raise ComputeError(f"the graph has no entity {entity_id[:200]!r}")
        return at

    def view(self, edge_types: Sequence[str] | None = None, direction: Direction = "both") -> View:
        """Return the graph as one sees it who follows edges of these types, this way."""
        allowed = np.zeros(2 * len(self.edge_types) + 1, dtype=bool)
        for place, edge_type in enumerate(self.edge_types):
            if edge_types is None or edge_type in edge_types:
                allowed[2 * place] = direction != "in"
                allowed[2 * place + 1] = direction != "out"
        return View(self, allowed)


@dataclass(frozen=True, eq=False)
class View:
    """A graph's edges of some kinds: `allowed` [kinds + 1] says which."""

    graph: Incidence
    allowed: NDArray[np.bool_]

    def reversed(self) -> View:
        """Return the same edges, walked the other way."""
        pairs = self.allowed[:-1].reshape(-1, 2)[:, ::-1].ravel()
        return View(self.graph, np.append(pairs, False))

    def work(self, nodes: Numbers) -> int:
        """Return the number of entries at the nodes, which is what expanding them costs."""
        return int((self.graph.starts[nodes + 1] - self.graph.starts[nodes]).sum())

    def expand(self, nodes: Numbers) -> tuple[Numbers, Numbers]:
        """Return the edges at the nodes: other ends, and the nodes they are at, in their order."""
        first = self.graph.starts[nodes].astype(np.int64)
        counts = self.graph.starts[nodes + 1] - first
        before = np.cumsum(counts) - counts
        entries = np.repeat(first - before, counts)
        entries += np.arange(len(entries))
        owners = np.repeat(nodes, counts)
        if not self.allowed[:-1].all():
            used = self.allowed[self.graph.kinds[entries]]
            entries, owners = entries[used], owners[used]
        return self.graph.ends[entries], owners

    def neighbours(self, node: int) -> tuple[Numbers, Numbers]:
        """Return a node's neighbours, ascending, and the weight of all edges to each (int64)."""
        at = slice(self.graph.starts[node], self.graph.starts[node + 1])
        ends, weights = self.graph.ends[at], self.graph.weights[at]
        if not self.allowed[:-1].all():
            used = self.allowed[self.graph.kinds[at]]
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
