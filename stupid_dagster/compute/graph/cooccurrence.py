"""Entities that the same actors are linked to, by pairs of entity types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
LINKS_AT_ONCE = 8_000_000
"""Edges of a type that are read at once, a block of actors' about: a bound of about 2 GB."""
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
    """Which actors are linked to which entities of a type, by blocks of actors.

    Each of `blocks` is 0/1, int8 [actors of the block, entities]. `ids` (ascending) and blocks are
    of the entities that are paired, `linked` (a bool [actors of the block] each) of all.
    """

    ids: pl.Series
    blocks: Sequence[sparse.csr_array]
    linked: Sequence[np.ndarray]
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

    Where a type has very many edges, actors are taken block by block, and counts are added up.
    Memory is then that of a block, and five bytes per link of an actor with an entity.
    """
    lazy_nodes, lazy_edges = nodes.lazy(), edges.lazy()
    is_actor = (pl.col("type") == model.actor) & ~pl.col("is_test")
    actors = lazy_nodes.filter(is_actor).select("entity_id").collect()["entity_id"].sort()
    pairs = list(dict.fromkeys(model.cooccurrence))
    types = dict.fromkeys(name for pair in pairs for name in pair)
    ends = {name: _ends(model, name, lazy_edges) for name in types}
    blocks = _blocks(actors, ends.values())
    links = {name: _links(of_type, blocks) for name, of_type in ends.items()}
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


def _ends(model: EventModel, name: str, edges: pl.LazyFrame) -> pl.LazyFrame:
    """Return the actor and the entity of each edge between actors and entities of a type."""
    ends = [pl.LazyFrame(schema={"actor": pl.String, "entity": pl.String})]
    for edge_name, edge in model.edges.items():
        of_type = edges.filter(pl.col("type") == edge_name, pl.col("source") != pl.col("target"))
        if edge.ends == (model.actor, name):
            ends.append(of_type.select(actor="source", entity="target"))
        if edge.ends == (name, model.actor):
            ends.append(of_type.select(actor="target", entity="source"))
    return pl.concat(ends)


def _blocks(actors: pl.Series, ends: Iterable[pl.LazyFrame]) -> list[pl.Series]:
    """Return actors (ascending ids) in blocks of about as many edges as are read at once."""
    rows = [each.select(pl.len()).collect(engine="streaming").item() for each in ends]
    number = max(1, -(-max(rows, default=0) // LINKS_AT_ONCE))
    size = max(1, -(-len(actors) // number))
    return [actors.slice(start, size) for start in range(0, max(1, len(actors)), size)]


def _links(ends: pl.LazyFrame, blocks: Sequence[pl.Series]) -> _Links:
    """Return the links of actors, in blocks of ascending ids, with the entities of a type."""
    ids = ends.select(pl.col("entity").unique()).collect(engine="streaming")["entity"].sort()
    often = np.zeros(len(ids), dtype=np.int64)
    matrices: list[sparse.csr_array] = []
    for actors in blocks:
        own = ends
        if len(blocks) > 1:
            first, last = pl.lit(actors[0]), pl.lit(actors[-1])
            own = ends.filter(pl.col("actor").is_between(first, last))
        rows, columns = _codes(own.collect(engine="streaming"), actors, ids)
        matrix = sparse.csr_array(
            (np.ones(len(rows), dtype=np.int8), (rows, columns)), shape=(len(actors), len(ids))
        )
        matrix.sum_duplicates()
        matrix.data[:] = 1
        often += np.bincount(matrix.indices, minlength=len(ids))
        matrices.append(matrix)
    # Of entities that as many actors have as the first left out, none is taken.
    least = MIN_ACTORS
    if len(often) > MAX_ENTITIES:
        least = max(least, int(np.sort(often)[-MAX_ENTITIES - 1]) + 1)
    kept = np.flatnonzero(often >= least)
    return _Links(
        ids.gather(kept),
        [sparse.csr_array(matrix.tocsc()[:, kept].tocsr()) for matrix in matrices],
        [np.diff(matrix.indptr) > 0 for matrix in matrices],
        len(ids) - len(kept),
    )


def _codes(ends: pl.DataFrame, actors: pl.Series, ids: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    """Return each link's place in `actors` and in the entities' `ids`, without other actors'."""
    entities = ends["entity"].cast(pl.Enum(ids)).to_physical().to_numpy()
    # Edges of an actor mostly lie together: fewer runs than edges to look up.
    runs = pl.DataFrame({"run": ends["actor"].rle()}).unnest("run")
    known = pl.DataFrame({"value": actors}).with_row_index("place")
    found = runs.join(known, on="value", how="left", maintain_order="left")
    places = np.repeat(found["place"].fill_null(len(actors)).to_numpy(), runs["len"].to_numpy())
    is_known = places < len(actors)
    return places[is_known], entities[is_known]


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
    universe = 0
    left_actors = np.zeros(len(left.ids), dtype=np.int64)
    right_actors = np.zeros(len(right.ids), dtype=np.int64)
    both = np.zeros((len(left.ids), len(right.ids)), dtype=np.int32)
    for number, linked in enumerate(left.linked):
        used = linked & right.linked[number]
        of_left, of_right = (links.blocks[number][used].astype(np.int32) for links in (left, right))
        universe += int(used.sum())
        left_actors += np.bincount(of_left.indices, minlength=len(left.ids))
        right_actors += np.bincount(of_right.indices, minlength=len(right.ids))
        transposed = sparse.csr_array(of_left.T)
        for start in range(0, len(left.ids), _BLOCK):
            product = (transposed[start : start + _BLOCK] @ of_right).tocoo()
            both[product.row + start, product.col] += product.data
    row, column = np.nonzero(np.triu(both >= MIN_ACTORS, 1) if same else both >= MIN_ACTORS)
    return _Counts(universe, row, column, left_actors[row], right_actors[column], both[row, column])


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
