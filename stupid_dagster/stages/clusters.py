"""Stages of what the window's actors do, and which do alike."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl

from stupid_dagster.compute.clusters import Centroids, cluster_actors
from stupid_dagster.compute.features import build_features
from stupid_dagster.compute.plots import cluster_plot
from stupid_dagster.project import Project
from stupid_dagster.stages.window import previous_window, window_days
from stupid_dagster.stages.written import Stage, Written


def make_features(project: Project, last_day: str) -> list[Written]:
    """Write `features` over the last days of the window, as many as the event model says."""
    stage = Stage(project, last_day)
    span = timedelta(days=project.model.features.window_days - 1)
    first_day = (date.fromisoformat(last_day) - span).isoformat()
    window = window_days(project, last_day)
    days = [day for day in window if day >= first_day]
    # Of a window without recent days one is read, for its columns, but none of its rows.
    activity = project.lake.scan_days("activity", days or window[-1:])
    recent = activity.filter(pl.col("day") >= date.fromisoformat(first_day))
    features = build_features(project.model, recent)
    stage.table("features", features, metadata={"days": days}, details={"days": len(days)})
    return stage.written


def make_clusters(project: Project, last_day: str) -> list[Written]:
    """Write `clusters`, `cluster_members` and `cluster_choice` of the window's actors."""
    stage = Stage(project, last_day)
    settings = project.settings
    features = project.lake.read("features", last_day)
    previous = previous_window(project, "clusters", last_day)
    result = cluster_actors(
        features,
        seed=settings.seed,
        max_clusters=settings.max_clusters,
        previous_centroids=Centroids.of(previous) if previous is not None else None,
    )
    stage.table(
        "clusters",
        result.clusters,
        details={
            "k": result.k,
            "silhouette": result.silhouette,
            "warm_start": result.warm_start,
            "features": ", ".join(result.scaling.used),
            "features_dropped": ", ".join(result.scaling.dropped),
        },
        pictures={"plot": cluster_plot(result.clusters, result.choice)},
    )
    stage.table("cluster_members", result.members)
    stage.table("cluster_choice", result.choice)
    return stage.written
