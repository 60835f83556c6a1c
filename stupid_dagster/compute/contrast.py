"""What sets any set of actors apart from all other actors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from stupid_dagster.compute.anomalies.signals.links import INCOMING
from stupid_dagster.compute.arrays import Floats
from stupid_dagster.compute.graph.incidence import Incidence
from stupid_dagster.compute.profiles.members import MIN_SUPPORT, MIN_SUPPORT_SHARE

CONTRAST_SCHEMA: dict[str, Any] = {
    "kind": pl.String,
    "name": pl.String,
    "value": pl.String,
    "set": pl.Float64,
    "rest": pl.Float64,
    "z": pl.Float64,
    "lift": pl.Float64,
    "actors": pl.UInt32,
}
_MANY = 5_000
"""Ids from which all actors are asked whether they are among them, rather than each id sought."""
Numbers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Population:
    """All actors of a window, as `contrast` compares some of them with the others.

    `nodes` [n] are the actors' numbers in `graph`, ascending; an actor's place is its row here.
    `values` [n, features] are 0 where an actor has none, which `has` says; `deviations` are over
    those that have one. `linked` counts the actors at each relation to an entity, as `_linked`
    does; `properties` has a column of texts per property.
    """

    graph: Incidence
    nodes: Numbers
    features: tuple[str, ...]
    values: Floats
    has: NDArray[np.bool_]
    deviations: Floats
    linked: pl.DataFrame
    properties: pl.DataFrame

    @classmethod
    def of(
        cls, graph: Incidence, nodes: pl.DataFrame, features: pl.DataFrame, actor: str
    ) -> Population:
        """Return the population of a graph with all edges, test accounts left out.

        `nodes` is `graph_nodes` in its order, that of the graph's ids; `features` the table of
        that name, whose actors may be fewer; `actor` the entity type of actors.
        """
        people = nodes.with_row_index("node").filter(
            pl.col("type") == actor, ~pl.col("is_test").fill_null(value=False)
        )
        names = tuple(name for name in features.columns if name != "actor")
        measured = people.select(actor="entity_id").join(
            features, on="actor", how="left", maintain_order="left"
        )
        columns = measured.select(pl.col(names).cast(pl.Float64).fill_nan(None))
        numbers = people["node"].to_numpy().astype(np.int64)
        texts = [
            field.name
            for field in getattr(nodes.schema["properties"], "fields", [])
            if field.dtype == pl.String
        ]
        properties = people.select(pl.col("properties").struct.field(*texts) if texts else [])
        told = [name for name in texts if properties[name].null_count() < properties.height]
        return cls(
            graph,
            numbers,
            names,
            columns.fill_null(0).to_numpy(),
            columns.select(pl.all().is_not_null()).to_numpy(),
            np.array([_deviation(column) for column in columns]),
            _linked(graph, numbers),
            properties.select(pl.col(told).cast(pl.Categorical)),
        )

    @property
    def size(self) -> int:
        """Number of actors."""
        return len(self.nodes)

    @property
    def bytes(self) -> int:
        """Bytes in memory, the graph's left out."""
        frames = self.linked.estimated_size() + self.properties.estimated_size()
        return self.nodes.nbytes + self.values.nbytes + self.has.nbytes + int(frames)

    def places(self, actors: pl.Series) -> Numbers:
        """Return the places of those that are actors of the window, ascending, each once."""
        ids = self.graph.ids
        if not (self.size and len(actors)):
            return np.empty(0, dtype=np.int64)
        if len(actors) >= _MANY:
            own = ids.gather(self.nodes)
            return own.is_in(actors.implode()).arg_true().to_numpy().astype(np.int64)
        # In order, a search finds what it needs where the last one left it.
        actors = actors.unique().sort()
        at = ids.search_sorted(actors).to_numpy().astype(np.int64).clip(max=len(ids) - 1)
        at = at[(ids.gather(at) == actors).to_numpy()]
        found = np.searchsorted(self.nodes, at).clip(max=self.size - 1)
        return found[self.nodes[found] == at]


def contrast(population: Population, places: Numbers) -> pl.DataFrame:
    """Return how the actors at `places` differ from the others, the strongest first.

    - feature: `set` and `rest` are the means of those that have a value, `actors` how many of the
      set have one.
    - property: a value's share among those that have the property.
    - entity: the share that an edge of that type (`name`; ":in" where it comes from the entity)
      links to the entity in `value`.

    z is the difference of set and rest over the standard deviation among all actors, of a share
    that of yes and no, sqrt(p (1 - p)): one measure of effect for all three kinds, which doesn't
    grow with the set's size. `lift` is a share in the set over that of all, null for features.
    Rows by |z|, then kind, name and value. Left out is what doesn't differ at all, and what fewer
    than 3 actors (of a set of one or two: all of it) or 5 % of their side show, on either side.
    """
    rest = population.size - len(places)
    if not len(places) or not rest:
        return pl.DataFrame(schema=CONTRAST_SCHEMA)
    shares = pl.concat([_entities(population, places), _properties(population, places)])
    overall = (pl.col("actors") + pl.col("others")) / (pl.col("of_set") + pl.col("of_rest"))
    told = (
        shares.filter(
            _supported("actors", "of_set") | _supported("others", "of_rest"), pl.col("of_set") > 0
        )
        .with_columns(
            set=pl.col("actors") / pl.col("of_set"),
            rest=pl.col("others") / pl.col("of_rest"),
            all=overall,
        )
        .with_columns(
            z=(pl.col("set") - pl.col("rest")) / (pl.col("all") * (1 - pl.col("all"))).sqrt(),
            lift=pl.col("set") / pl.col("all"),
        )
    )
    return (
        pl.concat([told.select(_COLUMNS), _features(population, places)])
        .filter(pl.col("z").is_finite(), pl.col("z") != 0)
        .sort(pl.col("z").abs(), "kind", "name", "value", descending=[True, False, False, False])
    )


