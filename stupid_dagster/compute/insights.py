"""What is worth knowing about a window's last days, ranked."""

from __future__ import annotations

import datetime as dt
import json
import math
from typing import Any

import polars as pl

from stupid_dagster.compute import words
from stupid_dagster.compute.episodes import Episode, recent_episodes
from stupid_dagster.compute.trends import CRITICAL, NOTABLE, SIGNIFICANT
from stupid_dagster.event_model import EventModel
from stupid_dagster.tables import TABLES, conform

RECENT_DAYS = 3
MAX_GROUPS = 2
"""Segments told, and as many communities."""
MIN_UNUSUAL_SHARE = 0.01
"""Segments of fewer actors are not told for being unusual."""
MAX_DAYS_TOLD, MAX_MEMBERS_TOLD = 3, 4
"""Days of an episode, and members with one, that a text names."""

_SEVERITIES = ("critical", "significant", "notable", "info")
_KINDS = ("trend", "cluster", "community")


def build_insights(
    trends: pl.DataFrame,
    clusters: pl.DataFrame,
    communities: pl.DataFrame,
    labels: pl.DataFrame,
    *,
    model: EventModel,
    window_last_day: dt.date,
    recent_days: int = RECENT_DAYS,
) -> pl.DataFrame:
    """Return the table `insights`, most important first.

    - trend: one per metric, direction and episode (see `recent_episodes`) that reaches into
      the last `recent_days` days of the window, with the drivers of its peak; and one per
      dimension for members that are critical while the whole isn't off.
    - cluster: the largest segment, and the most unusual one (largest |z| of a feature's mean)
      of at least 1 % of the actors.
    - community: the two largest of more than one member.

    Ranked by severity (clusters and communities are `info`), kind, size of |z| in half
    doublings, ratios behind what they are made of. All numbers are from the tables. `series`
    are the metric's daily values over the window.
    """
    names = dict(zip(labels["subject"], labels["label"], strict=True))
    texts = dict(zip(labels["subject"], labels["description"], strict=True))
    rows = [
        *_trends(recent_episodes(trends, model, window_last_day, recent_days), model),
        *_clusters(clusters, names, texts),
        *_communities(communities, names, texts),
    ]
    rows.sort(key=lambda row: row["order"])
    for rank, row in enumerate(rows, start=1):
        row["rank"] = rank
        del row["order"]
    return conform("insights", pl.DataFrame(rows, schema=TABLES["insights"].schema))


def _trends(episodes: list[Episode], model: EventModel) -> list[dict[str, Any]]:
    """Return an insight per metric, dimension and direction; members' episodes are put together."""
    together: dict[tuple[str, str, str], list[Episode]] = {}
    for episode in episodes:
        key = (episode.metric, episode.dimension, episode.direction)
        together.setdefault(key, []).append(episode)
    return [_trend(group, model) for group in together.values()]


def _trend(episodes: list[Episode], model: EventModel) -> dict[str, Any]:
    """Return the insight on episodes of one metric, dimension and direction, largest first."""
    first = episodes[0]
    parts = [first.metric, first.dimension, first.direction]
    insight_id = "/".join(["trend", *filter(None, parts)])
    severity = min((e.severity for e in episodes), key=_SEVERITIES.index)
    ratio = model.metrics[first.metric].ratio is not None
    halves = -round(2 * math.log2(first.size))
    order = (*_importance("trend", severity), bool(first.dimension), halves, ratio, -first.size)
    members = [f"{e.dimension}={e.member}" for e in episodes if e.dimension]
    return {
        "insight_id": insight_id,
        "kind": "trend",
        "severity": severity,
        "title": _trend_title(episodes, model),
        "text": " ".join(_trend_text(episode, model) for episode in episodes[:MAX_MEMBERS_TOLD]),
        "subjects": [first.metric, *members],
        "evidence": json.dumps(_trend_evidence(episodes), sort_keys=True),
        "series": first.series,
        "order": (*order, insight_id),
    }


def _trend_title(episodes: list[Episode], model: EventModel) -> str:
    first = episodes[0]
    said = "above" if first.direction == "up" else "below"
    name = words.capitalised(words.humanise(first.metric))
    if len(episodes) > 1:
        told = [words.tidy(episode.member) for episode in episodes[:MAX_MEMBERS_TOLD]]
        rest = len(episodes) - len(told)
        told += [words.counted(rest, "other")] if rest else []
        dimension = words.plural(words.humanise(first.dimension))
        return f"{name} {said} usual for {dimension} {words.listed(told)}"
    where = f" for {_member(first)}" if first.dimension else ""
    value, usual = (_said(first, model, first.peak[key]) for key in ("value", "baseline"))
    return f"{name}{where} {said} usual: {value} on {_date(first.peak['day'])}, usually {usual}"


