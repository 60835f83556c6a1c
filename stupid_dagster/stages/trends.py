"""Stages of the window's metrics."""

from __future__ import annotations

from datetime import date

import polars as pl

from stupid_dagster.compute.plots import trend_plot
from stupid_dagster.compute.trends import daily_trends
from stupid_dagster.project import Project
from stupid_dagster.stages.window import window_days
from stupid_dagster.stages.written import Stage, Written


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
