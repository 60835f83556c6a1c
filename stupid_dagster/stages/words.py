"""Stages that put what was computed into words."""

from __future__ import annotations

from datetime import date

import polars as pl

from stupid_dagster.compute.insights import build_insights
from stupid_dagster.compute.profiles import cluster_profiles, community_profiles
from stupid_dagster.llm.labels import label_profiles
from stupid_dagster.project import Project
from stupid_dagster.stages.written import Stage, Written

LABELLED_SIZE, LABELLED_COMMUNITIES = 3, 1_000
"""Communities get a label from so many members on, the largest so many of them."""


def make_labels(project: Project, last_day: str) -> list[Written]:
    """Write `labels` of the window's clusters and of its larger communities."""
    stage = Stage(project, last_day)

    def read(table: str, *columns: str) -> pl.DataFrame:
        return project.lake.scan(table, last_day).select(*columns or [pl.all()]).collect()

    nodes = read("graph_nodes", "entity_id", "type", "key", "properties")
    communities = read("communities")
    labelled = (
        communities.filter(pl.col("size") >= LABELLED_SIZE)
        .sort("size", "community_id", descending=[True, False])
        .head(LABELLED_COMMUNITIES)
    )
    members = read("community_members", "entity_id", "type", "community_id")
    profiles = [
        *cluster_profiles(
            read("clusters"),
            read("cluster_members"),
            read("features"),
            project.model,
            read("cluster_entities"),
            nodes,
        ),
        *community_profiles(labelled, members, nodes, project.model),
    ]
    labels = label_profiles(profiles)
    details = {
        **{kind: rows.height for (kind,), rows in labels.group_by("kind", maintain_order=True)},
        "communities_unlabelled": communities.height - labelled.height,
    }
    stage.table("labels", labels, details=details)
    return stage.written


def make_insights(project: Project, last_day: str) -> list[Written]:
    """Write `insights` of the window's last days."""
    stage = Stage(project, last_day)
    tables = (
        project.lake.read(t, last_day) for t in ("trends", "clusters", "communities", "labels")
    )
    insights = build_insights(
        *tables, model=project.model, window_last_day=date.fromisoformat(last_day)
    )
    severities = insights.group_by("severity").len().sort("severity")
    titles = "\n".join(f"- {title}" for title in insights["title"].head(10))
    stage.table("insights", insights, details={**dict(severities.iter_rows()), "titles": titles})
    return stage.written
