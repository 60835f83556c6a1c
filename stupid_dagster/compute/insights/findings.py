"""The tables of a window that insights are drawn from, and what one insight consists of."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from stupid_dagster.compute.insights.plans import Plan

SEVERITIES = ("critical", "significant", "notable", "info")
"""The worst first."""


@dataclass(frozen=True, eq=False)
class Previous:
    """The insights of the window before, which ended on `last_day`, and its labels."""

    last_day: dt.date
    insights: pl.DataFrame
    labels: pl.DataFrame


@dataclass(frozen=True, eq=False)
class Findings:
    """A window's tables by name; any may be empty.

    `anomalies` needs only the rows of notable actors and worse; `graph_nodes` (entity_id, type,
    key, properties) only the entities of `entities_told`, `activity` (actor, day, events) only
    those of them that are actors, on the window's `days`. `history` is the previous window's.
    """

    trends: pl.DataFrame
    clusters: pl.DataFrame
    cluster_changes: pl.DataFrame
    cluster_moves: pl.DataFrame
    communities: pl.DataFrame
    community_changes: pl.DataFrame
    labels: pl.DataFrame
    anomalies: pl.DataFrame
    anomaly_causes: pl.DataFrame
    bot_candidates: pl.DataFrame
    patterns: pl.DataFrame
    history: pl.DataFrame
    graph_nodes: pl.DataFrame
    activity: pl.DataFrame
    days: Sequence[dt.date]
    previous: Previous | None


@dataclass(frozen=True)
class Insight:
    """One row of the table `insights`, but for its rank, status and since.

    Within its kind and severity those of smaller `size` come first.
    """

    insight_id: str
    kind: str
    severity: str
    title: str
    text: str
    subjects: list[str]
    evidence: Mapping[str, Any]
    plan: Plan
    series: Sequence[float | None] = field(default_factory=list)
    size: tuple[float, ...] = ()

    @property
    def severity_place(self) -> int:
        """0 for the worst severity."""
        return SEVERITIES.index(self.severity)


@dataclass(frozen=True)
class Found:
    """Insights of one kind; how many more there were; ids of what still holds, told or not."""

    insights: list[Insight]
    untold: int = 0
    holding: frozenset[str] = frozenset()


def evidence_of(
    table: str, where: Mapping[str, Any], rows: list[Any], **parameters: Any
) -> dict[str, Any]:
    """Return the evidence of an insight: rows of a table, and the parameters that chose them."""
    return {"table": table, "where": dict(where), "rows": rows, "parameters": parameters}


def as_json(value: Any) -> str:
    """Return JSON with sorted keys; days and times as ISO texts, numbers that aren't as null."""
    return json.dumps(_plain(value), sort_keys=True, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value.isoformat() if isinstance(value, dt.date) else value
