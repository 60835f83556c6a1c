"""What actors are linked to, and by which relation."""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple

import polars as pl

from stupid_dagster.tables import TIME

INCOMING = ":in"
"""Follows the edge type in the name of a relation whose edges end at the actors."""


class WindowLinks(NamedTuple):
    """Per actor, a column per relation: numbers of entities that it is linked to.

    In the window; first on its last day; first in the days just before.
    """

    degree: pl.DataFrame
    new: pl.DataFrame
    before: pl.DataFrame


def actor_links(edges: pl.LazyFrame, actors: pl.Series, *extra: str) -> pl.LazyFrame:
    """Return the actors' links: actor, relation, entity_id, and `extra` columns of `edges`.

    A relation is an edge type that starts at the actor, or `<edge type>:in` for one that ends
    there.
    """
    wanted = actors.alias("actor").to_frame().lazy()
    return pl.concat(
        edges.select("type", *extra, actor=near, entity_id=far)
        .join(wanted, on="actor", how="semi")
        .select("actor", "entity_id", *extra, relation=pl.col("type") + suffix)
        for near, far, suffix in (("source", "target", ""), ("target", "source", INCOMING))
    )


def window_links(
    edges: pl.LazyFrame, actors: pl.Series, start: dt.datetime, days_before: int
) -> WindowLinks:
    """Return how many links the actors have, and how many of them are new.

    `edges` is the window's table `graph_edges`, `start` the moment at which its last day starts.
    """
    seen, day = pl.col("first_seen"), pl.lit(start).cast(TIME)
    counts = (
        actor_links(edges, actors, "first_seen")
        .group_by("actor", "relation")
        .agg(
            degree=pl.len(),
            new=(seen >= day).sum(),
            before=((seen < day) & (seen >= day - pl.duration(days=days_before))).sum(),
        )
        .collect(engine="streaming")
    )
    return WindowLinks(*(by_relation(counts, name) for name in ("degree", "new", "before")))


def by_relation(counts: pl.DataFrame, value: str) -> pl.DataFrame:
    """Return `value` of actors and relations with a column (float64) per relation, null without."""
    relations = counts["relation"].unique().sort()
    wide = counts.select("actor", "relation", pl.col(value).cast(pl.Float64)).pivot(
        "relation", index="actor", values=value, on_columns=relations
    )
    return wide.select("actor", *relations)
