"""Stage of the actors that are unusual on the window's last day."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import polars as pl

from stupid_dagster.compute.anomalies import score_actors, with_documents
from stupid_dagster.compute.causes import anomaly_causes, with_causes
from stupid_dagster.compute.plots.anomalies import anomaly_plot
from stupid_dagster.compute.signals.behaviour import (
    HISTORY_DAYS,
    behaviour_evidence,
    day_counters,
    own_history,
)
from stupid_dagster.compute.signals.graph import graph_evidence
from stupid_dagster.compute.signals.links import actor_links, window_links
from stupid_dagster.compute.signals.noise import noise_evidence
from stupid_dagster.compute.signals.statistical import statistical_evidence
from stupid_dagster.project import Project
from stupid_dagster.stages.window import window_days
from stupid_dagster.stages.written import Stage, Written

TOP = 10


def make_anomalies(project: Project, last_day: str) -> list[Written]:
    """Write `anomalies` of the actors of the window's last complete day, and `anomaly_causes`."""
    stage = Stage(project, last_day)
    lake, model = project.lake, project.model
    days = window_days(project, last_day)
    day = date.fromisoformat(days[-1])
    activity = lake.scan("activity", days[-1]).filter(~pl.col("is_test").fill_null(value=False))
    today = day_counters(model, activity).sort("actor").collect()
    actors = today["actor"]
    history = _history(project, days[:-1], day, actors)
    links = actor_links(lake.scan("edges", days[-1]), actors).collect()
    start = datetime.combine(day, datetime.min.time(), tzinfo=model.zone)
    window = window_links(lake.scan("graph_edges", last_day), actors, start, HISTORY_DAYS)
    anomalies = score_actors(
        actors,
        [
            statistical_evidence(actors, lake.read("features", last_day), window.degree),
            noise_evidence(actors, lake.read("actor_noise", last_day)),
            behaviour_evidence(actors, today, history),
            graph_evidence(actors, window, links, history, _communities(project, last_day)),
        ],
    )
    causes = anomaly_causes(model, anomalies, links)
    anomalies = with_causes(anomalies, causes, links)
    texts = lake.scan("texts", days[-1])
    anomalies = with_documents(anomalies, days[-1], lake.scan("actor_texts", days[-1]), texts)
    severities = anomalies.group_by("severity").len().sort("severity")
    shown = ("rank", "actor", "score", "severity", "signals", "shared")
    stage.table(
        "anomalies",
        anomalies,
        metadata={"days": days},
        details={"day": days[-1], "actors": anomalies.height, **dict(severities.iter_rows())},
        pictures={"plot": anomaly_plot(anomalies)},
        previews={"most unusual": anomalies.select(shown).head(TOP)},
    )
    stage.table(
        "anomaly_causes",
        causes,
        metadata={"days": days},
        previews={"least likely by chance": causes.head(TOP)},
    )
    return stage.written


def _history(project: Project, before: list[str], day: date, actors: pl.Series) -> pl.DataFrame:
    """Return the actors' own history over the days of the week before that there are."""
    first = (day - timedelta(days=HISTORY_DAYS)).isoformat()
    recent = [earlier for earlier in before if earlier >= first]
    # Without any, the day itself is read for its columns, but none of its rows.
    activity = project.lake.scan_days("activity", recent or [day.isoformat()])
    activity = activity.filter(pl.col("day") < day)
    wanted = actors.alias("actor").to_frame().lazy()
    ours = activity.join(wanted, on="actor", how="semi")
    return own_history(day_counters(project.model, ours)).collect()


def _communities(project: Project, last_day: str) -> pl.DataFrame:
    scanned = project.lake.scan("community_members", last_day)
    return scanned.select("entity_id", "community_id").collect()
