"""Profiles of segments and communities, from the window's tables."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import polars as pl

from stupid_dagster.compute import words
from stupid_dagster.compute.traits import (
    EntityTrait,
    FeatureTrait,
    KeyMember,
    Profile,
    PropertyTrait,
    TypeCount,
)
from stupid_dagster.event_model import EventModel

DIGITS = 4
REDUNDANT = 0.8
"""Features whose rank correlation over all actors is at least this tell the same story."""
MIN_SUPPORT_SHARE, MIN_SUPPORT = 0.05, 3
"""What fewer of a group's members than this have, is chance: not named."""
TOP = 3
"""Entities per edge type by lift, and as many by count; properties per entity type."""
MIN_LIFT = 1.2
EVENTS = "events"
"""The features' column that every model has: an actor's number of events."""

_NAMING = ("name", "title", "label")


def cluster_profiles(
    clusters: pl.DataFrame,
    members: pl.DataFrame,
    features: pl.DataFrame,
    model: EventModel,
    edges: pl.DataFrame,
    nodes: pl.DataFrame | None = None,
) -> list[Profile]:
    """Return a profile per row of the table `clusters`, in its order.

    Features, and the number of events, by |z| of the group's mean against all actors; a
    feature whose rank correlation with a stronger one is at least 0.8 is marked redundant.
    Entities at the other end of the members' `edges`, per edge type the top 3 by
    share * log2(lift) and the top 3 by share, of those that at least 3 members and 5 % of them
    have. With `nodes`, entities have names, and the actors' own properties are compared too.
    """
    actors = members.rename({"actor": "entity_id", "cluster_id": "group"}).drop("distance")
    sizes = dict(zip(clusters["cluster_id"], clusters["size"], strict=True))
    entities = _entity_traits(actors, sizes, edges, model, nodes)
    rules = model.features.columns
    used = {rule.field for rule in rules.values()} | set(rules)
    properties = _property_traits(actors, nodes, skip=used) if nodes is not None else {}
    traits = _feature_traits(clusters, actors, features, model)
    return [
        Profile(
            subject=row["cluster_id"],
            kind="cluster",
            noun=model.actor,
            size=row["size"],
            share=_short(row["share"]),
            days=model.features.window_days,
            features=tuple(traits[row["cluster_id"]]),
            entities=tuple(entities.get(row["cluster_id"], [])),
            properties=tuple(properties.get(row["cluster_id"], [])),
        )
        for row in clusters.iter_rows(named=True)
    ]


