"""PageRank: which entities events flow to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from stupid_dagster.compute.graph.adjacency import Adjacency
from stupid_dagster.errors import ComputeError
from stupid_dagster.tables import TABLES, conform


@dataclass(frozen=True, eq=False)
class PageRankResult:
    """Scores, and how they were reached.

    `table` is the table `pagerank`, best first. `residual` is the sum of the absolute changes
    of the last round; `converged` says that it fell below the tolerance.
    """

    table: pl.DataFrame
    iterations: int
    converged: bool
    residual: float


def pagerank(
    adjacency: Adjacency,
    damping: float = 0.85,
    tolerance: float = 1e-6,
    max_iterations: int = 100,
    *,
    previous: pl.DataFrame | None = None,
) -> PageRankResult:
    """Return the weighted PageRank of an undirected graph, by power iteration.

    A random walker goes on, with probability `damping`, along an edge chosen in proportion to
    its weight, and else to any node; from a node without edges always to any node. Iteration
    ends when the scores' total change in a round is below `tolerance` (the scores are then off
    by at most tolerance * damping / (1 - damping), all together), or after `max_iterations`.
    Equal scores are ranked by entity id. `previous` is the previous window's table (entity_id,
    score and type_rank are read), for the columns that compare with it. Raises ComputeError for
    parameters out of range. Source: Page, Brin, Motwani, Winograd: The PageRank Citation Ranking,
    Stanford 1999.
    """
    _check(damping, tolerance, max_iterations)
    if not adjacency.size:
        return PageRankResult(_table(adjacency, np.zeros(0), previous), 0, True, 0.0)
    size, strength = adjacency.size, adjacency.strength
    isolated = strength == 0
    share = np.where(isolated, 0.0, 1.0 / np.where(isolated, 1.0, strength))
    scores = np.full(size, 1.0 / size)
    iterations, residual = 0, np.inf
    while residual >= tolerance and iterations < max_iterations:
        # The matrix is symmetric, hence its own transpose.
        walked = adjacency.matrix @ (scores * share)
        jumped = damping * scores[isolated].sum() + 1.0 - damping
        following = damping * walked + jumped / size
        residual = float(np.abs(following - scores).sum())
        scores = following
        iterations += 1
    table = _table(adjacency, scores, previous)
    return PageRankResult(table, iterations, residual < tolerance, residual)


def rank_changes(table: pl.DataFrame, most: int = 3) -> pl.DataFrame:
    """Return the entities whose score changed most since the previous window, per type.

    `table` is the table `pagerank`. Columns: type, entity_id, type_rank, previous_type_rank,
    score, change; sorted by type, the biggest change first. An entity that wasn't there before
    had no score. Empty where no entity has a previous score.
    """
    if table["previous_score"].null_count() == table.height:
        table = table.clear()
    change = pl.col("score") - pl.col("previous_score").fill_null(0.0)
    return (
        table.select("type", "entity_id", "type_rank", "previous_type_rank", "score", change=change)
        .filter(pl.col("change") != 0)
        .sort("type", pl.col("change").abs(), "entity_id", descending=[False, True, False])
        .group_by("type", maintain_order=True)
        .head(most)
    )


def _table(adjacency: Adjacency, scores: np.ndarray, previous: pl.DataFrame | None) -> pl.DataFrame:
    table = (
        pl.DataFrame({"entity_id": adjacency.ids, "type": adjacency.types, "score": scores})
        .sort("score", "entity_id", descending=[True, False])
        .with_row_index("rank", offset=1)
        .with_columns(type_rank=pl.col("rank").rank("ordinal").over("type"))
    )
    if previous is None:
        previous = TABLES["pagerank"].empty()
    before = previous.select("entity_id", previous_score="score", previous_type_rank="type_rank")
    return conform(
        "pagerank", table.join(before, on="entity_id", how="left", maintain_order="left")
    )


def _check(damping: float, tolerance: float, max_iterations: int) -> None:
    if not 0 <= damping < 1:
        raise ComputeError(f"damping is {damping}; it must be at least 0 and less than 1")
    if not tolerance > 0:
        raise ComputeError(f"tolerance is {tolerance}; it must be greater than 0")
    if max_iterations < 1:
        raise ComputeError(f"max_iterations is {max_iterations}; it must be at least 1")
