"""Tight groups of actors that do few things over and over, as machines do."""

from __future__ import annotations

import numpy as np
import polars as pl
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from stupid_dagster.tables import TABLES, conform

MIN_EVENTS = 20
"""Of fewer events in a day, neither repetition nor regularity says much."""
MIN_REPETITION = 0.8
"""Each text is repeated four times on average; of the gaming sample's ordinary players with 20
events or more, none is above 0.7."""
MIN_REGULARITY = 0.5
"""The beat is the rule, not the exception: most gaps between events are alike."""
MAIN_SHARE = 0.2
"""Share of an actor's events from which a text is one of those that it repeats."""
MIN_ACTORS = 3
"""Two actors that do the same may be one person."""
_TOLERANCE_SHARE, _TOLERANCE_SECONDS = 0.05, 1.0


def find_bot_candidates(
    actor_texts: pl.DataFrame, sequences: pl.DataFrame, texts: pl.DataFrame, day: str
) -> pl.DataFrame:
    """Return the table `bot_candidates` of a day, by group and actor.

    Candidates are actors whose events are at least MIN_EVENTS, repeat a text of before in at
    least MIN_REPETITION of cases, and follow each other in gaps of which at least
    MIN_REGULARITY are within 5 % (or a second) of their median. Those who share a text that
    makes up MAIN_SHARE of the events of each belong together (connected components of the
    graph of actors and such texts), and MIN_ACTORS of them are a group.

    The three parameters are day tables of `day`. Gaps are those of `sequences`: between events
    that have a symbol.
    """
    repeating = (
        actor_texts.group_by("actor")
        .agg(events=pl.col("count").sum(), texts=pl.len())
        .with_columns(repetition=1 - pl.col("texts") / pl.col("events"))
        .filter(pl.col("events") >= MIN_EVENTS, pl.col("repetition") >= MIN_REPETITION)
    )
    beats = _beats(sequences.join(repeating, on="actor", how="semi"))
    candidates = repeating.join(beats, on="actor").filter(pl.col("regularity") >= MIN_REGULARITY)
    repeated = actor_texts.join(candidates.select("actor", "events"), on="actor").with_columns(
        share=pl.col("count") / pl.col("events")
    )
    groups = _groups(repeated.filter(pl.col("share") >= MAIN_SHARE))
    if groups.is_empty():
        return TABLES["bot_candidates"].empty()
    named = texts.select("text_id", "event_type", "text")
    ranked = repeated.join(groups, on="actor").sort("count", "text_id", descending=[True, False])
    of_actor = (
        ranked.unique("actor", keep="first", maintain_order=True)
        .join(named, on="text_id", how="left")
        .select("actor", example=pl.format("{}/{}/{}", pl.lit(day), "event_type", "row"))
    )
    of_group = (
        ranked.group_by("group", "text_id")
        .agg(pl.col("count").sum())
        .sort("count", "text_id", descending=[True, False])
        .unique("group", keep="first", maintain_order=True)
        .join(named, on="text_id", how="left")
        .select("group", "text")
    )
    table = (
        groups.join(candidates, on="actor")
        .join(of_actor, on="actor", how="left")
        .join(of_group, on="group", how="left")
        .sort("group", "actor")
        .with_columns(group_id=pl.format("bots:{}", "group"))
    )
    return conform("bot_candidates", table.drop("group"))


def _beats(sequences: pl.DataFrame) -> pl.DataFrame:
    """Return each actor's median gap in seconds, and the share of its gaps that are like it."""
    gap, median = pl.col("gap"), pl.col("interval_seconds")
    tolerance = pl.max_horizontal(_TOLERANCE_SECONDS, _TOLERANCE_SHARE * median)
    return (
        sequences.explode("times", empty_as_null=True)
        .select("actor", gap=pl.col("times").diff().over("actor").dt.total_milliseconds() / 1000)
        .drop_nulls()
        .with_columns(interval_seconds=gap.median().over("actor"))
        .group_by("actor")
        .agg(median.first(), regularity=((gap - median).abs() <= tolerance).mean())
    )


def _groups(repeated: pl.DataFrame) -> pl.DataFrame:
    """Return (actor, group) of actors that share texts; group 0 is the largest."""
    actors = repeated["actor"].unique().sort()
    texts = repeated["text_id"].unique().sort()
    links = (
        actors.search_sorted(repeated["actor"]).to_numpy(),
        texts.search_sorted(repeated["text_id"]).to_numpy() + len(actors),
    )
    nodes = len(actors) + len(texts)
    graph = coo_array((np.ones(len(repeated), dtype=bool), links), (nodes, nodes))
    component = connected_components(graph, directed=False)[1][: len(actors)]
    members = pl.DataFrame({"actor": actors, "component": component})
    order = (
        members.group_by("component")
        .agg(size=pl.len(), first=pl.col("actor").min())
        .filter(pl.col("size") >= MIN_ACTORS)
        .sort("size", "first", descending=[True, False])
        .with_row_index("group")
    )
    return members.join(order, on="component").select("actor", "group")
