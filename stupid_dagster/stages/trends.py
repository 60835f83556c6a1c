"""Stages of the window's metrics, and of what is kept of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import polars as pl

from stupid_dagster.compute.changes.growth import SIZES, new_actor_trends, size_trends
from stupid_dagster.compute.changes.history import HISTORY_TABLES, merge_history, window_history
from stupid_dagster.compute.changes.trends import build_trends
from stupid_dagster.compute.plots.trends import trend_plot
from stupid_dagster.project import Project
from stupid_dagster.stages.window import Window, open_window
from stupid_dagster.stages.written import Written
from stupid_dagster.tables import TABLES

MOST_PLOTS = 3


def make_trends(project: Project, last_day: str) -> list[Written]:
    """Write `trends` of each day and hour of the window, and of its groups' sizes."""
    window = open_window(project, last_day)
    stage = window.stage()
    model = project.model
    days = [date.fromisoformat(day) for day in window.days]
    baseline_days = project.settings.trend_baseline_days
    trends = pl.concat(
        [
            build_trends(
                model, window.scan_days("metrics"), baseline_days=baseline_days, days=days
            ),
            new_actor_trends(
                model, window.scan_days("activity"), days=days, baseline_days=baseline_days
            ),
            *_size_trends(window),
        ]
    ).sort("grain", "metric", "dimension", "member", "time")
    whole = trends.filter(pl.col("dimension") == "")
    plots = {f"plot: {m}": trend_plot(trends, m) for m in _loudest(whole, "day", MOST_PLOTS)}
    for metric in _loudest(whole, "hour", 1):
        plots[f"plot: {metric} by the hour"] = trend_plot(trends, metric, grain="hour")
    stage.table(
        "trends",
        trends,
        details={"days": len(days), **_severities(trends)},
        pictures=plots,
    )
    return stage.written


def make_history(project: Project, last_day: str) -> list[Written]:
    """Write `history`: what any window knew, and what this one adds."""
    window = open_window(project, last_day)
    stage = window.stage()
    day = date.fromisoformat(last_day)
    tables = {name: window.scan(name) for name in HISTORY_TABLES if window.find(name)}
    own = window_history(project.model, tables, day)
    history = merge_history(own, day, _histories(project))
    stage.table(
        "history",
        history,
        details={
            "first_day": str(history["day"].min()),
            "days": history["day"].n_unique(),
            "from_this_window": own.height,
        },
    )
    return stage.written


def _size_trends(window: Window) -> Iterator[pl.DataFrame]:
    """Yield the sizes of the window's segments and communities against earlier windows'."""
    day = date.fromisoformat(window.last_day)
    earlier = _histories(window.project, before=day)
    history = merge_history(TABLES["history"].empty(), day, earlier)
    for table in SIZES:
        groups = window.read(table)
        yield size_trends(window.project.model, groups, table, history, day)


def _histories(project: Project, before: date | None = None) -> Iterator[tuple[date, pl.DataFrame]]:
    """Yield (last day, `history`) of the windows that have one."""
    for partition in project.lake.partitions("history"):
        window = date.fromisoformat(partition)
        if before is None or window < before:
            yield window, project.lake.read("history", partition)


def _severities(trends: pl.DataFrame) -> dict[str, int]:
    """Return how many rows have which severity, such as `hours_critical`; without the normal."""
    off = trends.filter(pl.col("severity") != "normal")
    counts = off.group_by("grain", "severity").len().sort("grain", "severity")
    return {f"{grain}s_{severity}": rows for grain, severity, rows in counts.iter_rows()}


def _loudest(trends: pl.DataFrame, grain: str, most: int) -> list[str]:
    """Return the metrics that deviate most at any time."""
    judged = trends.filter(pl.col("grain") == grain, pl.col("z").is_not_null())
    ranked = judged.group_by("metric").agg(pl.col("z").abs().max())
    return ranked.sort("z", "metric", descending=[True, False])["metric"].head(most).to_list()
