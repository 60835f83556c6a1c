"""Build the catalog of a window from what its days' tables and its own say; no event is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import polars as pl

from stupid_dagster.catalog.entities import describe_entities
from stupid_dagster.catalog.fields import UNKNOWN, Values, window_fields
from stupid_dagster.catalog.knowledge import describe_knowledge
from stupid_dagster.event_model import EventModel
from stupid_dagster.event_model.schema import FieldRule
from stupid_dagster.stores.lake import Lake
from stupid_dagster.stores.version import Version


def build_catalog(
    model: EventModel,
    lake: Lake,
    *,
    documents: Mapping[str, Version],
    field_statistics: Mapping[str, Version],
    knowledge: Mapping[str, Version],
) -> dict[str, Any]:
    """Return the catalog of a window as plain data.

    `documents` and `field_statistics` are its days' versions by day, `knowledge` its own tables by
    name, among them `graph_nodes` and `graph_edges`.

    Keys: `days`; `days_without_statistics` (made by an older release: their values aren't among the
    fields'); `events` (per event type: description, documents, first and last day, fields with
    type, unit, description, share of missing values, and as `window_fields` says); `entities`
    (`describe_entities`); `edges` (per type: ends, edges, weight); `metrics` (per metric of the
    trends: kind, fields it is split by, unit, description); `knowledge` (`describe_knowledge`). It
    is bounded whatever the events are: texts are cut, values counted.
    """
    without = [day for day in documents if day not in field_statistics]
    values: dict[tuple[str, str], Values] = {}
    if field_statistics:
        days = lake.scan_versions(field_statistics.values())
        values = window_fields(model, days, whole=not without)
    return {
        "event_model": model.name,
        "description": model.description,
        "timezone": model.timezone,
        "actor": model.actor,
        "days": list(documents),
        "days_without_statistics": without,
        "events": _events(model, documents, values),
        "entities": describe_entities(model, lake.scan_versions([knowledge["graph_nodes"]])),
        "edges": _edges(model, lake.scan_versions([knowledge["graph_edges"]])),
        "metrics": {
            name: {
                "kind": metric.kind,
                "by": metric.by,
                "unit": metric.unit,
                "description": metric.description or "",
            }
            for name, metric in model.metrics.items()
        },
        "knowledge": describe_knowledge(lake, knowledge),
    }


def _edges(model: EventModel, edges: pl.LazyFrame) -> dict[str, Any]:
    totals = edges.group_by("type").agg(edges=pl.len(), weight=pl.col("weight").sum()).collect()
    counts = {row.pop("type"): row for row in totals.iter_rows(named=True)}
    return {
        name: {
            "from": edge.source,
            "to": edge.target,
            **counts.get(name, {"edges": 0, "weight": 0}),
        }
        for name, edge in model.edges.items()
    }


def _events(
    model: EventModel,
    versions: Mapping[str, Version],
    values: Mapping[tuple[str, str], Values],
) -> dict[str, Any]:
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
                    "unit": rule.unit,
                    "description": rule.description or "",
                    "missing": nulls[name][field] / max(1, documents[name]),
                    **values.get((name, field), UNKNOWN),
                }
                for field in event_type.fields
                for rule in [model.fields.get(field, FieldRule())]
            },
        }
        for name, event_type in model.events.items()
    }
