"""Actors that are unusual, what they have in common, and groups of them that act like machines."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

import polars as pl
import xxhash

from stupid_dagster.compute import words
from stupid_dagster.compute.anomalies.scores import CRITICAL, NOTABLE, SIGNIFICANT
from stupid_dagster.compute.anomalies.signals.links import INCOMING
from stupid_dagster.compute.insights import plans
from stupid_dagster.compute.insights.findings import (
    SEVERITIES,
    Findings,
    Found,
    Insight,
    evidence_of,
)
from stupid_dagster.compute.insights.phrases import actors_noun, duration, usually
from stupid_dagster.compute.names import type_of
from stupid_dagster.event_model import EventModel

MAX_ANOMALIES, MAX_CAUSES, MAX_BOTS = 5, 3, 3
MAX_NUMBERS, MAX_SHARED, MAX_NAMED = 3, 3, 5
"""Numbers and shared entities of an actor, and actors of a group, that a text names."""

Names = Mapping[str, str]


def entities_told(anomalies: pl.DataFrame, causes: pl.DataFrame, bots: pl.DataFrame) -> list[str]:
    """Return the ids of the entities, actors included, that insights on these tables name."""
    actors = _ranked(anomalies).head(MAX_ANOMALIES)
    causes = _likeliest(causes).head(MAX_CAUSES)
    parts = [
        actors["actor"],
        actors["shared"].explode(),
        causes["entity_id"],
        causes["examples"].explode(),
        bots["actor"],
    ]
    return pl.concat(parts).drop_nulls().unique().sort().to_list()


def anomaly_insights(findings: Findings, model: EventModel, names: Names) -> Found:
    """Return an insight for each of the 5 most unusual actors, and one on all of them if more.

    Actors are told from `notable` on. What still holds are all of these, told or not.
    """
    actors = _ranked(findings.anomalies)
    told = actors.head(MAX_ANOMALIES)
    insights = [
        _anomaly(row, model, names, _days_of(findings, [row["actor"]]))
        for row in told.iter_rows(named=True)
    ]
    if actors.height > MAX_ANOMALIES:
        insights.append(_anomalies(actors, findings.history, model, names))
    holding = frozenset(f"anomaly/{actor}" for actor in actors["actor"])
    return Found(insights, actors.height - told.height, holding)


def cause_insights(findings: Findings, model: EventModel, names: Names) -> Found:
    """Return an insight for each of the 3 entities least likely shared by unusual actors by chance.

    As severe as the worst of its example actors, and notable at least.
    """
    severities = dict(findings.anomalies.select("actor", "severity").iter_rows())
    causes = _likeliest(findings.anomaly_causes).with_row_index("place")
    insights = [
        _cause(row, model, names, severities)
        for row in causes.head(MAX_CAUSES).iter_rows(named=True)
    ]
    holding = frozenset(map(_cause_id, causes.iter_rows(named=True)))
    return Found(insights, causes.height - len(insights), holding)


def bot_insights(findings: Findings, model: EventModel, names: Names) -> Found:
    """Return an insight for each of the 3 largest sets of actors that repeat the same text.

    All are significant. The id is of the text, which such actors keep from day to day.
    """
    groups = (
        findings.bot_candidates.drop_nulls("text")
        .sort("actor")
        .group_by("text", maintain_order=True)
        .agg(pl.all())
        .sort(pl.col("actor").list.len(), "text", descending=[True, False])
    )
    insights = [
        _bots(row, model, names, _days_of(findings, row["actor"]))
        for row in groups.head(MAX_BOTS).iter_rows(named=True)
    ]
    return Found(insights, groups.height - len(insights), frozenset(map(_bots_id, groups["text"])))


def _ranked(anomalies: pl.DataFrame) -> pl.DataFrame:
    return anomalies.filter(pl.col("score") >= NOTABLE).sort("rank", "actor")


def _likeliest(causes: pl.DataFrame) -> pl.DataFrame:
    by = ["p_value", "lift", "entity_id", "relation"]
    return causes.sort(by, descending=[False, True, False, False])


def _days_of(findings: Findings, actors: list[str]) -> list[float]:
    """Return the actors' events of each day of the window, in all."""
    mine = findings.activity.filter(pl.col("actor").is_in(actors))
    events = dict(mine.group_by("day").agg(pl.col("events").sum()).iter_rows())
    return [float(events.get(day, 0)) for day in findings.days]


