"""Communities: groups of nodes that are more connected with each other than with the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import polars as pl

from stupid_dagster.compute.graph.adjacency import Adjacency
from stupid_dagster.compute.graph.label_propagation import Propagation, label_propagation
from stupid_dagster.compute.graph.modularity_methods import louvain_and_leiden
from stupid_dagster.compute.graph.partitions import (
    Labels,
    inside_and_total,
    largest_first,
    modularity,
    split_disconnected,
)
from stupid_dagster.compute.identity import match_groups
from stupid_dagster.errors import ComputeError
from stupid_dagster.tables import conform

Algorithm = Literal["leiden", "louvain", "label_propagation"]


@dataclass(frozen=True, eq=False)
class CommunityResult:
    """The graph's communities, by all algorithms, and how they changed.

    `communities` (largest first), `members` (sorted by entity_id), `methods`, `changes` and
    `moves` are the tables `communities`, `community_members`, `community_methods`,
    `community_changes` and `community_moves`. `modularity` is that of the chosen algorithm.
    `next_number` is above the number of every id that was ever used. `propagation` says how label
    propagation ended.
    """

    communities: pl.DataFrame
    members: pl.DataFrame
    methods: pl.DataFrame
    changes: pl.DataFrame
    moves: pl.DataFrame
    modularity: float
    next_number: int
    propagation: Propagation


def communities(
    adjacency: Adjacency,
    pagerank_table: pl.DataFrame,
    actor_type: str,
    *,
    algorithm: Algorithm,
    seed: int,
    previous_members: pl.DataFrame | None = None,
    next_number: int = 0,
    key_members: int = 10,
) -> CommunityResult:
    """Return the communities of an undirected, weighted graph.

    Louvain, Leiden and label propagation each divide the nodes that have an edge to another;
    the rest are in no community. What an algorithm leaves in pieces is taken apart, so that each
    community is connected. The table `communities` is that of `algorithm`. Its ids are those of
    the `previous_members` (entity_id, community_id) where `match_groups` finds the same
    community; new ones count from `next_number` on, the largest first, of equals the one with the
    smallest entity id. The algorithms' own columns are numbered in that order from 0.
    `key_members` is how many of each are listed, best PageRank first; `actor_type` is the entity
    type counted as actors. The same graph (in any row order), seed and previous members give the
    same tables. Raises ComputeError for nodes that `pagerank_table` lacks, and for parameters out
    of range.
    """
    _check(algorithm, seed, key_members)
    louvain, leiden = louvain_and_leiden(adjacency, seed=seed)
    propagation = label_propagation(adjacency, seed=seed)
    found = {"louvain": louvain, "leiden": leiden, "label_propagation": propagation.labels}
    # Nodes without edges are each alone, and so come last.
    partitions = {
        name: largest_first(split_disconnected(adjacency, labels)) for name, labels in found.items()
    }
    linked = pl.Series(np.diff(adjacency.matrix.indptr) > 0)
    nodes = pl.DataFrame(
        {"entity_id": adjacency.ids, "type": adjacency.types, **partitions}
    ).filter(linked)
    modularities = {name: modularity(adjacency, labels) for name, labels in partitions.items()}
    members = nodes.select("entity_id", "type", number=algorithm)
    identity = match_groups(
        "community",
        members.select(member="entity_id", group="number"),
        _previous(previous_members),
        next_number=next_number,
    )
    ids = identity.ids.rename({"group": "number", "group_id": "community_id"})
    table = (
        _profile(members, pagerank_table, actor_type, key_members)
        .join(_weights(adjacency, partitions[algorithm]), on="number")
        .join(ids, on="number")
        .sort("number")
    )
    with_ids = nodes.join(ids, left_on=algorithm, right_on="number", maintain_order="left")
    return CommunityResult(
        conform("communities", table.drop("number")),
        conform("community_members", with_ids),
        _methods(nodes, modularities, algorithm),
        conform("community_changes", identity.changes),
        conform("community_moves", identity.moves),
        modularities[algorithm],
        identity.next_number,
        propagation,
    )


def _previous(members: pl.DataFrame | None) -> pl.DataFrame | None:
    if members is None:
        return None
    return members.select(member="entity_id", group="community_id")


def _methods(
    nodes: pl.DataFrame, modularities: Mapping[str, float], chosen: Algorithm
) -> pl.DataFrame:
    from sklearn.metrics import adjusted_rand_score

    rows = []
    for name, value in modularities.items():
        sizes = nodes.group_by(name).len()["len"]
        rows.append(
            {
                "algorithm": name,
                "chosen": name == chosen,
                "communities": len(sizes),
                "largest": sizes.max() or 0,
                "modularity": value,
                "agreement": float(adjusted_rand_score(nodes[chosen], nodes[name])),
            }
        )
    return conform("community_methods", pl.DataFrame(rows))


def _profile(
    members: pl.DataFrame, pagerank_table: pl.DataFrame, actor_type: str, key_members: int
) -> pl.DataFrame:
    """Return number, size, actors, key_members and types of each community."""
    ranked = members.join(pagerank_table.select("entity_id", "rank"), on="entity_id", how="left")
    if missing := ranked["rank"].null_count():
        raise ComputeError(
            f"{missing} nodes of the graph have no PageRank; compute it from the same graph"
        )
    types = (
        members.group_by("number", "type")
        .agg(members=pl.len())
        .sort("members", "type", descending=[True, False])
        .group_by("number", maintain_order=True)
        .agg(types=pl.struct("type", pl.col("members").cast(pl.UInt32)))
    )
    best = ranked.sort("rank").group_by("number", maintain_order=True)
    return best.agg(
        size=pl.len(),
        actors=(pl.col("type") == actor_type).sum(),
        key_members=pl.col("entity_id").head(key_members),
    ).join(types, on="number")


def _weights(adjacency: Adjacency, labels: Labels) -> pl.DataFrame:
    """Return number, internal_weight and external_weight of each community."""
    inside, total = inside_and_total(adjacency, labels)
    return pl.DataFrame(
        {
            "number": np.arange(len(total)),
            "internal_weight": inside / 2,
            "external_weight": total - inside,
        }
    )


def _check(algorithm: str, seed: int, key_members: int) -> None:
    if algorithm not in get_args(Algorithm):
        raise ComputeError(
            f"algorithm is {algorithm!r}; it must be one of {', '.join(get_args(Algorithm))}"
        )
    if seed < 0:
        raise ComputeError(f"seed is {seed}; it must not be negative")
    if key_members < 0:
        raise ComputeError(f"key_members is {key_members}; it must not be negative")