def community_profiles(
    communities: pl.DataFrame, members: pl.DataFrame, nodes: pl.DataFrame, model: EventModel
) -> list[Profile]:
    """Return a profile per row of the table `communities`, in its order.

    Size and share of all members, members per entity type and their share of all of that
    type, key members by PageRank with their names, and properties that are commoner among
    the members of a type than among all of it.
    """
    groups = members.select("entity_id", group="community_id")
    properties = _property_traits(groups, nodes)
    totals = dict(members.group_by("type").len().iter_rows())
    names = _names(nodes, model, communities["key_members"].explode().drop_nulls().to_list())
    everyone = max(1, int(communities["size"].sum()))
    return [
        Profile(
            subject=row["community_id"],
            kind="community",
            noun=model.actor,
            size=row["size"],
            share=_short(row["size"] / everyone),
            properties=tuple(properties.get(row["community_id"], [])),
            types=tuple(
                TypeCount(t["type"], t["members"], _short(t["members"] / totals[t["type"]]))
                for t in row["types"]
            ),
            key_members=tuple(
                KeyMember(_type_of(entity, model), entity, _name(names, entity))
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
    found: dict[str, list[FeatureTrait]] = {}
    for row in clusters.iter_rows(named=True):
        measured = {f["feature"]: (f["mean"], f["z"]) for f in row["features"]}
        measured[EVENTS] = events[row["cluster_id"]]
        order = sorted(
            (name for name in names if None not in measured.get(name, (None,))),
            key=lambda name: (-abs(measured[name][1]), names.index(name)),
        )
        told: list[int] = []
        traits = []
        for name in order:
            at = names.index(name)
            redundant = any(alike[at, other] >= REDUNDANT for other in told)
            if not redundant:
                told.append(at)
            rule = rules.get(name)
            mean, z = measured[name]
            traits.append(
                FeatureTrait(
                    name=name,
                    kind=rule.kind if rule else "count",
                    unit=rule.unit if rule else None,
                    mean=_short(mean),
                    overall=_short(overall[name]),
                    z=_short(z),
                    redundant=redundant,
                    share=bool(
                        rule
                        and rule.kind == "mean"
                        and model.field_type(rule.field or "") == "boolean"
                    ),
                )
            )
        found[row["cluster_id"]] = traits
    return found


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


def _entity_traits(
    actors: pl.DataFrame,
    sizes: dict[str, int],
    edges: pl.DataFrame,
    model: EventModel,
    nodes: pl.DataFrame | None,
) -> dict[str, list[EntityTrait]]:
    links = pl.concat(
        edges.lazy()
        .select(entity_id=near, entity=far, relation="type", incoming=pl.lit(incoming), w="weight")
        .join(actors.lazy(), on="entity_id")
        for near, far, incoming in (("source", "target", False), ("target", "source", True))
    )
    of_relation = ["relation", "incoming"]
    per_entity = (
        links.group_by("group", *of_relation, "entity")
        .agg(pl.col("w").cast(pl.UInt64).sum(), members=pl.col("entity_id").n_unique())
        .with_columns(
            share=pl.col("w") / pl.col("w").sum().over("group", *of_relation),
            overall=pl.col("w").sum().over(*of_relation, "entity")
            / pl.col("w").sum().over(*of_relation),
        )
        .with_columns(lift=pl.col("share") / pl.col("overall"))
    )
    size = pl.col("group").replace_strict(sizes, default=0, return_dtype=pl.Float64)
    support = pl.max_horizontal(pl.lit(MIN_SUPPORT), MIN_SUPPORT_SHARE * size)
    best_first = ["group", "telling", *of_relation, "entity"]
    ranked = (
        per_entity.filter(pl.col("members") >= support)
        .with_columns(telling=pl.col("share") * pl.col("lift").log(2))
        .sort(best_first, descending=[False, True, False, False, False])
        .with_columns(
            by_lift=pl.int_range(pl.len()).over("group", *of_relation),
            by_share=pl.col("share").rank("ordinal", descending=True).over("group", *of_relation),
        )
        .filter((pl.col("by_lift") < TOP) | (pl.col("by_share") <= TOP))
        .collect()
    )
    names = _names(nodes, model, ranked["entity"].unique().to_list())
    found: dict[str, list[EntityTrait]] = {}
    for row in ranked.iter_rows(named=True):
        entity = row["entity"]
        found.setdefault(row["group"], []).append(
            EntityTrait(
                relation=row["relation"],
                incoming=row["incoming"],
                type=_type_of(entity, model),
                entity_id=entity,
                name=_name(names, entity),
                members=row["members"],
                share=_short(row["share"]),
                overall=_short(row["overall"]),
                lift=_short(row["lift"]),
            )
        )
    return found


def _property_traits(
    groups: pl.DataFrame, nodes: pl.DataFrame, skip: Iterable[str | None] = ()
) -> dict[str, list[PropertyTrait]]:
    """Return per group the commonest telling values of its members' properties."""
    unwanted = set(skip)
    fields = [
        field.name
        for field in getattr(nodes.schema["properties"], "fields", [])
        if field.dtype == pl.String and field.name not in unwanted
    ]
    if not fields:
        return {}
    values = (
        nodes.lazy()
        .select("entity_id", "type", pl.col("properties").struct.unnest())
        .select("entity_id", "type", *fields)
        .join(groups.lazy(), on="entity_id")
        .unpivot(on=fields, index=["entity_id", "type", "group"], variable_name="property")
        .filter(pl.col("value").is_not_null())
    )
    kind = ["type", "property"]
    counts = (
        values.group_by("group", *kind, "value")
        .agg(members=pl.len())
        .with_columns(
            share=pl.col("members") / pl.col("members").sum().over("group", *kind),
            overall=pl.col("members").sum().over(*kind, "value")
            / pl.col("members").sum().over(*kind),
        )
        .with_columns(lift=pl.col("share") / pl.col("overall"))
        .filter(
            pl.col("members") >= MIN_SUPPORT,
            pl.col("share") >= MIN_SUPPORT_SHARE,
            pl.col("lift") >= MIN_LIFT,
        )
        .with_columns(telling=pl.col("share") * pl.col("lift").log(2))
        .sort(["group", "telling", *kind, "value"], descending=[False, True, False, False, False])
        .with_columns(place=pl.int_range(pl.len()).over("group", "type"))
        .filter(pl.col("place") < TOP)
        .collect()
    )
    found: dict[str, list[PropertyTrait]] = {}
    for row in counts.iter_rows(named=True):
        found.setdefault(row["group"], []).append(
            PropertyTrait(
                type=row["type"],
                property=row["property"],
                value=words.tidy(row["value"]),
                members=row["members"],
                share=_short(row["share"]),
                overall=_short(row["overall"]),
                lift=_short(row["lift"]),
            )
        )
    return found


def _names(
    nodes: pl.DataFrame | None, model: EventModel, entities: list[str]
) -> dict[str, tuple[str, str]]:
    """Return (type, name) of each entity that has a node.

    A name is the first property that says so (`name`, `title`, `label`, or `..._name`); for
    a hashed key, which says nothing, the first property; else the key.
    """
    if nodes is None or not entities:
        return {}
    naming = {name: _naming_property(model, name) for name in model.entities}
    found = nodes.filter(pl.col("entity_id").is_in(entities)).iter_rows(named=True)
    names = {}
    for node in found:
        properties = node.get("properties") or {}
        value = properties.get(naming.get(node["type"]) or "") or node["key"]
        names[node["entity_id"]] = (node["type"], words.tidy(value))
    return names


def _naming_property(model: EventModel, entity_type: str) -> str | None:
    rule = model.entities[entity_type]
    for name in rule.properties:
        if words.humanise(name).split()[-1] in _NAMING:
            return name
    return rule.properties[0] if rule.normalise == "hash" and rule.properties else None


def _name(names: dict[str, tuple[str, str]], entity: str) -> str:
    return names[entity][1] if entity in names else _key(entity)


def _key(entity: str) -> str:
    return words.tidy(entity.partition(":")[2])


def _type_of(entity: str, model: EventModel) -> str:
    prefix = entity.partition(":")[0]
    return next((t for t, rule in model.entities.items() if rule.prefix == prefix), prefix)


def _short(value: float) -> float:
    return words.significant(value, DIGITS)