def _anomaly(row: dict[str, Any], model: EventModel, names: Names, series: list[float]) -> Insight:
    actor = row["actor"]
    numbers = [_number(found, model) for found in row["features"][:MAX_NUMBERS]]
    title = f"{words.capitalised(actors_noun(model))} {names[actor]} is unusual"
    title += f": {numbers[0]}" if numbers else ""
    text = f"Score {words.number(row['score'])} of 1, place {row['rank']}."
    if row["signals"]:
        text += f" Strongest signals: {words.listed(row['signals'])}."
    if numbers[1:]:
        text += f" Also: {'; '.join(numbers[1:])}."
    shared = [_entity(entity, model, names) for entity in row["shared"][:MAX_SHARED]]
    if shared:
        others = words.plural(actors_noun(model))
        text += f" Other unusual {others} are linked to {words.listed(shared)} too."
    relations = {found["name"].partition(":")[0] for found in row["features"]}
    return Insight(
        f"anomaly/{actor}",
        "anomaly",
        row["severity"],
        title,
        text,
        [actor],
        evidence_of("anomalies", {"actor": actor}, [row], **_LEVELS),
        plans.actor_plan(actor, row["documents"], sorted(relations & set(model.edges)), title),
        series,
        (1, row["rank"]),
    )


_LEVELS = {"notable": NOTABLE, "significant": SIGNIFICANT, "critical": CRITICAL}


def _anomalies(
    actors: pl.DataFrame, history: pl.DataFrame, model: EventModel, names: Names
) -> Insight:
    counts = dict(actors["severity"].value_counts().iter_rows())
    parts = [f"{words.number(counts[s])} {s}" for s in SEVERITIES if s in counts]
    title = f"{words.counted(actors.height, actors_noun(model))} are unusual"
    title += f": {words.listed(parts)}" if len(parts) > 1 else ""
    leading = [names[actor] for actor in actors["actor"].head(MAX_ANOMALIES)]
    signals = actors["signals"].explode().drop_nulls().value_counts()
    signals = signals.sort("count", "signals", descending=[True, False])
    said = [f"{name} ({words.number(number)})" for name, number in signals.iter_rows()]
    text = f"Scores from {words.number(actors['score'][-1])} to {words.number(actors['score'][0])}"
    text += f" of 1; {words.listed(leading)} lead."
    text += f" Signals that make them so: {words.listed(said)}." if said else ""
    before = history.filter(pl.col("kind") == "anomalies", pl.col("name").is_in(list(SEVERITIES)))
    by_window = before.group_by("day").agg(pl.col("value").sum()).sort("day")["value"]
    shown = ("actor", "score", "severity", "rank", "signals")
    return Insight(
        "anomaly/all",
        "anomaly",
        next(s for s in SEVERITIES if s in counts),
        title,
        text,
        actors["actor"].head(MAX_ANOMALIES).to_list(),
        evidence_of(
            "anomalies",
            {"score": {"ge": NOTABLE}},
            actors.select(shown).head(MAX_ANOMALIES).to_dicts(),
            **_LEVELS,
        ),
        plans.actors_plan(NOTABLE, title),
        [*by_window.tail(29), float(actors.height)],
        (0,),
    )


def _number(found: dict[str, Any], model: EventModel) -> str:
    """Return a number behind a signal in words, such as "37 new devices, usually 1.1"."""
    name, *parts = found["name"].split(":")
    say = words.percent if name == "noise_ratio" else words.number
    value, usual = say(found["value"]), found["usual"]
    unit = model.features.columns[name].unit if name in model.features.columns else None
    if parts:
        said = _links(name, parts, value, model)
    elif name == "communities":
        said = f"links into {value} communities"
    elif name == "noise_ratio":
        said = f"{value} of the events like no others"
    else:
        said = words.humanise(name)
        said += f" {value}" if not unit or said.endswith(f" {unit}") else f" {value} {unit}"
    if usual is None:
        return said
    if say is words.percent:
        return f"{said}, usually {say(usual)}"
    rule = model.features.columns.get(name)
    counts = bool(parts) or name == "communities" or (rule and rule.kind in ("count", "distinct"))
    return f"{said}, usually {usually(usual, say(usual), counts=bool(counts))}"


