"""What the members of groups are linked to, what properties they have, and their names."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from stupid_dagster.compute import words
from stupid_dagster.compute.traits import EntityTrait, PropertyTrait, short
from stupid_dagster.event_model import EventModel

MIN_SUPPORT_SHARE, MIN_SUPPORT = 0.05, 3
"""What fewer of a group's members than this have, is chance: not named."""
TOP = 3
"""Entities per edge type by lift, and as many by count; properties per entity type."""
MIN_LIFT = 1.2

UNNAMED = "unnamed"
_NAMING = ("name", "title", "label")


def entity_traits(
    actors: pl.DataFrame,
    sizes: dict[str, int],
    edges: pl.DataFrame,
    model: EventModel,
    nodes: pl.DataFrame | None,
) -> dict[str, list[EntityTrait]]:
    """Return per group the entities that its actors' edges lead to, best first.

    `actors` has entity_id and group, `sizes` the groups' numbers of actors. Shares are of the
    edges' weights, per edge type and direction; of those that at least 3 members and 5 % of
    the group are linked to, the top 3 by share * log2(lift) and the top 3 by share are kept.
    """
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
    names = entity_names(nodes, model, ranked["entity"].unique().to_list())
    found: dict[str, list[EntityTrait]] = {}
    for row in ranked.iter_rows(named=True):
        entity = row["entity"]
        found.setdefault(row["group"], []).append(
            EntityTrait(
                relation=row["relation"],
                incoming=row["incoming"],
                type=type_of(entity, model),
                entity_id=entity,
                name=names[entity],
                members=row["members"],
                share=short(row["share"]),
                overall=short(row["overall"]),
                lift=short(row["lift"]),
            )
        )
    return found


def property_traits(
    groups: pl.DataFrame, nodes: pl.DataFrame, skip: Iterable[str | None] = ()
) -> dict[str, list[PropertyTrait]]:
    """Return per group the values of its members' properties that tell it apart, best first.

    `groups` has entity_id and group. Per entity type the top 3 by share * log2(lift), of those
    that at least 3 members and 5 % have, 1.2 times as often as all of the type. Properties in
    `skip` are left out.
    """
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
                share=short(row["share"]),
                overall=short(row["overall"]),
                lift=short(row["lift"]),
            )
        )
    return found


def entity_names(
    nodes: pl.DataFrame | None, model: EventModel, entities: list[str]
) -> dict[str, str]:
    """Return the name of each entity: fit for a sentence, and never empty.

    A name is the first property that says so (its last word is name, title or label); for a
    hashed key, which says nothing, the first property; else the key.
    """
    names = {entity: entity.partition(":")[2] for entity in entities}
    if nodes is not None:
        naming = {name: _naming_property(model, name) for name in model.entities}
        for node in nodes.filter(pl.col("entity_id").is_in(entities)).iter_rows(named=True):
            properties = node.get("properties") or {}
            value = properties.get(naming.get(node["type"]) or "")
            names[node["entity_id"]] = value or node["key"]
    return {entity: words.tidy(name) or UNNAMED for entity, name in names.items()}


def _naming_property(model: EventModel, entity_type: str) -> str | None:
    rule = model.entities[entity_type]
    for name in rule.properties:
        if words.humanise(name).split()[-1] in _NAMING:
            return name
    return rule.properties[0] if rule.normalise == "hash" and rule.properties else None


def type_of(entity: str, model: EventModel) -> str:
    """Return the entity type that an id's prefix stands for; the prefix if none does."""
    prefix = entity.partition(":")[0]
    return next((t for t, rule in model.entities.items() if rule.prefix == prefix), prefix)
