"""Stages of a window: they combine small tables of its days, and never read its events."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl

from stupid_dagster.compute.clusters import Centroids, cluster_actors
from stupid_dagster.compute.features import build_features
from stupid_dagster.compute.merge import merge_texts
from stupid_dagster.compute.plots import cluster_plot, trend_plot
from stupid_dagster.compute.trends import daily_trends
from stupid_dagster.embed.packing import unpack_vectors
from stupid_dagster.errors import ComputeError
from stupid_dagster.project import Project
from stupid_dagster.stages.written import Stage, Written
from stupid_dagster.stores.lake import VersionWriter
from stupid_dagster.stores.vectors import build_search_index


def window_days(project: Project, last_day: str) -> list[str]:
    """Return the window's complete days; raises ComputeError when there are none."""
    days = project.window_days(date.fromisoformat(last_day))
    if not days:
        raise ComputeError(
            f"no day of the window ending on {last_day} has all its day tables; materialise "
            "days first: `stupid-dagster run --from DAY --to DAY`"
        )
    return days


def make_search_index(project: Project, last_day: str) -> list[Written]:
    """Write the `search_index` over the window's distinct texts."""
    stage = Stage(project, last_day)
    days = window_days(project, last_day)
    texts = merge_texts(project.lake.scan_days("texts", days)).collect()
    vectors = _vectors(project, last_day, days, texts["text_id"])

    def fill(writer: VersionWriter) -> None:
        build_search_index(writer.path, texts, vectors, embedder_id=project.embedder.model_id)
        writer.rows = texts.height

    events = int(texts["count"].sum())
    stage.files(
        "search_index",
        fill,
        metadata={"days": days},
        details={
            "days": len(days),
            "events": events,
            "events_per_text": events / max(1, texts.height),
        },
    )
    return stage.written


def _vectors(project: Project, last_day: str, days: list[str], text_ids: pl.Series) -> np.ndarray:
    """Return the texts' vectors, float32 [texts, dimensions]; holds one day's at a time."""
    vectors = np.zeros((len(text_ids), project.embedder.dimensions), dtype=np.float32)
    missing = text_ids.to_frame().with_row_index("place")
    for day in days:
        found = missing.join(project.lake.read("vectors", day), on="text_id")
        vectors[found["place"].to_numpy()] = unpack_vectors(found["vector"])
        missing = missing.join(found, on="text_id", how="anti")
    if missing.height:
        raise ComputeError(
            f"{missing.height} texts of the window ending on {last_day} have no vector; "
            "materialise texts and vectors of its days again"
        )
    return vectors


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
    earlier = [p for p in project.lake.partitions("clusters") if p < last_day]
    result = cluster_actors(
        features,
        seed=settings.seed,
        max_clusters=settings.max_clusters,
        previous_centroids=(
            Centroids.of(project.lake.read("clusters", earlier[-1])) if earlier else None
        ),
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


def make_trends(project: Project, last_day: str) -> list[Written]:
    """Write `trends` of each day of the window."""
    stage = Stage(project, last_day)
    days = window_days(project, last_day)
    trends = daily_trends(
        project.model,
        project.lake.scan_days("metrics", days),
        baseline_days=project.settings.trend_baseline_days,
        days=[date.fromisoformat(day) for day in days],
    )
    whole = trends.filter(pl.col("dimension") == "")
    severities = whole.group_by("severity").len().sort("severity")
    stage.table(
        "trends",
        trends,
        metadata={"days": days},
        details={"days": len(days), **dict(severities.iter_rows())},
        pictures={f"plot: {metric}": trend_plot(trends, metric) for metric in _loudest(whole)},
    )
    return stage.written


def _loudest(trends: pl.DataFrame, most: int = 3) -> list[str]:
    """Return the metrics whose last judged days deviate most."""
    judged = trends.filter(pl.col("z").is_not_null())
    ranked = judged.group_by("metric").agg(pl.col("z").abs().max()).sort("z", descending=True)
    return ranked["metric"].head(most).to_list()