def _links(relation: str, parts: list[str], value: str, model: EventModel) -> str:
    """Return in words a number of links: `parts` are `in`, if the edges end here, and a measure."""
    edge = model.edges.get(relation)
    if edge is None:
        linked = words.humanise(relation)
    else:
        source, target = edge.ends
        linked = words.humanise(source if f":{parts[0]}" == INCOMING else target)
    linked_to = linked if value == "1" else words.plural(linked)
    match parts[-1]:
        case "new":
            return f"{value} new {linked_to}"
        case "shared":
            return f"one {linked} shared by {value} {words.plural(actors_noun(model))}"
        case "today":
            return f"{value} {linked_to} on the day"
        case _:
            return f"{value} {linked_to} in the window"


def _entity(entity: str, model: EventModel, names: Names) -> str:
    return f"{words.humanise(type_of(entity, model))} {names[entity]}"


def _cause_id(row: Mapping[str, Any]) -> str:
    return f"cause/{row['relation']}/{row['entity_id']}"


def _cause(
    row: dict[str, Any], model: EventModel, names: Names, severities: Mapping[str, str]
) -> Insight:
    place, entity, actor = row.pop("place"), row["entity_id"], actors_noun(model)
    count = words.number(row["anomalous"])
    shared = _entity(entity, model, names)
    title = f"{count} {words.plural(actor)} with unusual signals share {shared}"
    everyone = words.number(row["actors"])
    relation = words.humanise(row["relation"])
    text = (
        f"Of {everyone} {words.plural(actor)} linked to it on the last day ({relation}), {count} "
        f"show an unusual signal: {words.percent(row['share'])} of all who do, "
        f"{words.number(row['lift'])} times its share among all {words.plural(actor)}."
    )
    if row["examples"]:
        examples = [names[example] for example in row["examples"]]
        text += f" The most unusual are {words.listed(examples)}."
    found = {severities.get(example) for example in row["examples"]}
    worst = next((s for s in SEVERITIES if s in found), "notable")
    return Insight(
        _cause_id(row),
        "cause",
        worst,
        title,
        text,
        [entity, *row["examples"]],
        evidence_of(
            "anomaly_causes", {"entity_id": entity, "relation": row["relation"]}, [row], **_LEVELS
        ),
        plans.cause_plan(entity, row["relation"], title),
        size=(place,),
    )


def _bots_id(text: str) -> str:
    return f"bots/{xxhash.xxh64_hexdigest(text.encode())}"


def _bots(row: dict[str, Any], model: EventModel, names: Names, series: list[float]) -> Insight:
    """Return the insight on actors that repeat a text; but for it, `row` has lists."""
    actors, noun = row["actor"], actors_noun(model)
    events, interval, repetition, regularity = (
        statistics.median(row[name])
        for name in ("events", "interval_seconds", "repetition", "regularity")
    )
    title = (
        f"{words.counted(len(actors), noun)} act like machines: {words.number(events)} events "
        f"each, one every {duration(interval)}"
    )
    named = [names[actor] for actor in actors[:MAX_NAMED]]
    rest = len(actors) - len(named)
    named += [words.counted(rest, "other")] if rest else []
    text = (
        f"{words.listed(named)}: {words.percent(repetition)} of a {noun}'s events repeat "
        f"an earlier one, and {words.percent(regularity)} of the gaps between them are "
        f"alike (medians). Most often: {words.tidy(row['text'], limit=160)}."
    )
    keep = ("group_id", "actor", "events", "texts", "interval_seconds", "regularity", "example")
    rows = [{key: row[key][n] for key in keep} for n in range(min(MAX_NAMED, len(actors)))]
    groups = sorted(set(row["group_id"]))
    return Insight(
        _bots_id(row["text"]),
        "bots",
        "significant",
        title,
        text,
        actors,
        evidence_of("bot_candidates", {"group_id": groups}, rows, text=row["text"]),
        plans.bots_plan(groups, row["text"], filter(None, row["example"]), title),
        series,
        (-len(actors),),
    )
