"""Louvain and Leiden: divisions of a graph of high modularity."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from scipy import sparse

from stupid_dagster.compute.graph.adjacency import Adjacency
from stupid_dagster.compute.graph.partitions import Labels

# On graphs of 7M edges, 10 rounds cost three times as much and gained 0.00004 of modularity.
_LEIDEN_ROUNDS = 3
# NetworKit's seed and number of threads belong to the process.
_NETWORKIT = threading.Lock()


def louvain_and_leiden(adjacency: Adjacency, *, seed: int) -> tuple[Labels, Labels]:
    """Return a community's label for each node, int [n], by Louvain and by Leiden.

    The graph is undirected; weights count; the resolution is 1. Labels are in no order. The
    same graph and seed give the same labels: both run in one thread. Neither promises connected
    communities. Sources: Blondel and others: Fast unfolding of communities in large networks,
    J. Stat. Mech. (2008), as in NetworKit's PLM; Traag, Waltman, van Eck: From Louvain to
    Leiden, Scientific Reports 9 (2019), as in NetworKit's ParallelLeiden.
    """
    if not adjacency.matrix.nnz:
        alone = np.arange(adjacency.size, dtype=np.int64)
        return alone, alone
    with _single_thread(seed) as networkit:
        upper = sparse.triu(adjacency.matrix, format="csr")
        graph = networkit.graph.GraphFromCsr(upper, directed=False, weighted=True)
        del upper
        louvain = _labels(networkit.community.PLM(graph))
        networkit.setSeed(seed, False)
        leiden = _labels(
            networkit.community.ParallelLeiden(graph, randomize=True, iterations=_LEIDEN_ROUNDS)
        )
        return louvain, leiden


@contextmanager
def _single_thread(seed: int) -> Iterator[Any]:
    """Yield NetworKit, seeded; with more than one thread it is random, whatever the seed."""
    import networkit  # takes seconds

    with _NETWORKIT:
        threads = networkit.getMaxNumberOfThreads()
        networkit.setNumberOfThreads(1)
        networkit.setSeed(seed, False)
        try:
            yield networkit
        finally:
            networkit.setNumberOfThreads(threads)


def _labels(method: Any) -> Labels:
    method.run()
    return np.array(method.getPartition().getVector(), dtype=np.int64)
