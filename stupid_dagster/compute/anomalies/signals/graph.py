"""The graph signal: new links, many links, links to what many share, many communities."""

from __future__ import annotations

import numpy as np
import polars as pl

from stupid_dagster.compute.anomalies.signals.behaviour import DAYS
from stupid_dagster.compute.anomalies.signals.evidence import Evidence, columns_of, compared
from stupid_dagster.compute.anomalies.signals.links import WindowLinks, by_relation
from stupid_dagster.compute.anomalies.signals.surprise import (
    TRIMMED,
    Judged,
    against_others,
    against_own_usual,
)
from stupid_dagster.compute.arrays import Floats

_Items = dict[str, tuple[Floats, ...]]


def graph_evidence(
    actors: pl.Series,
    window: WindowLinks,
    today: pl.DataFrame,
    history: pl.DataFrame,
    communities: pl.DataFrame,
) -> Evidence:
    """Return how unusual the actors' links of the last day are; only more is off, never less.

    `today` is of `actor_links`, `window` has the links before on the days that `history` (of
    `own_history`) is over, `communities` is the window's table `community_members`.
    Per relation (`<edge type>:in` where the edges end at the actors):

    - `<relation>:new`: links that the window had not seen before, against the actor's own rate
      of them on its days before;
    - `<relation>:today`: entities linked to, against the actors that are linked to any;
    - `<relation>:shared`: actors linked to the same entity, of the actor's the one that most
      share, against the other entities of the relation, less what the median actor has: most
      are linked to something that is common.

    Over all relations `communities`: those that the entities are in, against the actors with as
    many links.
    """
    own_days = np.nan_to_num(columns_of(actors, history, [DAYS])[:, 0])
    counts = by_relation(today.group_by("actor", "relation").agg(links=pl.len()), "links")
    items = {
        **_new_links(actors, window, own_days),
        **_many_links(actors, counts),
        **_shared_entities(actors, today),
        "communities": _communities(actors, today, communities),
    }
    return Evidence.of("graph", items, len(actors))


def _relations(frame: pl.DataFrame) -> list[str]:
    return [name for name in frame.columns if name != "actor"]


def _new_links(actors: pl.Series, window: WindowLinks, own_days: Floats) -> _Items:
    relations = _relations(window.new)
    new = np.nan_to_num(columns_of(actors, window.new, relations))
    before = np.nan_to_num(columns_of(actors, window.before, relations))
    return {
        f"{relation}:new": (count, *against_own_usual(count, total, own_days, both_ways=False))
        for relation, count, total in zip(relations, new.T, before.T, strict=True)
    }


def _many_links(actors: pl.Series, counts: pl.DataFrame) -> _Items:
    relations = _relations(counts)
    columns = columns_of(actors, counts, relations).T
    return {
        f"{relation}:today": (count, *_more_than_one(count))
        for relation, count in zip(relations, columns, strict=True)
    }


def _more_than_one(count: Floats) -> Judged:
    """Judge the links beyond the first by their mean, of which 0.5 in all is the least."""
    more = count - 1
    known = more[np.isfinite(more)]
    kept = known[known <= np.quantile(known, 1 - TRIMMED)]
    mean = max(float(kept.mean()), 0.5 / known.size)
    judged = against_others(more, np.where(np.isfinite(more), mean, np.nan))
    return Judged(judged.usual + 1, judged.z, judged.rarity)


def _shared_entities(actors: pl.Series, today: pl.DataFrame) -> _Items:
    entities = today.group_by("relation", "entity_id").agg(value=pl.len().cast(pl.Float64))
    items: _Items = {}
    for relation in entities["relation"].unique().sort():
        sharing = entities.filter(pl.col("relation") == relation).select("entity_id", "value")
        usual, z, rarity = compared(sharing["value"].to_numpy())
        judged = sharing.with_columns(usual=usual, z=z, rarity=np.where(z > 0, rarity, 0.0))
        rarest = (
            today.lazy()
            .filter(pl.col("relation") == relation)
            .join(judged.lazy(), on="entity_id")
            .group_by("actor")
            # They all ascend together.
            .agg(pl.col("value", "z", "rarity").max(), pl.col("usual").first())
            .collect()
        )
        value, usual, z, rarity = columns_of(actors, rarest, ["value", "usual", "z", "rarity"]).T
        rarity = np.maximum(rarity - np.nanmedian(rarity), 0.0)
        items[f"{relation}:shared"] = (value, usual, z, rarity)
    return items


def _communities(
    actors: pl.Series, today: pl.DataFrame, communities: pl.DataFrame
) -> tuple[Floats, ...]:
    """Judge the communities beyond the first by the mean of those with as many links, nearly."""
    touched = (
        today.lazy()
        .join(communities.lazy().select("entity_id", "community_id"), on="entity_id")
        .group_by("actor")
        .agg(
            links=pl.col("entity_id").n_unique(),
            communities=pl.col("community_id").n_unique(),
        )
        .collect()
    )
    links, count = columns_of(actors, touched, ["links", "communities"]).T
    known = np.isfinite(links)
    like = np.floor(2 * np.log2(links[known])).astype(np.int64)
    expected = np.full_like(count, np.nan)
    mean = np.bincount(like, count[known] - 1) / np.maximum(np.bincount(like), 1)
    expected[known] = mean[like]
    judged = against_others(count - 1, expected)
    return count, judged.usual + 1, judged.z, judged.rarity
