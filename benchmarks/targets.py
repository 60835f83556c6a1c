"""What the pipeline has to reach on two quiet cores, in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

FULL_DAY = 958_000
"""Events of the day that the targets are about; a smaller one is measured and not judged."""


@dataclass(frozen=True)
class Target:
    """A limit: `at_least` is False where less is better."""

    says: str
    limit: float
    unit: str
    at_least: bool = False

    def met(self, value: float) -> bool:
        """Return whether a measured value keeps it."""
        return value >= self.limit if self.at_least else value <= self.limit


TARGETS = {
    "sample_wall": Target("the sample of a full day is made in", 20.0, "s"),
    "documents_over_copy": Target("documents: CPU of the stage over that of a bare copy", 3.0, "x"),
    "connect_cpu": Target(
        "entities, edges, texts, activity, sequences, metrics: CPU together", 12.0, "s"
    ),
    "embed_cpu": Target("texts embedded and written: CPU", 15.0, "s"),
    "day_wall": Target("the whole day through Dagster: wall", 75.0, "s"),
    "day_peak": Target("the whole day through Dagster: peak memory", 3.0, "GiB"),
    "day_over_naive": Target(
        "the same against the naive pipeline (to_dict): wall", 20.0, "x", at_least=True
    ),
    "day_over_iterrows": Target(
        "the same against the naive pipeline (iterrows): wall", 20.0, "x", at_least=True
    ),
    "search_index_cpu": Target("search index of 30 days: CPU", 90.0, "s"),
    "graph_cpu": Target(
        "graph, its database, PageRank, communities of 30 days: CPU together", 120.0, "s"
    ),
    "segments_cpu": Target("features and k-means of 30 days: CPU together", 40.0, "s"),
    "dbscan_cpu": Target("DBSCAN of the last day's texts: CPU", 40.0, "s"),
    "sequences_cpu": Target("frequent sequences of the last 7 days: CPU", 20.0, "s"),
    "rest_cpu": Target(
        "co-occurrence, trends, anomalies, history, labels, insights: CPU together", 30.0, "s"
    ),
    "window_peak": Target("the window's stages: peak memory of the largest", 6.0, "GiB"),
    "segments_ari": Target(
        "segments against the planted ones, members of 50 events and more: adjusted Rand index",
        *(0.9, ""),
        at_least=True,
    ),
    "bot_groups_found": Target("planted bot groups found: share", 1.0, "", at_least=True),
    "shared_accounts_precision": Target(
        "shared accounts among as many top anomalies: share", 0.8, "", at_least=True
    ),
    "burst_rows_critical": Target(
        "the error burst's stage and status critical in its hour", 2, "rows", at_least=True
    ),
    "critical_rows_in_quiet_week": Target("critical trends in a week without plants", 0, "rows"),
    "churn_patterns": Target(
        "Churn patterns of the planted errors and the silence after them", 1, "", at_least=True
    ),
    # "Flat" with room for what days differ by: weekdays alone are 6 % apart from their mean.
    "last_days_over_first": Target("CPU a day: last five days over first five", 1.1, "x"),
    "evict_cpu": Target("the oldest full day evicted, without a new window: CPU", 5.0, "s"),
    "audit_cpu": Target("the audit of 30 full days: CPU", 10.0, "s"),
    "audit_peak": Target("the same: peak memory", 2.0, "GiB"),
    "audit_clean": Target("references that it finds where there are none", 0, ""),
    "segments_over_landing": Target("day segments on disk over landing files", 1.25, "x"),
}

LATENCIES = {
    "node": (5.0, 20.0),
    "neighbors": (5.0, 20.0),
    "hub": (5.0, 20.0),
    "knowledge": (5.0, 20.0),
    "document": (5.0, 20.0),
    "timeline": (20.0, 60.0),
    "scan": (50.0, 150.0),
    "search": (30.0, 80.0),
    "path": (100.0, 500.0),
    "plan": (150.0, 400.0),
}
"""Milliseconds in which the API answers half, and 95 of 100, of the requests of each kind."""
SEARCH_RECALL = 0.95
"""Share of the ten nearest texts that a search finds."""
NEW_SNAPSHOT = 2.0
"""The first answer from a new snapshot, over the usual p95."""


def judged(measured: Mapping[str, float], events: int, days: int = 30) -> list[dict[str, Any]]:
    """Return a row per measured target; `met` is None where the data is too small to judge."""
    full = events >= FULL_DAY and days >= 30
    rows = []
    for name, target in TARGETS.items():
        if name in measured:
            value = measured[name]
            row = {"target": name, "says": target.says, "limit": target.limit}
            row |= {"unit": target.unit, "at_least": target.at_least, "measured": value}
            rows.append(row | {"met": target.met(value) if full else None})
    return rows
