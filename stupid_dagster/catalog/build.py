"""Build the catalog from versions' metadata and the window's nodes; events are never read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import polars as pl

from stupid_dagster.event_model import EventModel
from stupid_dagster.stores.lake import Version
from stupid_dagster.tables import TABLES


def build_catalog(
    model: EventModel,
    documents: Mapping[str, Version],
    knowledge: Mapping[str, Version],
    *,
    nodes: pl.LazyFrame,
    edges: pl.LazyFrame,
) -> dict[str, Any]:
    """Return the catalog of a window as plain data.

    `documents` are its days' documents, `knowledge` its own tables by name, `nodes` and `edges`
    the rows of two of them.

    Keys: `days`; `events` (per event type: description, documents, first and last day, fields
    with type, unit and share of missing values); `entities` (per type: nodes, events,
    properties); `edges` (per type: ends, edges, weight); `knowledge` (per table: description,
    rows).
    """
    node_counts = _by_type(nodes, nodes=pl.len(), events=pl.col("events").sum())
    edge_counts = _by_type(edges, edges=pl.len(), weight=pl.col("weight").sum())
    return {
        "event_model": model.name,
        "description": model.description,
        "timezone": model.timezone,
        "actor": model.actor,
        "days": list(documents),
        "events": _events(model, documents),
        "entities": {
            name: {
                "prefix": entity.prefix,
                "properties": entity.properties,
                **node_counts.get(name, {"nodes": 0, "events": 0}),
            }
            for name, entity in model.entities.items()
        },
        "edges": {
            name: {
                "from": edge.source,
                "to": edge.target,
                **edge_counts.get(name, {"edges": 0, "weight": 0}),
            }
            for name, edge in model.edges.items()
        },
        "knowledge": {
            name: {"description": TABLES[name].description, "rows": version.rows}
            for name, version in knowledge.items()
        },
    }


def _by_type(table: pl.LazyFrame, **aggregates: pl.Expr) -> dict[str, dict[str, int]]:
    rows = table.group_by("type").agg(**aggregates).collect().to_dicts()
    return {row.pop("type"): row for row in rows}


def _events(model: EventModel, versions: Mapping[str, Version]) -> dict[str, Any]:
    documents: Counter[str] = Counter()
    nulls: dict[str, Counter[str]] = {name: Counter() for name in model.events}
    seen: dict[str, list[str]] = {name: [] for name in model.events}
    for day, version in versions.items():
        for name, counts in version.metadata["event_types"].items():
            if name in seen and counts["rows"]:
                documents[name] += counts["rows"]
                nulls[name].update(counts["nulls"])
                seen[name].append(day)
    return {
        name: {
            "description": event_type.description,
            "documents": documents[name],
            "first_day": min(seen[name], default=None),
            "last_day": max(seen[name], default=None),
            "fields": {
                field: {
                    "type": model.field_type(field),
                    "unit": model.fields[field].unit if field in model.fields else None,
                    "missing": nulls[name][field] / max(1, documents[name]),
                }
                for field in event_type.fields
            },
        }
        for name, event_type in model.events.items()
    }
