"""What the members of groups are linked to, and what properties they have."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from stupid_dagster.compute import words
from stupid_dagster.compute.names import entity_names
from stupid_dagster.compute.profiles.traits import EntityTrait, PropertyTrait, short
from stupid_dagster.event_model import EventModel

MIN_SUPPORT_SHARE, MIN_SUPPORT = 0.05, 3
"""What fewer of a group's members than this have, is chance: not named."""
TOP = 3
"""Entities per edge type by lift, and as many by count; properties per entity type."""
MIN_LIFT = 1.2


def entity_traits(
    entities: pl.DataFrame, model: EventModel, nodes: pl.DataFrame | None
) -> dict[str, list[EntityTrait]]:
    """Return per cluster the entities that its actors' edges lead to, best first.

    Of the table `cluster_entities`, per relation the first 3 by share * log2(lift) and the
    first 3 by share.
    """
    told = (
        entities.filter((pl.col("lift_rank") <= TOP) | (pl.col("share_rank") <= TOP))
        .with_columns(telling=telling())
        .sort(
            ["cluster_id", "telling", "relation", "incoming", "entity_id"],
            descending=[False, True, False, False, False],
        )
    )
    names = entity_names(nodes, model, told["entity_id"].unique().to_list())
    found: dict[str, list[EntityTrait]] = {}
    for row in told.iter_rows(named=True):
        entity = row["entity_id"]
        found.setdefault(row["cluster_id"], []).append(
            EntityTrait(
                relation=row["relation"],
                incoming=row["incoming"],
                type=row["type"],
                entity_id=entity,
                name=names[entity],
                members=row["actors"],
                share=short(row["share"]),
                overall=short(row["overall"]),
                lift=short(row["lift"]),
            )
        )
    return found


def telling() -> pl.Expr:
    """Return share * log2(lift): bits by which a group's share tells it apart."""
    return pl.col("share") * pl.col("lift").log(2)


def property_traits(
    groups: pl.DataFrame,
    nodes: pl.DataFrame,
    *,
    of: pl.Series | None = None,
    skip: Iterable[str | None] = (),
) -> dict[str, list[PropertyTrait]]:
    """Return per group the values of its members' properties that tell it apart, best first.

    `groups` has entity_id and group; only the groups `of` are told of, compared with all.
    Per entity type the top 3 by share * log2(lift), of those that at least 3 members and 5 %
    have, 1.2 times as often as all of the type. Properties in `skip` are left out.
    """
    unwanted = set(skip)
    fields = [
        field.name
        for field in getattr(nodes.schema["properties"], "fields", [])
        if field.dtype == pl.String and field.name not in unwanted
    ]
    members = nodes.select(
        "entity_id", "type", pl.col("properties").struct.field(*fields) if fields else []
    ).join(groups, on="entity_id")
    tables = [_value_shares(members, field, of) for field in fields]
    if not tables:
        return {}
    counts = (
        pl.concat(tables)
        .filter(
            pl.col("members") >= MIN_SUPPORT,
            pl.col("share") >= MIN_SUPPORT_SHARE,
            pl.col("lift") >= MIN_LIFT,
        )
        .with_columns(telling=telling())
        .sort(
            ["group", "telling", "type", "property", "value"],
            descending=[False, True, False, False, False],
        )
        .filter(pl.int_range(pl.len()).over("group", "type") < TOP)
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


def _value_shares(members: pl.DataFrame, field: str, of: pl.Series | None) -> pl.DataFrame:
    """Return members, share, overall and lift of each value of a property, per type and group."""
    counts = (
        members.lazy()
        .filter(pl.col(field).is_not_null())
        .group_by("group", "type", pl.col(field).alias("value"))
        .agg(members=pl.len())
        .with_columns(
            property=pl.lit(field),
            share=pl.col("members") / pl.col("members").sum().over("group", "type"),
            overall=pl.col("members").sum().over("type", "value")
            / pl.col("members").sum().over("type"),
        )
        .with_columns(lift=pl.col("share") / pl.col("overall"))
    )
    return (counts if of is None else counts.filter(pl.col("group").is_in(of.implode()))).collect()
