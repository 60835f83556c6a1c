"""Metrics that were off on the window's last days, or in some of their hours."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from typing import Any

from stupid_dagster.compute import words
from stupid_dagster.compute.changes.episodes import Episode, recent_episodes, recent_hours
from stupid_dagster.compute.changes.growth import NEW_ACTORS, SIZES
from stupid_dagster.compute.changes.series import split_dimensions
from stupid_dagster.compute.changes.trends import CRITICAL, NOTABLE, SIGNIFICANT
from stupid_dagster.compute.insights import plans
from stupid_dagster.compute.insights.findings import (
    SEVERITIES,
    Findings,
    Found,
    Insight,
    evidence_of,
)
from stupid_dagster.compute.insights.phrases import actors_noun, date_text, hour_text, usually
from stupid_dagster.compute.quoting import as_name
from stupid_dagster.event_model import EventModel

MAX_TRENDS = 10
MAX_TIMES_TOLD, MAX_MEMBERS_TOLD = 3, 4
"""Days (or hours) of an episode, and members with one, that a text names."""
MAX_ROWS = 50
_GROUPS = {
    metric: (kind, "segment" if kind == "cluster" else kind) for kind, _, metric in SIZES.values()
}
"""Of each metric of sizes: the kind of group (a dimension), and what it is called."""


def trend_insights(
    findings: Findings,
    model: EventModel,
    labels: Mapping[str, str],
    last_day: dt.date,
    recent_days: int,
) -> Found:
    """Return an insight per metric, dimension, direction and grain, of 10 the loudest.

    They are the episodes of `recent_episodes` and `recent_hours` that reach into the last
    `recent_days` days; those of a dimension's members are put together.
    """
    daily = recent_episodes(findings.trends, model, last_day, recent_days)
    hourly = recent_hours(findings.trends, model, last_day, recent_days, daily)
    together: dict[str, list[Episode]] = {}
    for episode in [*daily, *hourly]:
        together.setdefault(_insight_id(episode), []).append(episode)
    found = [_insight(key, group, model, labels) for key, group in together.items()]
    found.sort(key=lambda insight: (insight.severity_place, *insight.size))
    covered = {held for group in together.values() for held in _covered(group[0], model)}
    return Found(found[:MAX_TRENDS], max(0, len(found) - MAX_TRENDS), frozenset(covered))


def _insight_id(episode: Episode, dimension: str | None = None, grain: str | None = None) -> str:
    dimension = episode.dimension if dimension is None else dimension
    hour = "hour" if (grain or episode.grain) == "hour" else ""
    parts = [episode.metric, dimension, episode.direction, hour]
    return "/".join(["trend", *filter(None, parts)])


def _covered(episode: Episode, model: EventModel) -> list[str]:
    """Return the ids of what an episode says too: by members, if of the whole, and by hours."""
    grains = ("day", "hour") if episode.grain == "day" else ("hour",)
    dimensions = [episode.dimension]
    if not episode.dimension and episode.metric in model.metrics:
        dimensions += split_dimensions(model, episode.metric)
    return [_insight_id(episode, d, grain) for d in dimensions for grain in grains]


def _insight(
    insight_id: str, episodes: list[Episode], model: EventModel, labels: Mapping[str, str]
) -> Insight:
    """Return the insight on episodes of one metric, dimension and direction, largest first."""
    first = episodes[0]
    rule = model.metrics.get(first.metric)
    halves = -round(2 * math.log2(first.size))
    members = list(dict.fromkeys(e.member for e in episodes if e.dimension))
    title = _title(episodes, members, model, labels)
    subjects = members if first.metric in _GROUPS else [f"{first.dimension}={m}" for m in members]
    told = [_text(episode, model, labels) for episode in episodes[:MAX_MEMBERS_TOLD]]
    return Insight(
        insight_id,
        "trend",
        min((e.severity for e in episodes), key=SEVERITIES.index),
        title,
        " ".join(told),
        [first.metric, *subjects],
        _evidence(episodes),
        _plan(first, members, model, title),
        first.series,
        (bool(first.dimension), halves, bool(rule and rule.ratio), -first.size),
    )


def _plan(episode: Episode, members: list[str], model: EventModel, title: str) -> plans.Plan:
    if episode.metric == NEW_ACTORS:
        return plans.new_actors_plan(model, episode.peak, NEW_ACTORS, title)
    if group := _GROUPS.get(episode.metric):
        return plans.sizes_plan(group[0], members, title)
    return plans.trend_plan(model, episode.metric, episode.peak, members, title)


def _title(
    episodes: list[Episode], members: list[str], model: EventModel, labels: Mapping[str, str]
) -> str:
    first = episodes[0]
    said = "above" if first.direction == "up" else "below"
    name = _metric(first.metric, model)
    if len(members) > 1:
        told = [_member(first, member, labels) for member in members[:MAX_MEMBERS_TOLD]]
        rest = len(members) - len(told)
        told += [words.counted(rest, "other")] if rest else []
        return f"{name} {said} usual {_where(first, plural=True)} {words.listed(told)}"
    where = f" {_where(first)} {_member(first, members[0], labels)}" if members else ""
    value, usual = _said(first, model, first.peak["value"]), _usual(first, model, first.peak)
    return f"{name}{where} {said} usual: {value} {_when(first.peak, model)}, usually {usual}"


def _text(episode: Episode, model: EventModel, labels: Mapping[str, str]) -> str:
    worst = sorted(episode.rows, key=lambda row: -abs(row["z"]))[:MAX_TIMES_TOLD]
    times = [
        f"{_said(episode, model, row['value'])} {_when(row, model)} "
        f"(usually {_usual(episode, model, row)}{_change(row)})"
        for row in sorted(worst, key=lambda row: row["time"])
    ]
    member = _member(episode, episode.member, labels)
    where = f" {_where(episode)} {member}" if episode.dimension else ""
    text = f"{_metric(episode.metric, model)}{where}: {words.listed(times)}."
    by_dimension: dict[str, list[str]] = {}
    for driver in episode.peak["drivers"] or []:
        part = f"{as_name(words.tidy(driver['member']))} {words.percent(driver['contribution'])}"
        by_dimension.setdefault(driver["dimension"], []).append(part)
    if by_dimension:
        parts = [f"{words.humanise(d)} {words.listed(m)}" for d, m in by_dimension.items()]
        change = "rise" if episode.direction == "up" else "fall"
        when = _when(episode.peak, model)
        text += f" Shares of the {change} {when}: {'; '.join(parts)}."
    return text


def _when(row: dict[str, Any], model: EventModel) -> str:
    if row["grain"] == "hour":
        return f"at {hour_text(row['time'], model)}"
    return f"on {date_text(row['day'])}"


def _change(row: dict[str, Any]) -> str:
    if not row["baseline"] or row["baseline"] < 0 or row["value"] < 0:
        return ""
    factor = row["value"] / row["baseline"]
    if factor >= 2:
        return f", {words.number(factor)} times that"
    return f", {'+' if factor > 1 else '-'}{words.percent(abs(factor - 1))}"


def _said(episode: Episode, model: EventModel, value: float) -> str:
    rule = model.metrics.get(episode.metric)
    if rule is None:
        return words.number(value)
    if rule.ratio:
        parts = [model.metrics[p] for p in (rule.ratio.numerator, rule.ratio.denominator)]
        counts = all(part.kind == "count" for part in parts)
        return words.percent(value) if counts and not rule.unit else words.number(value)
    return words.number(value) + (f" {rule.unit}" if rule.unit else "")


def _usual(episode: Episode, model: EventModel, row: dict[str, Any]) -> str:
    said = _said(episode, model, row["baseline"])
    if said.endswith("%"):
        return said
    rule = model.metrics.get(episode.metric)
    return usually(row["baseline"], said, counts=rule is None or rule.kind == "count")


def _metric(metric: str, model: EventModel) -> str:
    if metric == NEW_ACTORS:
        return f"New {words.plural(actors_noun(model))}"
    return "Size" if metric in _GROUPS else words.capitalised(words.humanise(metric))


def _where(episode: Episode, *, plural: bool = False) -> str:
    """Return what stands before an episode's member, or members."""
    of, word = ("for", words.humanise(episode.dimension))
    if episode.metric in _GROUPS:
        of, word = "of", _GROUPS[episode.metric][1]
    return f"{of} {words.plural(word) if plural else word}"


def _member(episode: Episode, member: str, labels: Mapping[str, str]) -> str:
    if episode.metric in _GROUPS:
        return words.tidy(labels.get(member, member), limit=80)
    return as_name(words.tidy(member, limit=80))


def _evidence(episodes: list[Episode]) -> dict[str, Any]:
    first = episodes[0]
    keep = ("time", "value", "baseline", "scale", "z", "severity", "drivers")
    rows = [
        {"member": episode.member, "day": row["day"], **{key: row[key] for key in keep}}
        for episode in episodes
        for row in episode.rows
    ]
    return evidence_of(
        "trends",
        {"grain": first.grain, "metric": first.metric, "dimension": first.dimension},
        rows[:MAX_ROWS],
        notable=NOTABLE,
        significant=SIGNIFICANT,
        critical=CRITICAL,
    )