def _supported(actors: str, of: str) -> pl.Expr:
    enough = pl.min_horizontal(pl.lit(MIN_SUPPORT), pl.col(of))
    return (pl.col(actors) >= enough) & (pl.col(actors) >= MIN_SUPPORT_SHARE * pl.col(of))


def _features(population: Population, places: Numbers) -> pl.DataFrame:
    count = population.has[places].sum(axis=0)
    others = population.has.sum(axis=0) - count
    outside = np.ones(population.size)
    outside[places] = 0
    with np.errstate(divide="ignore", invalid="ignore"):
        # Of the others added up, not all but the set: of near numbers that would leave noise.
        means = population.values[places].sum(axis=0) / count
        rest = outside @ population.values / others
        z = (means - rest) / population.deviations
    rows = pl.DataFrame(
        {
            "kind": ["feature"] * len(population.features),
            "name": population.features,
            "set": means,
            "rest": rest,
            "z": z,
            "actors": count,
        }
    )
    enough = min(MIN_SUPPORT, len(places))
    return (
        rows.filter(pl.col("actors") >= enough)
        .with_columns(value=pl.lit(None, dtype=pl.String), lift=pl.lit(None, dtype=pl.Float64))
        .select(_COLUMNS)
    )


def _deviation(values: pl.Series) -> float:
    # The same number many times may have a mean that differs in the last digit.
    return float(values.std(ddof=0) or 0) if values.min() != values.max() else 0.0  # type: ignore[arg-type]


def _linked(
    graph: Incidence, nodes: Numbers, entities: NDArray[np.bool_] | None = None
) -> pl.DataFrame:
    """Return how many of the nodes are linked to what: `link` is kind * size of graph + entity.

    `entities` [size of graph] says which of them count; None: all.
    """
    entries = graph.entries(nodes)
    if entities is not None:
        entries = entries[entities[graph.ends[entries]]]
    # As one number, by which grouping is several times faster than by two.
    links = graph.kinds[entries].astype(np.int64) * graph.size + graph.ends[entries]
    # `graph_edges` has one row for a type and two ends: each is another actor.
    return pl.DataFrame({"link": links}).group_by("link").agg(actors=pl.len())


def _entities(population: Population, places: Numbers) -> pl.DataFrame:
    graph, rest = population.graph, population.size - len(places)
    # What neither side can have often enough, which is most, isn't looked at any further.
    least = MIN_SUPPORT_SHARE * min(len(places), rest)
    common = population.linked.filter(pl.col("actors") >= least)
    entities = np.zeros(graph.size, dtype=np.bool_)
    entities[common["link"].to_numpy() % graph.size] = True
    mine = _linked(graph, population.nodes[places], entities)
    counts = (
        common.join(mine, on="link", how="left", suffix="_set")
        .with_columns(pl.col("actors_set").fill_null(0))
        .select(
            "link",
            actors="actors_set",
            others=pl.col("actors") - pl.col("actors_set"),
            of_set=pl.lit(len(places)),
            of_rest=pl.lit(rest),
        )
        .filter(_supported("actors", "of_set") | _supported("others", "of_rest"))
    )
    relations = [f"{name}{suffix}" for name in graph.edge_types for suffix in ("", INCOMING)]
    links = counts["link"]
    return counts.select(
        kind=pl.lit("entity"),
        name=pl.Series(relations, dtype=pl.String).gather(links // graph.size),
        value=graph.ids.gather(links % graph.size),
        **_COUNTS,
    )


def _properties(population: Population, places: Numbers) -> pl.DataFrame:
    mine = pl.Series(places)
    tables = [_property(values, values.gather(mine)) for values in population.properties]
    schema = {"kind": pl.String, "name": pl.String, "value": pl.String, **_COUNT_TYPES}
    return pl.concat([pl.DataFrame(schema=schema), *tables])


def _property(everyone: pl.Series, mine: pl.Series) -> pl.DataFrame:
    of_set, of_all = mine.count(), everyone.count()
    counted = [
        values.drop_nulls().to_frame("value").group_by("value").agg(actors=pl.len())
        for values in (everyone, mine)
    ]
    return (
        counted[0]
        .join(counted[1], on="value", how="left", suffix="_set")
        .with_columns(pl.col("actors_set").fill_null(0))
        .with_columns(
            pl.col("value").cast(pl.String),
            kind=pl.lit("property"),
            name=pl.lit(everyone.name),
            others=pl.col("actors") - pl.col("actors_set"),
            actors="actors_set",
            of_set=pl.lit(of_set),
            of_rest=pl.lit(of_all - of_set),
        )
        .select("kind", "name", "value", **_COUNTS)
    )


_COUNT_TYPES = dict.fromkeys(("actors", "others", "of_set", "of_rest"), pl.Int64)
_COUNTS = {name: pl.col(name).cast(dtype) for name, dtype in _COUNT_TYPES.items()}
_COLUMNS = [pl.col(name).cast(dtype) for name, dtype in CONTRAST_SCHEMA.items()]
