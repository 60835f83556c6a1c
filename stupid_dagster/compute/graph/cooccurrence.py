"""Entities that the same actors are linked to, by pairs of entity types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy import sparse, special

from stupid_dagster.event_model import EventModel
from stupid_dagster.tables import TABLES, conform

MIN_ACTORS = 5
"""Actors that must be linked to both of two entities, and so to each of them."""
MAX_ENTITIES = 5_000
"""Entities of a type that are paired, those of most actors: 25 million pairs at most."""
MAX_ROWS = 1_000
"""Rows of the table for a pair of types, those of the highest lower bound."""
ERROR_SHARE = 0.05
"""Chance that any bound of a pair of types is too high; shared by all its pairs."""
_BLOCK = 256


@dataclass(frozen=True, eq=False)
class Cooccurrence:
    """The table `cooccurrence`, and what it was drawn from.

    Per pair of types: `universe` actors have links of both; of `possible` pairs of entities,
    `tested` are of enough actors. `left_out` counts, per entity type, entities with too few
    actors or beyond the most that are paired.
    """

    table: pl.DataFrame
    universe: Mapping[str, int]
    possible: Mapping[str, int]
    tested: Mapping[str, int]
    left_out: Mapping[str, int]


@dataclass(frozen=True, eq=False)
class _Links:
    """Which actors are linked to which entities of a type: 0/1, int32 [actors, entities].

    `ids` (ascending) and `matrix` are of the entities that are paired, `linked` (bool [actors])
    of all.
    """

    ids: pl.Series
    matrix: sparse.csr_array
    linked: np.ndarray
    left_out: int


def find_cooccurrence(
    model: EventModel, nodes: pl.DataFrame | pl.LazyFrame, edges: pl.DataFrame | pl.LazyFrame
) -> Cooccurrence:
    """Return which entities the same actors are linked to, for the event model's pairs of types.

    `nodes` and `edges` are the tables `graph_nodes` and `graph_edges`, in whatever row order. An
    actor is linked to an entity by any edge between them. Test accounts are left out. All counts
    of a pair of types are of the actors with links of both types. PMI is log2 of how much more
    often than chance two entities have an actor in common (Church and Hanks, "Word Association
    Norms, Mutual Information, and Lexicography", 1990); NPMI is Bouma's (2009).

    `pmi_low` takes for the share of actors with both the lower bound of Clopper and Pearson
    (1934) at a level of 5 % over the number of possible pairs (Bonferroni), so that no chance
    pair leads, however many there are; the shares of each alone count as known.
    """
    lazy_nodes, lazy_edges = nodes.lazy(), edges.lazy()
    is_actor = (pl.col("type") == model.actor) & ~pl.col("is_test")
    actors = lazy_nodes.filter(is_actor).select("entity_id").collect()["entity_id"].sort()
    pairs = list(dict.fromkeys(model.cooccurrence))
    types = dict.fromkeys(name for pair in pairs for name in pair)
    links = {name: _links(model, name, actors, lazy_edges) for name in types}
    frames = [TABLES["cooccurrence"].empty()]
    universe, possible, tested = {}, {}, {}
    for pair in pairs:
        title = " x ".join(pair)
        left, right = (links[name] for name in pair)
        same = pair[0] == pair[1]
        n_left, n_right = len(left.ids), len(right.ids)
        possible[title] = n_left * (n_left - 1) // 2 if same else n_left * n_right
        found = _count_pairs(left, right, same)
        universe[title], tested[title] = found.universe, len(found.both)
        best = _best(left.ids, right.ids, found, possible[title])
        frames.append(conform("cooccurrence", best.with_columns(pair=pl.lit(title))))
    table = pl.concat(frames)
    left_out = {name: link.left_out for name, link in links.items()}
    return Cooccurrence(table, universe, possible, tested, left_out)


def _links(model: EventModel, name: str, actors: pl.Series, edges: pl.LazyFrame) -> _Links:
    """Return the links of actors (ascending ids) with the entities of a type."""
    ends = []
    for edge_name, edge in model.edges.items():
        of_type = edges.filter(pl.col("type") == edge_name, pl.col("source") != pl.col("target"))
        if edge.ends == (model.actor, name):
            ends.append(of_type.select(actor="source", entity="target"))
        if edge.ends == (name, model.actor):
            ends.append(of_type.select(actor="target", entity="source"))
    empty = pl.DataFrame(schema={"actor": pl.String, "entity": pl.String})
    rows, columns, ids = _codes(pl.concat([empty.lazy(), *ends]).collect(), actors)
    matrix = sparse.csr_array(
        (np.ones(len(rows), dtype=np.int32), (rows, columns)), shape=(len(actors), len(ids))
    )
    matrix.sum_duplicates()
    matrix.data[:] = 1
    often = np.bincount(matrix.indices, minlength=len(ids))
    # Of entities that as many actors have as the first left out, none is taken.
    least = MIN_ACTORS
    if len(often) > MAX_ENTITIES:
        least = max(least, int(np.sort(often)[-MAX_ENTITIES - 1]) + 1)
    kept = np.flatnonzero(often >= least)
    return _Links(
        ids.gather(kept),
        sparse.csr_array(matrix.tocsc()[:, kept].tocsr()),
        np.diff(matrix.indptr) > 0,
        len(ids) - len(kept),
    )


def _codes(ends: pl.DataFrame, actors: pl.Series) -> tuple[np.ndarray, np.ndarray, pl.Series]:
    """Return each link's place in `actors` and in the entities, and these; others are dropped."""
    ids = ends["entity"].unique().sort()
    entities = ends["entity"].cast(pl.Enum(ids)).to_physical().to_numpy()
    # Edges of an actor mostly lie together: fewer runs than edges to look up.
    runs = pl.DataFrame({"run": ends["actor"].rle()}).unnest("run")
    known = pl.DataFrame({"value": actors}).with_row_index("place")
    found = runs.join(known, on="value", how="left", maintain_order="left")
    places = np.repeat(found["place"].fill_null(len(actors)).to_numpy(), runs["len"].to_numpy())
    is_known = places < len(actors)
    return places[is_known], entities[is_known], ids


@dataclass(frozen=True, eq=False)
class _Counts:
    """Pairs of entities with enough actors: their places, and the actors of each and of both.

    All are among the `universe` actors with links of both types.
    """

    universe: int
    left: np.ndarray
    right: np.ndarray
    left_actors: np.ndarray
    right_actors: np.ndarray
    both: np.ndarray


def _count_pairs(left: _Links, right: _Links, same: bool) -> _Counts:
    """Count the actors of each pair; where both types are the `same`, each pair once."""
    universe = left.linked & right.linked
    of_left, of_right = left.matrix[universe], right.matrix[universe]
    transposed = sparse.csr_array(of_left.T)
    nothing = np.zeros(0, dtype=np.int64)
    rows, columns, counts = [nothing], [nothing], [nothing]
    for start in range(0, len(left.ids), _BLOCK):
        product = (transposed[start : start + _BLOCK] @ of_right).tocoo()
        enough = product.data >= MIN_ACTORS
        if same:
            enough &= product.row + start < product.col
        rows.append(product.row[enough] + start)
        columns.append(product.col[enough])
        counts.append(product.data[enough])
    row, column = np.concatenate(rows), np.concatenate(columns)
    left_actors = np.bincount(of_left.indices, minlength=len(left.ids))[row]
    right_actors = np.bincount(of_right.indices, minlength=len(right.ids))[column]
    both = np.concatenate(counts)
    return _Counts(int(universe.sum()), row, column, left_actors, right_actors, both)


def _best(left: pl.Series, right: pl.Series, found: _Counts, possible: int) -> pl.DataFrame:
    """Return the rows of the table for a pair of types, but for `pair`."""
    universe, both = found.universe, found.both.astype(np.float64)
    expected = found.left_actors / max(1, universe) * found.right_actors
    pmi = np.log2(both / expected)
    level = ERROR_SHARE / max(1, possible)
    low = np.log2(special.betaincinv(both, universe - both + 1, level) * universe / expected)
    # Entities are in the order of their ids: ties are broken by these.
    best = np.lexsort((found.right, found.left, -low))[:MAX_ROWS]
    support = both[best] / max(1, universe)
    information = -np.log2(support)
    return pl.DataFrame(
        {
            "left": left.gather(found.left[best]),
            "right": right.gather(found.right[best]),
            "left_actors": found.left_actors[best],
            "right_actors": found.right_actors[best],
            "both_actors": found.both[best],
            "support": support,
            "lift": both[best] / expected[best],
            "pmi": pmi[best],
            # Where every actor has both, nothing is told: PMI and information are 0.
            "npmi": np.divide(
                pmi[best], information, out=np.zeros(len(best)), where=information > 0
            ),
            "pmi_low": low[best],
            "rank": np.arange(1, len(best) + 1),
        }
    )
