"""Entity types: which columns name things that events have in common."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import polars as pl

from stupid_dagster.event_model.inference import names
from stupid_dagster.event_model.inference.columns import Column
from stupid_dagster.event_model.inference.dependence import (
    Dependencies,
    same_rows,
    shared_by,
    shared_words,
)
from stupid_dagster.event_model.inference.sample import Sample
from stupid_dagster.tables import GROUP_PREFIXES

_FEW = 50
"""Distinct values up to which a column is a category, not a list of things."""
_FILLED = 0.3
"""Share of an event type's rows that a category must be filled in."""
_TIED = 0.3
"""Strength with which a category must go with things (see `Dependencies`)."""
_FEWEST_KEYS = 10
"""Distinct values from which what is named like a key needs no such ties."""
_MOST_ENTITIES = 14
_MOST_PROPERTIES = 8
_OTHER_KINDS = {
    "empty": "always empty",
    "time": "a time, but not the event's",
    "clock": "hours and minutes without a date",
    "json": "JSON",
    "url": "addresses of pages",
}


@dataclass
class Entity:
    """A drafted entity type."""

    name: str
    prefix: str
    key: list[str]
    normalise: str = "none"
    properties: list[str] = field(default_factory=list)
    titles: list[str] = field(default_factory=list)
    """Columns that name the same things, such as `product` beside `productId`."""
    reasons: list[str] = field(default_factory=list)


def unusable(column: Column) -> str | None:
    """Return why a column is left out of every event type; None if it may be kept."""
    if column.kind in _OTHER_KINDS and not (column.kind == "url" and column.distinct <= _FEW):
        return _OTHER_KINDS[column.kind]
    if column.distinct == 1:
        return "always the same"
    if column.kind in ("word", "prose", "ip") and column.per_event:
        return "a value of its own each event"
    if column.kind == "prose" and not names.has(column.name, names.TROUBLE):
        return "free text" if column.distinct > 4 * _FEW else None
    return None


def not_an_entity(column: Column) -> str | None:
    """Return why a column names no things; None if it may."""
    if reason := unusable(column):
        return reason
    if column.kind == "ip":
        return "addresses change hands, so they would tie strangers together"
    if column.kind not in ("word", "prose"):
        return f"values are {column.kind}"
    passing = names.has(column.name, names.PASSING) and not names.has(column.name, names.TROUBLE)
    if passing and column.distinct > _FEW:
        return "named like something that ends with a visit or request"
    if column.kind == "prose" and not names.has(column.name, names.TROUBLE):
        return "free text"
    if column.filled < 10 and column.repeats < 1.5:
        return "too few values to tell"
    if column.filled < 0.005 * sum(column.rows.values()):
        return "hardly ever filled"
    return None


def find_entities(
    sample: Sample, dependencies: Dependencies, actor: str, times: set[str]
) -> tuple[list[Entity], list[str]]:
    """Return the entity types, the actor's first, then the best supported; and the next best.

    The next best are columns that would do, but of which there are too many.
    """
    candidates = {
        column.name: column
        for column in sample.columns.values()
        if column.name not in {actor, *times} and not_an_entity(column) is None
    }
    keys = _grouped(dependencies, candidates)
    scored = []
    things = [key for key in keys if candidates[key].distinct > _FEW]
    things.sort(key=lambda key: -candidates[key].filled)
    things = [actor, *things[:_MOST_ENTITIES]]
    for key, others in keys.items():
        score, reasons = _weigh(candidates[key], dependencies, things)
        if score > 0:
            scored.append((score, key, others, reasons))
    scored.sort(key=lambda item: (-item[0], item[1]))
    made = [_entity(sample, sample.columns[actor], _titles(sample, dependencies, actor), [], [])]
    for _, key, others, reasons in scored[: _MOST_ENTITIES - 1]:
        made.append(_entity(sample, candidates[key], others, reasons, made))
    return made, [key for _, key, _, _ in scored[_MOST_ENTITIES - 1 :]]


def _titles(sample: Sample, dependencies: Dependencies, actor: str) -> list[str]:
    """Return the columns with the actor's name, such as `user_name` for `user_id`."""
    return [
        column.name
        for column in sample.columns.values()
        if column.name != actor
        and names.stem(column.name) == names.stem(actor)
        and names.is_title(column.name)
        and unusable(column) is None
        and dependencies.strength(actor, column.name) > 0.9
    ]


def _grouped(dependencies: Dependencies, candidates: dict[str, Column]) -> dict[str, list[str]]:
    """Return key columns to the columns that name the same things."""
    order = sorted(
        candidates,
        key=lambda name: (
            names.is_title(name),
            not names.is_key(name),
            candidates[name].kind == "prose",
            -candidates[name].filled,
            name,
        ),
    )
    groups: dict[str, list[str]] = {}
    for name in order:
        for key in groups:
            if _same_things(dependencies, candidates[key], candidates[name]):
                groups[key].append(name)
                break
        else:
            groups[name] = []
    return groups


