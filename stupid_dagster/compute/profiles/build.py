"""Profiles of segments and communities, from the window's tables."""

from __future__ import annotations

import numpy as np
import polars as pl

from stupid_dagster.compute import words
from stupid_dagster.compute.names import entity_names, type_of
from stupid_dagster.compute.profiles.members import entity_traits, property_traits
from stupid_dagster.compute.profiles.traits import (
    FeatureTrait,
    KeyMember,
    Profile,
    TypeCount,
    short,
)
from stupid_dagster.event_model import EventModel
from stupid_dagster.event_model.measures import Feature

REDUNDANT = 0.8
"""Features whose rank correlation over all actors is at least this tell the same story."""
EVENTS = "events"
"""The features' column that every model has: an actor's number of events."""
SPREAD = (0.1, 0.9)
"""Percentiles between which most of a group are."""
EVENTS_FIRST = 1.2
"""Factor on its |z| in the order of features: it stands for all kinds of events at once."""


def cluster_profiles(
    clusters: pl.DataFrame,
    members: pl.DataFrame,
    features: pl.DataFrame,
    model: EventModel,
    entities: pl.DataFrame,
    nodes: pl.DataFrame | None = None,
    *,
    days: int | None = None,
) -> list[Profile]:
    """Return a profile per row of the table `clusters`, in its order.

    Features, and the number of events, by |z| of the group's mean against all actors; a
    feature whose rank correlation with a stronger one is at least 0.8 is marked redundant.
    Entities as the table `cluster_entities` gives them, the first 3 of each edge type by lift
    and by share. With `nodes`, they have names, and the actors' own properties are compared too.
    `days` that the features are over; None: as many as the event model says.
    """
    if clusters.is_empty():
        return []
    actors = members.rename({"actor": "entity_id", "cluster_id": "group"}).drop("distance")
    linked = entity_traits(entities, model, nodes)
    rules = model.features.columns
    used = {rule.field for rule in rules.values()} | set(rules)
    properties = property_traits(actors, nodes, skip=used) if nodes is not None else {}
    traits = _feature_traits(clusters, actors, features, model)
    return [
        Profile(
            subject=row["cluster_id"],
            kind="cluster",
            noun=model.actor,
            size=row["size"],
            share=short(row["share"]),
            days=days or model.features.window_days,
            features=tuple(traits[row["cluster_id"]]),
            entities=tuple(linked.get(row["cluster_id"], [])),
            properties=tuple(properties.get(row["cluster_id"], [])),
        )
        for row in clusters.iter_rows(named=True)
    ]


def community_profiles(
    communities: pl.DataFrame, members: pl.DataFrame, nodes: pl.DataFrame, model: EventModel
) -> list[Profile]:
    """Return a profile per row of the table `communities`, in its order; it may lack some.

    Size and share of all `members`, members per entity type and their share of all of that
    type, key members by PageRank with their names, and properties that are commoner among
    the members of a type than among all of it.
    """
    groups = members.select("entity_id", group="community_id")
    properties = property_traits(groups, nodes, of=communities["community_id"])
    totals = dict(members.group_by("type").len().iter_rows())
    names = entity_names(nodes, model, communities["key_members"].explode().drop_nulls().to_list())
    return [
        Profile(
            subject=row["community_id"],
            kind="community",
            noun=model.actor,
            size=row["size"],
            share=short(row["size"] / members.height),
            properties=tuple(properties.get(row["community_id"], [])),
            types=tuple(
                TypeCount(t["type"], t["members"], short(t["members"] / totals[t["type"]]))
                for t in row["types"]
            ),
            key_members=tuple(
                KeyMember(type_of(entity, model), entity, names[entity])
                for entity in row["key_members"]
            ),
        )
        for row in communities.iter_rows(named=True)
    ]


