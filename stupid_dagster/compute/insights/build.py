"""The table `insights`: what each kind found, with its status, ranked and cut."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from stupid_dagster.compute.insights.actors import (
    anomaly_insights,
    bot_insights,
    cause_insights,
    entities_told,
)
from stupid_dagster.compute.insights.findings import Findings, as_json
from stupid_dagster.compute.insights.groups import cluster_insights, community_insights
from stupid_dagster.compute.insights.patterns import pattern_insights
from stupid_dagster.compute.insights.status import STATUSES, Dated, comparable, dated, resolved
from stupid_dagster.compute.insights.trends import trend_insights
from stupid_dagster.compute.names import entity_names
from stupid_dagster.compute.quoting import as_value
from stupid_dagster.event_model import EventModel
from stupid_dagster.tables import TABLES, conform

RECENT_DAYS = 3
MAX_TOLD, MAX_RESOLVED = 20, 5
KINDS = ("trend", "cause", "bots", "anomaly", "pattern", "cluster", "community")
"""The order of insights of the same severity and status."""


@dataclass(frozen=True, eq=False)
class Insights:
    """The table `insights`, and of each kind how many more there were to tell (none: no key)."""

    table: pl.DataFrame
    untold: Mapping[str, int]


def build_insights(
    findings: Findings,
    *,
    model: EventModel,
    window_last_day: dt.date,
    recent_days: int = RECENT_DAYS,
) -> Insights:
    """Return the table `insights`, most important first, and what was left out.

    - trend: metrics off in the last `recent_days` days, by day or by hour;
    - anomaly, cause, bots: unusual actors, what they share, and those that act like machines;
    - pattern, cluster, community: what came, went or changed; where nothing did, or there is no
      window before, the largest.

    An insight is `ongoing` if the previous window told one of the same id, and keeps its `since`,
    as far as this window reaches back; else `new`. Trends, anomalies, causes and bots that hold
    no more come once as `resolved`. Ranked by severity, status, kind and size; at most 20, and 5
    that are resolved. All numbers are the tables'. The same tables give the same insights, in
    whatever order their rows are.
    """
    entities = entities_told(findings.anomalies, findings.anomaly_causes, findings.bot_candidates)
    known = entity_names(findings.graph_nodes, model, entities)
    names = {entity: as_value(name) for entity, name in known.items()}
    labels = dict(findings.labels.select("subject", "label").iter_rows())
    found = {
        "trend": trend_insights(findings, model, labels, window_last_day, recent_days),
        "cause": cause_insights(findings, model, names),
        "bots": bot_insights(findings, model, names),
        "anomaly": anomaly_insights(findings, model, names),
        "pattern": pattern_insights(findings, model, window_last_day),
        "cluster": cluster_insights(findings, model, window_last_day),
        "community": community_insights(findings, model, window_last_day),
    }
    present = [insight for kind in found.values() for insight in kind.insights]
    holding = {insight.insight_id for insight in present}.union(
        *(f.holding for f in found.values())
    )
    first_day = min(findings.days, default=dt.date.min)
    previous = comparable(findings.previous, first_day)
    told = sorted(dated(present, previous, first_day, window_last_day), key=_order)
    ceased = resolved(previous, holding, first_day, window_last_day)
    untold = {kind: part.untold for kind, part in found.items()}
    for cut in told[MAX_TOLD:]:
        untold[cut.insight.kind] += 1
    untold["resolved"] = max(0, len(ceased) - MAX_RESOLVED)
    rows = sorted([*told[:MAX_TOLD], *ceased[:MAX_RESOLVED]], key=_order)
    return Insights(_table(rows), {kind: number for kind, number in untold.items() if number})


def _order(row: Dated) -> tuple[object, ...]:
    insight = row.insight
    return (
        insight.severity_place,
        STATUSES.index(row.status),
        KINDS.index(insight.kind),
        insight.size,
        insight.insight_id,
    )


def _table(rows: list[Dated]) -> pl.DataFrame:
    columns = [
        {
            "insight_id": row.insight.insight_id,
            "rank": rank,
            "kind": row.insight.kind,
            "severity": row.insight.severity,
            "status": row.status,
            "since": row.since,
            "title": row.insight.title,
            "text": row.insight.text,
            "subjects": row.insight.subjects,
            "evidence": as_json(row.insight.evidence),
            "plan": as_json(row.insight.plan),
            "series": row.insight.series,
        }
        for rank, row in enumerate(rows, start=1)
    ]
    return conform("insights", pl.DataFrame(columns, schema=TABLES["insights"].schema))
