"""Stages of what the window's actors do, and which do alike."""

from __future__ import annotations

import polars as pl

from stupid_dagster.compute.plots.clusters import cluster_plot
from stupid_dagster.compute.segments.cluster_entities import cluster_entities
from stupid_dagster.compute.segments.clusters import Earlier, cluster_actors
from stupid_dagster.compute.segments.features import build_features
from stupid_dagster.project import Project
from stupid_dagster.stages.window import NEXT_NUMBER, Window, open_window
from stupid_dagster.stages.written import Written

_PREVIEWED = 10


def make_features(project: Project, last_day: str) -> list[Written]:
    """Write `features` over the last days of the window, as many as the event model says."""
    window = open_window(project, last_day)
    stage = window.stage()
    days = window.recent_days(project.model.features.window_days)
    # Of a window without recent days one is read, for its columns, but none of its rows.
    activity = window.scan_days("activity", days or window.days[-1:])
    recent = activity.filter(pl.lit(value=bool(days)))
    features = build_features(project.model, recent)
    stage.table("features", features, metadata={"days": days}, details={"days": len(days)})
    return stage.written


def make_clusters(project: Project, last_day: str) -> list[Written]:
    """Write the window's segments of actors, and how they changed since the previous window.

    The tables are `clusters`, `cluster_members`, `cluster_choice`, `cluster_entities`,
    `cluster_changes` and `cluster_moves`.
    """
    window = open_window(project, last_day)
    stage = window.stage()
    result = cluster_actors(
        window.read("features"),
        project.model.features,
        seed=project.settings.seed,
        max_clusters=project.settings.max_clusters,
        earlier=_earlier(window),
    )
    stage.table(
        "clusters",
        result.clusters,
        metadata={NEXT_NUMBER: result.identity.next_number},
        details={
            "k": result.k,
            "silhouette": result.silhouette,
            "warm_start": result.warm_start,
            "shaping_actors": result.shaping,
            "features": ", ".join(result.scaling.used),
            "features_dropped": ", ".join(result.scaling.dropped),
        },
        pictures={"plot": cluster_plot(result.clusters, result.choice)},
    )
    stage.table("cluster_members", result.members)
    stage.table("cluster_choice", result.choice, previews={"choice": result.choice})
    edges = window.scan("graph_edges")
    entities = cluster_entities(result.members, edges, project.model)
    telling = entities.filter(pl.col("lift_rank") == 1).sort("lift", descending=True)
    stage.table("cluster_entities", entities, previews={"telling": telling.head(_PREVIEWED)})
    changes = result.identity.changes
    stage.table(
        "cluster_changes",
        changes,
        details=dict(changes.group_by("change").len().sort("change").iter_rows()),
        previews={"changes": changes.with_columns(pl.col("previous_ids").list.join(", "))},
    )
    moves = result.identity.moves
    moved = moves.filter(pl.col("from_id").ne_missing(pl.col("to_id")))
    stage.table("cluster_moves", moves, previews={"largest": moved.head(_PREVIEWED)})
    return stage.written


def _earlier(window: Window) -> Earlier | None:
    clusters = window.previous("clusters")
    members = window.previous("cluster_members")
    if clusters is None or members is None:
        return None
    return Earlier(clusters, members, window.next_number("clusters"))
