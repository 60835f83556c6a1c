"""Stage of what the window's last day was about: like texts, noise, and bots."""

from __future__ import annotations

import polars as pl

from stupid_dagster.compute.events.bots import find_bot_candidates
from stupid_dagster.compute.events.event_clusters import NOISE_ID, cluster_events
from stupid_dagster.compute.plots.event_clusters import event_cluster_plot
from stupid_dagster.project import Project
from stupid_dagster.stages.window import open_window
from stupid_dagster.stages.written import Written


def make_event_clusters(project: Project, last_day: str) -> list[Written]:
    """Write what DBSCAN finds in the texts of the window's last complete day.

    The tables are `event_clusters`, `text_clusters`, `actor_noise` and `bot_candidates`.
    """
    window = open_window(project, last_day)
    stage = window.stage()
    settings = project.settings
    day = window.days[-1]
    texts, vectors, actor_texts, sequences = (
        window.scan_day(table, day).collect()
        for table in ("texts", "vectors", "actor_texts", "sequences")
    )
    found = cluster_events(
        texts,
        vectors,
        actor_texts,
        eps=settings.dbscan_eps,
        min_events=settings.dbscan_min_events,
        exact_texts=settings.dbscan_exact_texts,
    )
    bots = find_bot_candidates(actor_texts, sequences, texts, day)
    source = {"days": [day]}
    stage.table(
        "event_clusters",
        found.clusters,
        metadata=source,
        details={
            "day": day,
            "eps": settings.dbscan_eps,
            "min_pts": settings.dbscan_min_events,
            "method": "exact" if found.exact else "approximate",
            "clusters": found.clusters.filter(pl.col("event_cluster_id") != NOISE_ID).height,
            "noise_share": found.noise_share,
        },
        previews={"event types": found.by_event_type(texts)},
        pictures={"plot": event_cluster_plot(found.clusters, found.actors)},
    )
    stage.table("text_clusters", found.texts, metadata=source)
    stage.table("actor_noise", found.actors, metadata=source)
    stage.table(
        "bot_candidates",
        bots,
        metadata=source,
        details={"groups": bots["group_id"].n_unique(), "actors": bots.height},
        previews={"groups": _bot_groups(bots)},
    )
    return stage.written


def _bot_groups(bots: pl.DataFrame) -> pl.DataFrame:
    """Return one row a group, the largest first."""
    return (
        bots.group_by("group_id", maintain_order=True)
        .agg(
            actors=pl.len(),
            events=pl.col("events").sum(),
            repetition=pl.col("repetition").mean(),
            interval_seconds=pl.col("interval_seconds").median(),
            regularity=pl.col("regularity").mean(),
            text=pl.col("text").first(),
        )
        .head(20)
    )