def _same_things(dependencies: Dependencies, one: Column, other: Column) -> bool:
    """Return whether two columns are two names of the same things: `productId` and `product`."""
    alike = names.stem(one.name) == names.stem(other.name)
    if not alike:
        if abs(one.distinct - other.distinct) > 0.2 * max(one.distinct, other.distinct):
            return False
        # Categories only: people and their devices go together in a sample, too.
        few = max(one.distinct, other.distinct) <= 4 * _FEW and one.distinct > 2
        prose = "prose" in (one.kind, other.kind)
        if not few or prose or min(one.repeats, other.repeats) < 5:
            return False
    least = 0.9 if alike else 0.98
    return (
        dependencies.strength(one.name, other.name) >= least
        and dependencies.strength(other.name, one.name) >= least
    )


def _weigh(
    column: Column, dependencies: Dependencies, things: list[str]
) -> tuple[float, list[str]]:
    """Return how well a column is supported as an entity type (0: not at all), and why.

    `things` are the columns with many values that may name things, the actor's among them.
    """
    reasons = []
    shares = [share for _, share in shared_by(column)]
    shared = max(shares, default=0.0)
    if names.has(column.name, names.TROUBLE) and column.kind == "prose":
        return 5.0, ["texts of errors, told apart by their hash"]
    keyed = names.is_key(column.name)
    if keyed:
        reasons.append("named like a key")
    support = column.most_filled + 1.5 * shared + 0.2 * len(column.event_types)
    support += 0.1 * math.log2(column.distinct)
    if column.distinct > _FEW:
        recurs = column.repeats >= 3
        if recurs:
            reasons.append(f"{column.repeats:.0f} events a value")
        if not keyed and shared < 0.2 and not recurs:
            return 0.0, []
        return support + keyed + 1.0, reasons
    if column.most_filled < _FILLED:
        return 0.0, []
    # A category belongs to things: a product has a brand; a server's name goes with nothing.
    ties = {thing: dependencies.strength(thing, column.name) for thing in things}
    tied = [thing for thing in ties if ties[thing] >= _TIED and thing != column.name]
    if not tied:
        return (support, reasons) if keyed and column.distinct >= _FEWEST_KEYS else (0.0, [])
    tied.sort(key=lambda thing: -ties[thing])
    reasons.append("goes with " + ", ".join(f"{t} ({ties[t]:.2f} of 1)" for t in tied[:3]))
    return support + 1.5 * ties[tied[0]], reasons


def _entity(
    sample: Sample, column: Column, others: list[str], reasons: list[str], made: list[Entity]
) -> Entity:
    about = names.stem(column.name)
    name = names.unused(names.camel(about, "Thing"), {entity.name for entity in made})
    prefix = names.unused(
        names.snake(about, "thing"), {entity.prefix for entity in made} | {*GROUP_PREFIXES}
    )
    evidence = [f"{column.name}: {column.describe()}"]
    if shared := shared_words(column):
        evidence.append(shared)
    key = [column.name]
    for other in others:
        rows = same_rows(sample, column.name, other)
        alone = rows.filter(pl.col("second") - pl.col("both") > 0.01 * pl.col("second"))
        if names.stem(other) != about:
            evidence.append(f"{other} goes with it one to one")
        elif alone.height:
            key.append(other)
            evidence.append(f"{other} stands for it where {column.name} is empty")
        else:
            evidence.append(f"{other} names the same things")
    # A long text as a key would be a long id.
    long = column.share(pl.col("value").str.len_chars() > 40) > 0.05
    return Entity(
        name=name,
        prefix=prefix,
        key=key,
        normalise="hash" if column.kind == "prose" or long else column.folds_to,
        properties=[*([column.name] if column.kind == "prose" or long else []), *others],
        titles=[other for other in others if names.stem(other) == about],
        reasons=["; ".join([*evidence, *reasons])],
    )


def add_properties(
    sample: Sample, dependencies: Dependencies, entities: list[Entity]
) -> dict[str, list[str]]:
    """Give each entity type the fields that it determines; return the reasons by entity type.

    A field goes to the entity type with the fewest values that determines it; the actor gets what
    it determines as well.
    """
    actor = entities[0]
    keys = {key for entity in entities for key in entity.key}
    named = {name for entity in entities for name in entity.properties}
    found: dict[str, list[str]] = {entity.name: [] for entity in entities}
    for column in sample.columns.values():
        name = column.name
        if unusable(column) or column.kind in ("prose", "ip", "url") or column.opaque:
            continue
        owners = [e for e in entities if name not in e.key and _owns(dependencies, sample, e, name)]
        if actor in owners and (name not in named):
            found[actor.name].append(name)
        if name in keys or name in named:
            continue
        nearest = min(owners, key=lambda e: sample.columns[e.key[0]].distinct, default=actor)
        if owners and nearest is not actor and actor not in owners:
            found[nearest.name].append(name)
    for entity in entities:
        ranked = sorted(
            {*found[entity.name]} - {*entity.properties},
            key=lambda name: (name not in keys, -sample.columns[name].filled, name),
        )
        added = ranked[:_MOST_PROPERTIES]
        entity.properties += added
        found[entity.name] = added
    return found


def _owns(dependencies: Dependencies, sample: Sample, entity: Entity, name: str) -> bool:
    if entity.normalise == "hash":
        return False
    key = entity.key[0]
    return sample.columns[key].distinct >= sample.columns[name].distinct and (
        dependencies.determines(key, name)
    )