def _feature_traits(
    clusters: pl.DataFrame, actors: pl.DataFrame, features: pl.DataFrame, model: EventModel
) -> dict[str, list[FeatureTrait]]:
    rules = model.features.columns
    names = [EVENTS, *(name for name in features.columns if name in rules)]
    overall = features.select(pl.col(names).cast(pl.Float64).mean()).row(0, named=True)
    alike = _rank_correlation(features.select(names))
    events = _event_means(actors, features)
    spreads = _spreads(
        actors, features, [name for name in names if name in rules and rules[name].encode]
    )
    found: dict[str, list[FeatureTrait]] = {}
    for row in clusters.iter_rows(named=True):
        measured = {f["feature"]: (f["mean"], f["z"]) for f in row["features"]}
        measured[EVENTS] = events[row["cluster_id"]]
        order = sorted(
            (name for name in names if None not in measured.get(name, (None,))),
            key=lambda name: (
                -abs(measured[name][1]) * (EVENTS_FIRST if name == EVENTS else 1),
                names.index(name),
            ),
        )
        told: list[int] = []
        traits = []
        for name in order:
            at = names.index(name)
            redundant = any(alike[at, other] >= REDUNDANT for other in told)
            if not redundant:
                told.append(at)
            mean, z = measured[name]
            rule = rules.get(name)
            kind, unit, yes_or_no = _meaning(name, rule, model)
            traits.append(
                FeatureTrait(
                    name=name,
                    kind=kind,
                    unit=unit,
                    mean=short(mean),
                    overall=short(overall[name]),
                    z=short(z),
                    redundant=redundant,
                    share=yes_or_no,
                    values=_encoded_values(rule, spreads.get((row["cluster_id"], name))),
                )
            )
        found[row["cluster_id"]] = traits
    return found


_SHARES = ("share", "ratio", "fraction")


def _meaning(name: str, rule: Feature | None, model: EventModel) -> tuple[str, str | None, bool]:
    """Return a feature's aggregate, its unit, and whether it's told as a percentage."""
    if rule is None:
        return "count", None, False
    if rule.kind == "sessions":
        units = {"count": None, "mean_gap_hours": "hours", "mean_minutes": "minutes"}
        kind = "count" if rule.sessions == "count" else "mean"
        return kind, rule.unit or units[rule.sessions or "count"], False
    boolean = rule.field is not None and model.field_type(rule.field) == "boolean"
    part = rule.kind == "ratio" and rule.unit is None and words.humanise(name).endswith(_SHARES)
    return rule.kind, rule.unit, part or (rule.kind == "mean" and boolean)


def _spreads(
    actors: pl.DataFrame, features: pl.DataFrame, encoded: list[str]
) -> dict[tuple[str, str], tuple[float, float]]:
    """Return the 10th and 90th percentile of encoded features, by group and feature."""
    if not encoded:
        return {}
    values = features.select(pl.col("actor").alias("entity_id"), *encoded)
    ends = [
        pl.col(name).quantile(share, "nearest").alias(f"{name}:{share}")
        for name in encoded
        for share in SPREAD
    ]
    groups = actors.join(values, on="entity_id").group_by("group").agg(ends)
    return {
        (row["group"], name): (row[f"{name}:{SPREAD[0]}"], row[f"{name}:{SPREAD[1]}"])
        for row in groups.iter_rows(named=True)
        for name in encoded
    }


def _encoded_values(rule: Feature | None, spread: tuple[float, float] | None) -> tuple[str, ...]:
    """Return the values that an encoded feature's numbers stand for, each once."""
    if rule is None or spread is None or None in spread:
        return ()
    names = {number: value for value, number in rule.encode.items()}
    found = dict.fromkeys(words.tidy(names.get(number, ""), 20) for number in spread)
    return tuple(found) if all(found) else ()


def _event_means(
    actors: pl.DataFrame, features: pl.DataFrame
) -> dict[str, tuple[float, float | None]]:
    counts = features.select(entity_id="actor", events=pl.col(EVENTS).cast(pl.Float64))
    mean, deviation = counts["events"].mean(), counts["events"].std(ddof=0)
    groups = actors.join(counts, on="entity_id").group_by("group").agg(pl.col("events").mean())
    return {
        group: (value, (value - mean) / deviation if deviation else None)
        for group, value in groups.iter_rows()
    }


def _rank_correlation(features: pl.DataFrame) -> np.ndarray:
    """Return |Spearman's rho| between columns; undefined values take the middle rank."""
    ranks = features.select(
        pl.all().rank("average").cast(pl.Float64).fill_null(pl.all().count() / 2 + 0.5)
    ).to_numpy()
    ranks = ranks - ranks.mean(axis=0)
    norms = np.sqrt((ranks**2).sum(axis=0))
    norms[norms == 0] = np.inf
    return np.abs(ranks.T @ ranks / np.outer(norms, norms))
