"""Stage of the actors that are unusual on the window's last day."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import polars as pl

from stupid_dagster.compute.anomalies.causes import anomaly_causes, with_causes
from stupid_dagster.compute.anomalies.scores import score_actors, with_documents
from stupid_dagster.compute.anomalies.signals.behaviour import (
    HISTORY_DAYS,
    behaviour_evidence,
    day_counters,
    own_history,
)
from stupid_dagster.compute.anomalies.signals.graph import graph_evidence
from stupid_dagster.compute.anomalies.signals.links import actor_links, window_links
from stupid_dagster.compute.anomalies.signals.noise import noise_evidence
from stupid_dagster.compute.anomalies.signals.statistical import statistical_evidence
from stupid_dagster.compute.plots.anomalies import anomaly_plot
from stupid_dagster.project import Project
from stupid_dagster.stages.window import Window, open_window
from stupid_dagster.stages.written import Written

TOP = 10


def make_anomalies(project: Project, last_day: str) -> list[Written]:
    """Write `anomalies` of the actors of the window's last complete day, and `anomaly_causes`."""
    window = open_window(project, last_day)
    stage = window.stage()
    model, days = project.model, window.days
    day = date.fromisoformat(days[-1])
    activity = window.scan_day("activity", days[-1]).filter(
        ~pl.col("is_test").fill_null(value=False)
    )
    today = day_counters(model, activity).sort("actor").collect()
    actors = today["actor"]
    history = _history(window, actors)
    links = actor_links(window.scan_day("edges", days[-1]), actors).collect()
    start = datetime.combine(day, datetime.min.time(), tzinfo=model.zone)
    in_window = window_links(window.scan("graph_edges"), actors, start, HISTORY_DAYS)
    communities = window.scan("community_members").select("entity_id", "community_id").collect()
    anomalies = score_actors(
        actors,
        [
            statistical_evidence(actors, window.read("features"), in_window.degree),
            noise_evidence(actors, window.read("actor_noise")),
            behaviour_evidence(actors, today, history),
            graph_evidence(actors, in_window, links, history, communities),
        ],
    )
    causes = anomaly_causes(model, anomalies, links)
    anomalies = with_causes(anomalies, causes, links)
    texts, actor_texts = (window.scan_day(t, days[-1]) for t in ("texts", "actor_texts"))
    anomalies = with_documents(anomalies, days[-1], actor_texts, texts)
    severities = anomalies.group_by("severity").len().sort("severity")
    shown = ("rank", "actor", "score", "severity", "signals", "shared")
    stage.table(
        "anomalies",
        anomalies,
        details={"day": days[-1], "actors": anomalies.height, **dict(severities.iter_rows())},
        pictures={"plot": anomaly_plot(anomalies)},
        previews={"most unusual": anomalies.select(shown).head(TOP)},
    )
    stage.table(
        "anomaly_causes",
        causes,
        previews={"least likely by chance": causes.head(TOP)},
    )
    return stage.written


def _history(window: Window, actors: pl.Series) -> pl.DataFrame:
    """Return the actors' own history over the days that there are of the week before the last."""
    day = date.fromisoformat(window.days[-1])
    first = (day - timedelta(days=HISTORY_DAYS)).isoformat()
    recent = [earlier for earlier in window.days[:-1] if earlier >= first]
    # Without any, the day itself is read for its columns, but none of its rows.
    activity = window.scan_days("activity", recent or window.days[-1:])
    activity = activity.filter(pl.col("day") < day)
    wanted = actors.alias("actor").to_frame().lazy()
    ours = activity.join(wanted, on="actor", how="semi")
    return own_history(day_counters(window.project.model, ours)).collect()