def _trend_text(episode: Episode, model: EventModel) -> str:
    worst = sorted(episode.rows, key=lambda row: -abs(row["z"]))[:MAX_DAYS_TOLD]
    days = [
        f"{_said(episode, model, row['value'])} on {_date(row['day'])} "
        f"(usually {_said(episode, model, row['baseline'])}{_change(row)})"
        for row in sorted(worst, key=lambda row: row["day"])
    ]
    name = words.capitalised(words.humanise(episode.metric))
    where = f" for {_member(episode)}" if episode.dimension else ""
    text = f"{name}{where}: {words.listed(days)}."
    by_dimension: dict[str, list[str]] = {}
    for driver in episode.peak["drivers"]:
        part = f"{words.tidy(driver['member'])} {words.percent(driver['contribution'])}"
        by_dimension.setdefault(driver["dimension"], []).append(part)
    if by_dimension:
        parts = [f"{words.humanise(d)} {words.listed(m)}" for d, m in by_dimension.items()]
        change = "rise" if episode.direction == "up" else "fall"
        day = _date(episode.peak["day"])
        text += f" Shares of the {change} on {day}: {'; '.join(parts)}."
    return text


def _change(row: dict[str, Any]) -> str:
    if not row["baseline"] or row["baseline"] < 0 or row["value"] < 0:
        return ""
    factor = row["value"] / row["baseline"]
    if factor >= 2:
        return f", {words.number(factor)} times that"
    return f", {'+' if factor > 1 else '-'}{words.percent(abs(factor - 1))}"


def _said(episode: Episode, model: EventModel, value: float) -> str:
    rule = model.metrics[episode.metric]
    if rule.ratio:
        parts = [model.metrics[p] for p in (rule.ratio.numerator, rule.ratio.denominator)]
        counts = all(part.kind == "count" for part in parts)
        return words.percent(value) if counts and not rule.unit else words.number(value)
    return words.number(value) + (f" {rule.unit}" if rule.unit else "")


def _member(episode: Episode) -> str:
    return f"{words.humanise(episode.dimension)} {words.tidy(episode.member)}"


def _trend_evidence(episodes: list[Episode]) -> dict[str, Any]:
    keep = ("value", "baseline", "scale", "z", "severity", "drivers")
    return {
        "table": "trends",
        "where": {"metric": episodes[0].metric, "dimension": episodes[0].dimension},
        "rows": [
            {"member": e.member, "day": row["day"].isoformat(), **{key: row[key] for key in keep}}
            for e in episodes
            for row in e.rows
        ],
        "parameters": {"notable": NOTABLE, "significant": SIGNIFICANT, "critical": CRITICAL},
    }


def _clusters(
    clusters: pl.DataFrame, names: dict[str, str], texts: dict[str, str]
) -> list[dict[str, Any]]:
    unusual = sorted(
        (row for row in clusters.iter_rows(named=True) if row["share"] >= MIN_UNUSUAL_SHARE),
        key=lambda row: -max((abs(f["z"] or 0) for f in row["features"]), default=0.0),
    )
    largest = clusters.sort("size", "cluster_id", descending=[True, False]).head(1)
    told = {row["cluster_id"]: ("Largest segment", row) for row in largest.iter_rows(named=True)}
    for row in unusual[:1] if len(clusters) > 1 else []:
        told.setdefault(row["cluster_id"], ("Most unusual segment", row))
    return [
        _group("cluster", place, row["cluster_id"], why, names, texts, {
            "table": "clusters",
            "where": {"cluster_id": row["cluster_id"]},
            "rows": [{key: row[key] for key in ("cluster_id", "size", "share", "features")}],
        })
        for place, (why, row) in enumerate(list(told.values())[:MAX_GROUPS])
    ]  # fmt: skip


def _communities(
    communities: pl.DataFrame, names: dict[str, str], texts: dict[str, str]
) -> list[dict[str, Any]]:
    largest = (
        communities.filter(pl.col("size") > 1)
        .sort("size", "community_id", descending=[True, False])
        .head(MAX_GROUPS)
    )
    ordinals = ("Largest community", "Second largest community")
    return [
        _group("community", place, row["community_id"], ordinals[place], names, texts, {
            "table": "communities",
            "where": {"community_id": row["community_id"]},
            "rows": [row],
        })
        for place, row in enumerate(largest.iter_rows(named=True))
    ]  # fmt: skip


def _group(
    kind: str,
    place: int,
    subject: str,
    why: str,
    names: dict[str, str],
    texts: dict[str, str],
    evidence: dict[str, Any],
) -> dict[str, Any]:
    return {
        "insight_id": f"{kind}/{subject}",
        "kind": kind,
        "severity": "info",
        "title": f"{why}: {names.get(subject, subject)}",
        "text": texts.get(subject, ""),
        "subjects": [subject],
        "evidence": json.dumps(evidence, sort_keys=True),
        "series": [],
        "order": (*_importance(kind, "info"), place, subject),
    }


def _importance(kind: str, severity: str) -> tuple[int, int]:
    return _SEVERITIES.index(severity), _KINDS.index(kind)


_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)


def _date(day: dt.date) -> str:
    return f"{_WEEKDAYS[day.weekday()]} {day.day} {_MONTHS[day.month - 1]}"
