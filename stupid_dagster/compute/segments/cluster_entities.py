"""What the actors of each segment are linked to, most often and more often than others."""

from __future__ import annotations

import polars as pl

from stupid_dagster.compute.profiles.members import MIN_SUPPORT, MIN_SUPPORT_SHARE, telling
from stupid_dagster.event_model import EventModel
from stupid_dagster.tables import conform

KEPT = 10
"""Entities per segment and relation, by lift and by share."""

_RELATION = ["relation", "incoming"]
_PER_CLUSTER = ["cluster_id", *_RELATION]


def cluster_entities(
    members: pl.DataFrame, edges: pl.DataFrame | pl.LazyFrame, model: EventModel
) -> pl.DataFrame:
    """Return the table `cluster_entities` of `cluster_members` and `graph_edges`.

    A relation is an edge type and the direction seen from the actor. `share` is that of the
    segment's edges of the relation, by weight, against `overall` of all members' edges. Of the
    entities that at least 3 actors and 5 % of the segment are linked to, those are kept whose
    `lift_rank`, by share * log2(lift), or `share_rank`, by share, is at most 10; ties are broken
    by id. Rows: by segment, relation and lift_rank.
    """
    actors = members.lazy().select("cluster_id", near="actor")
    links = pl.concat(
        _links(edges.lazy(), model, incoming).join(actors, on="near") for incoming in (False, True)
    )
    counted = (
        links.group_by(*_PER_CLUSTER, "entity_id")
        # `graph_edges` has one row for a type and two ends: each is another actor.
        .agg(pl.col("weight").cast(pl.UInt64).sum(), actors=pl.len())
        .collect(engine="streaming")
    )
    sizes = members.group_by("cluster_id").agg(size=pl.len())
    supported = (
        counted.with_columns(
            share=pl.col("weight") / pl.col("weight").sum().over(_PER_CLUSTER),
            overall=pl.col("weight").sum().over(*_RELATION, "entity_id")
            / pl.col("weight").sum().over(_RELATION),
        )
        .with_columns(lift=pl.col("share") / pl.col("overall"))
        .join(sizes, on="cluster_id")
        .filter(
            pl.col("actors") >= MIN_SUPPORT,
            pl.col("actors") >= MIN_SUPPORT_SHARE * pl.col("size"),
        )
        .with_columns(telling=telling(), type=_other_end(model))
        .sort("entity_id")
    )
    ranked = supported.with_columns(
        _place(pl.col("telling")).alias("lift_rank"), _place(pl.col("share")).alias("share_rank")
    )
    kept = ranked.filter((pl.col("lift_rank") <= KEPT) | (pl.col("share_rank") <= KEPT))
    return conform("cluster_entities", kept.drop("weight", "size", "telling")).sort(
        *_PER_CLUSTER, "lift_rank"
    )


def _links(edges: pl.LazyFrame, model: EventModel, incoming: bool) -> pl.LazyFrame:
    """Return the edges that have actors at their near end."""
    near, far = ("target", "source") if incoming else ("source", "target")
    types = [name for name, edge in model.edges.items() if edge.ends[incoming] == model.actor]
    return edges.filter(pl.col("type").is_in(types)).select(
        near=near, entity_id=far, relation="type", incoming=pl.lit(incoming), weight="weight"
    )


def _other_end(model: EventModel) -> pl.Expr:
    """Return the entity type at the far end."""
    source, target = (
        pl.col("relation").replace_strict(
            {name: edge.ends[n] for name, edge in model.edges.items()}, return_dtype=pl.String
        )
        for n in (0, 1)
    )
    return pl.when("incoming").then(source).otherwise(target)


def _place(value: pl.Expr) -> pl.Expr:
    """Return each entity's place in its relation, 1 for the highest; equal ones as they come."""
    return value.rank("ordinal", descending=True).over(_PER_CLUSTER)
