"""The stage of insights: what was computed, in words and by rank."""

from __future__ import annotations

from datetime import date

import polars as pl

from stupid_dagster.compute.anomalies.scores import NOTABLE
from stupid_dagster.compute.insights import Findings, Previous, build_insights, entities_told
from stupid_dagster.project import Project
from stupid_dagster.stages.window import Window, open_window
from stupid_dagster.stages.written import Written
from stupid_dagster.tables import TABLES


def make_insights(project: Project, last_day: str) -> list[Written]:
    """Write `insights`: what changed since the previous window, and in the window's last days.

    Tables that the window or the one before it lacks tell nothing.
    """
    window = open_window(project, last_day)
    stage = window.stage()
    findings = _findings(window)
    insights = build_insights(
        findings, model=project.model, window_last_day=date.fromisoformat(last_day)
    )
    table = insights.table
    counts = {
        f"{column}_{name}": number
        for column in ("severity", "status")
        for name, number in table[column].value_counts().sort(column).iter_rows()
    }
    titles = "\n".join(f"- {title}" for title in table["title"].head(10))
    untold = {f"untold_{kind}": number for kind, number in insights.untold.items()}
    stage.table("insights", table, details={**counts, **untold, "titles": titles})
    return stage.written


def _findings(window: Window) -> Findings:
    """Read what insights are drawn from; of large tables only what they tell of."""

    def scan(table: str) -> pl.LazyFrame:
        return window.scan(table) if window.find(table) else TABLES[table].empty().lazy()

    def before(table: str) -> pl.DataFrame:
        found = window.previous(table)
        return TABLES[table].empty() if found is None else found

    unusual = scan("anomalies").filter(pl.col("score") >= NOTABLE).collect()
    causes, bots = (scan(table).collect() for table in ("anomaly_causes", "bot_candidates"))
    entities = entities_told(unusual, causes, bots)
    nodes = scan("graph_nodes").filter(pl.col("entity_id").is_in(entities)).collect()
    activity = (
        window.scan_days("activity")
        .filter(pl.col("actor").is_in(entities))
        .select("actor", "day", "events")
        .collect()
    )
    previous = None
    told, version = window.previous("insights"), window.previous_version("insights")
    # Those of an older release had no status: there is nothing to compare with.
    if version and told is not None and TABLES["insights"].schema.keys() <= {*told.columns}:
        previous = Previous(date.fromisoformat(version.partition), told, before("labels"))
    whole = ("trends", "clusters", "cluster_changes", "cluster_moves", "communities")
    whole += ("community_changes", "labels", "patterns")
    return Findings(
        **{table: scan(table).collect() for table in whole},
        anomalies=unusual,
        anomaly_causes=causes,
        bot_candidates=bots,
        history=before("history"),
        graph_nodes=nodes,
        activity=activity,
        days=[date.fromisoformat(day) for day in window.days],
        previous=previous,
    )
