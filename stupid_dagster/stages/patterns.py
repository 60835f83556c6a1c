"""Stages of what actors do one after the other, and of what they have in common."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

import polars as pl

from stupid_dagster.compute.graph.cooccurrence import find_cooccurrence
from stupid_dagster.compute.plots.patterns import cooccurrence_plot, pattern_plot
from stupid_dagster.compute.sequences.patterns import Bounds, find_patterns
from stupid_dagster.compute.sequences.timelines import Timelines, join_in_blocks
from stupid_dagster.project import Project
from stupid_dagster.stages.window import Window, open_window
from stupid_dagster.stages.written import Written
from stupid_dagster.tables import TABLES

PREVIEW_ROWS = 20


def make_patterns(project: Project, last_day: str) -> list[Written]:
    """Write `patterns` of the last days of the window, as many as the settings say."""
    window = open_window(project, last_day)
    stage = window.stage()
    settings = project.settings
    days = window.recent_days(settings.pattern_days)
    timelines = _timelines(window)
    before = window.previous_window("patterns")
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
        previous=window.previous("patterns"),
        previous_timelines=_timelines(before) if before else None,
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
    window = open_window(project, last_day)
    stage = window.stage()
    found = find_cooccurrence(project.model, window.scan("graph_nodes"), window.scan("graph_edges"))
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


def _timelines(window: Window) -> Timelines:
    """Return the timelines of the days of a window whose sequences are mined."""
    model = window.project.model
    midnight = datetime.combine(date.fromisoformat(window.last_day), time(), model.zone)
    days = window.recent_days(window.project.settings.pattern_days)
    empty = TABLES["sequences"].empty().lazy()
    sequences = window.scan_days("sequences", days).drop("day") if days else empty
    return join_in_blocks(model, sequences, midnight + timedelta(days=1))


def _readable(patterns: pl.DataFrame) -> pl.DataFrame:
    columns = ["symbols", "actors", "support", "lift", "median_seconds", "status"]
    return (
        patterns.select(columns).head(PREVIEW_ROWS).with_columns(pl.col("symbols").list.join(" > "))
    )
