"""What is new since the previous window, what goes on, and what has ceased."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import polars as pl

from stupid_dagster.compute.insights import plans
from stupid_dagster.compute.insights.findings import SEVERITIES, Insight, Previous, evidence_of
from stupid_dagster.compute.insights.phrases import date_text

STATUSES = NEW, ONGOING, RESOLVED = ("new", "ongoing", "resolved")
CEASING = ("trend", "cause", "bots", "anomaly")
"""Kinds that tell of something wrong or changing: their end is worth an insight."""


@dataclass(frozen=True)
class Dated:
    """An insight with its status, and the last day of the first window that told it.

    `since` is never before the window's own first day: what lies before that may be evicted.
    """

    insight: Insight
    status: str
    since: dt.date


def comparable(previous: Previous | None, first_day: dt.date) -> Previous | None:
    """Return the previous window unless it ended before this one's first day: all that it told
    of may be evicted.
    """
    return previous if previous and previous.last_day >= first_day else None


def dated(
    insights: Iterable[Insight], previous: Previous | None, first_day: dt.date, last_day: dt.date
) -> list[Dated]:
    """Return the insights as ongoing if the previous window told them, else as new."""
    since = {}
    if previous:
        told = _unresolved(previous.insights)
        since = dict(told.select("insight_id", "since").iter_rows())
    return [
        Dated(insight, ONGOING, max(since[insight.insight_id], first_day))
        if insight.insight_id in since
        else Dated(insight, NEW, last_day)
        for insight in insights
    ]


def resolved(
    previous: Previous | None, holding: Iterable[str], first_day: dt.date, last_day: dt.date
) -> list[Dated]:
    """Return what the previous window told and holds no more, once, as `info`; the worst first.

    Of the kinds in CEASING. `holding` are the ids of what still holds, whether told or not.
    """
    if previous is None:
        return []
    severity = pl.col("severity").replace_strict(
        list(SEVERITIES), range(len(SEVERITIES)), return_dtype=pl.Int64
    )
    kind = pl.col("kind").replace_strict(
        list(CEASING), range(len(CEASING)), default=len(CEASING), return_dtype=pl.Int64
    )
    ceased = (
        _unresolved(previous.insights)
        .with_columns(pl.col("since").clip(lower_bound=first_day))
        .filter(
            pl.col("kind").is_in(CEASING),
            ~pl.col("insight_id").is_in(list(holding)),
        )
        .sort(severity, kind, "rank", "insight_id")
    )
    return [
        Dated(_resolved(row, place, previous.last_day, first_day, last_day), RESOLVED, row["since"])
        for place, row in enumerate(ceased.iter_rows(named=True))
    ]


def _unresolved(insights: pl.DataFrame) -> pl.DataFrame:
    return insights.filter(pl.col("status") != RESOLVED)


def _resolved(
    row: dict[str, Any], place: int, until: dt.date, first_day: dt.date, last_day: dt.date
) -> Insight:
    title = f"No more: {row['title']}"
    # The window doesn't reach back further, and doesn't know whether it was told before.
    or_before = " or before" if row["since"] == first_day else ""
    since = f"from {date_text(row['since'])}{or_before} until {date_text(until)}"
    if row["since"] == until and not or_before:
        since = f"on {date_text(until)}"
    text = f"It was told as {row['severity']} {since}; on {date_text(last_day)} it no longer holds."
    keep = ("insight_id", "severity", "since", "title")
    return Insight(
        row["insight_id"],
        row["kind"],
        "info",
        title,
        text,
        row["subjects"],
        evidence_of(
            "insights",
            {"insight_id": row["insight_id"]},
            [{key: row[key] for key in keep}],
            until=until,
        ),
        plans.resolved_plan(row["kind"], row["subjects"], title),
        row["series"],
        (place,),
    )
