"""Stages of what actors do one after the other, and of what they have in common."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

import polars as pl

from stupid_dagster.compute.cooccurrence import find_cooccurrence
from stupid_dagster.compute.patterns import Bounds, find_patterns
from stupid_dagster.compute.plots.patterns import cooccurrence_plot, pattern_plot
from stupid_dagster.compute.timelines import Timelines, join_timelines
from stupid_dagster.project import Project
from stupid_dagster.stages.window import previous_window, window_days
from stupid_dagster.stages.written import Stage, Written
from stupid_dagster.tables import TABLES

PREVIEW_ROWS = 20


def make_patterns(project: Project, last_day: str) -> list[Written]:
    """Write `patterns` of the last days of the window, as many as the settings say."""
    stage = Stage(project, last_day)
    settings = project.settings
    days = _recent(project, last_day, window_days(project, last_day))
    timelines = _timelines(project, last_day, days)
    bounds = Bounds(
        settings.pattern_min_support,
        settings.pattern_min_actors,
        settings.pattern_max_length,
        settings.patterns_most,
    )
    found = find_patterns(
        project.model,
        timelines,
        bounds,
        previous=previous_window(project, "patterns", last_day),
        previous_timelines=_previous_timelines(project, last_day),
    )
    patterns = found.patterns
    complete_from = dict(found.complete_from)
    counts = patterns.group_by("category").len().sort("category")
    statuses = patterns["status"].drop_nulls().value_counts().sort("status")
    stage.table(
        "patterns",
        patterns,
        metadata={"days": days, "minimum": found.minimum, "complete_from": complete_from},
        details={
            "days": len(days),
            "actors": timelines.size,
            "events": len(timelines.symbols),
            "symbols": len(timelines.alphabet),
            "minimum_actors": found.minimum,
            **dict(counts.iter_rows()),
            **dict(statuses.iter_rows()),
            **{f"{name}: complete from": actors for name, actors in complete_from.items()},
        },
        pictures={"plot": pattern_plot(patterns)},
        previews={
            name: _readable(patterns.filter(pl.col("category") == name))
            for name in counts["category"]
        },
    )
    return stage.written


def make_cooccurrence(project: Project, last_day: str) -> list[Written]:
    """Write `cooccurrence` of the entities that the window's actors are linked to."""
    stage = Stage(project, last_day)
    found = find_cooccurrence(
        project.model,
        project.lake.scan_days("graph_nodes", [last_day]),
        project.lake.scan_days("graph_edges", [last_day]),
    )
    details: dict[str, int] = {}
    for pair, actors in found.universe.items():
        details[f"{pair}: actors"] = actors
        details[f"{pair}: possible pairs"] = found.possible[pair]
        details[f"{pair}: pairs with enough actors"] = found.tested[pair]
    left_out = {f"{name}: entities left out": n for name, n in found.left_out.items() if n}
    stage.table(
        "cooccurrence",
        found.table,
        metadata={"left_out": dict(found.left_out)},
        details=details | left_out,
        pictures={"plot": cooccurrence_plot(found.table)},
        previews={
            pair: found.table.filter(pl.col("pair") == pair).drop("pair").head(PREVIEW_ROWS)
            for pair in found.universe
        },
    )
    return stage.written


def _recent(project: Project, last_day: str, window: list[str]) -> list[str]:
    """Return the days of a window whose sequences are mined."""
    span = timedelta(days=project.settings.pattern_days - 1)
    first_day = (date.fromisoformat(last_day) - span).isoformat()
    return [day for day in window if day >= first_day]


def _timelines(project: Project, last_day: str, days: list[str]) -> Timelines:
    midnight = datetime.combine(date.fromisoformat(last_day), time(), project.model.zone)
    frames = [project.lake.read("sequences", day) for day in days]
    sequences = pl.concat(frames) if frames else TABLES["sequences"].empty()
    return join_timelines(project.model, sequences, midnight + timedelta(days=1))


def _previous_timelines(project: Project, last_day: str) -> Timelines | None:
    """Return the timelines of the window that `patterns` are compared with; None without."""
    earlier = [day for day in project.lake.partitions("patterns") if day < last_day]
    if not earlier:
        return None
    window = project.window_days(date.fromisoformat(earlier[-1]))
    return _timelines(project, earlier[-1], _recent(project, earlier[-1], window))


def _readable(patterns: pl.DataFrame) -> pl.DataFrame:
    columns = ["symbols", "actors", "support", "lift", "median_seconds", "status"]
    return (
        patterns.select(columns).head(PREVIEW_ROWS).with_columns(pl.col("symbols").list.join(" > "))
    )
