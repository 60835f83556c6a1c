"""What the window's entities are: how many of each type, their properties, and the heaviest."""

from __future__ import annotations

from typing import Any

import polars as pl

from stupid_dagster.catalog.fields import MOST_VALUES
from stupid_dagster.connect import most_frequent, shortened
from stupid_dagster.event_model import EventModel

EXAMPLES = 5


def describe_entities(model: EventModel, nodes: pl.LazyFrame) -> dict[str, Any]:
    """Return, per entity type, its prefix, nodes, events, properties, edges and examples.

    `nodes` are the rows of `graph_nodes`. A property has `coverage` (share of the nodes that have
    it), `distinct` and `top_values` (with the nodes that have each). `edges` names the types that
    begin or end at it. `examples` are the ids with the most events, of no test account.
    """
    none = {name: {"nodes": 0, "events": 0} for name in model.entities}
    totals = nodes.group_by("type").agg(nodes=pl.len(), events=pl.col("events").sum())
    counts = none | _by_type(totals)
    examples = _by_type(
        nodes.filter(~pl.col("is_test"))
        .group_by("type")
        .agg(
            examples=pl.col("entity_id")
            .sort_by("events", "entity_id", descending=[True, False])
            .head(EXAMPLES)
        )
    )
    stored = {field.name for field in getattr(nodes.collect_schema()["properties"], "fields", ())}
    wanted = {name for entity in model.entities.values() for name in entity.properties}
    properties = {name: _property(name, nodes) for name in sorted(wanted & stored)}
    return {
        name: {
            "prefix": entity.prefix,
            **counts[name],
            "properties": {
                prop: _described(properties.get(prop, {}).get(name), counts[name]["nodes"])
                for prop in entity.properties
            },
            "edges": [edge for edge, kind in model.edges.items() if name in kind.ends],
            **examples.get(name, {"examples": []}),
        }
        for name, entity in model.entities.items()
    }


def _by_type(rows: pl.LazyFrame) -> dict[str, dict[str, Any]]:
    return {row.pop("type"): row for row in rows.collect().iter_rows(named=True)}


def _property(name: str, nodes: pl.LazyFrame) -> dict[str, dict[str, Any]]:
    """Return what values a property has, by entity type; nothing of types that have none."""
    counts = (
        nodes.select("type", pl.col("properties").struct.field(name).cast(pl.String).alias("value"))
        .drop_nulls()
        .group_by("type", "value")
        .agg(count=pl.len())
        # One property after the other, for memory: they are most of the nodes' bytes.
        .collect(engine="streaming")
        .lazy()
    )
    totals = counts.group_by("type").agg(nodes=pl.col("count").sum(), distinct=pl.len())
    tops = (
        counts.group_by("type", shortened(pl.col("value")).alias("value"))
        .agg(pl.col("count").sum())
        .group_by("type")
        .agg(most_frequent(MOST_VALUES).alias("top_values"))
    )
    return _by_type(totals.join(tops, on="type"))


def _described(values: dict[str, Any] | None, nodes: int) -> dict[str, Any]:
    if values is None:
        return {"coverage": 0.0, "distinct": 0, "top_values": []}
    return {
        "coverage": values["nodes"] / nodes,
        "distinct": values["distinct"],
        "top_values": [
            {"value": top["value"], "nodes": top["count"]} for top in values["top_values"]
        ],
    }
