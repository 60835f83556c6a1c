"""Per event type: what is kept, what it connects, its text and its symbol; what was left out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from stupid_dagster.event_model.inference import names
from stupid_dagster.event_model.inference.columns import Column
from stupid_dagster.event_model.inference.dependence import Dependencies
from stupid_dagster.event_model.inference.entities import Entity, unusable
from stupid_dagster.event_model.inference.sample import Sample
from stupid_dagster.event_model.inference.texts import draft_text, find_symbol_field, tells

_MOST_EXTRAS = 16
_MOST_CATEGORIES = 200
_FILLED = 0.05


@dataclass(frozen=True)
class Edge:
    """A drafted edge type."""

    name: str
    source: str
    target: str
    reason: str


@dataclass
class Event:
    """A drafted event type."""

    name: str
    aliases: list[str]
    fields: list[str]
    left_out: dict[str, str]
    """Column to why it isn't kept."""
    entities: list[str]
    edges: list[str]
    text: str
    code: str
    symbol_field: str | None
    symbol_reason: str


def find_test_flag(sample: Sample, actor: str) -> str | None:
    """Return the boolean column, other than the actor's, whose name speaks of a test."""
    flags = [
        column
        for column in sample.columns.values()
        if column.kind == "boolean"
        and column.name != actor
        and names.has(column.name, {"test", "testing", "tester"})
    ]
    return max(flags, key=lambda c: c.filled).name if flags else None


def find_edges(sample: Sample, dependencies: Dependencies, entities: list[Entity]) -> list[Edge]:
    """Return edges: the actor to what its events speak of, and parts to their wholes."""
    actor, others = entities[0], entities[1:]
    together = [e for e in others if _meet(sample, actor, e)]
    edges = []
    for entity in together:
        fixed = dependencies.determines(actor.key[0], entity.key[0])
        kept = f"; each {actor.name} has one" if fixed else ""
        edges.append((actor, entity, f"in the same events{kept}"))
    wholes = {
        part.name: [
            whole
            for whole in others
            if whole is not part and _belongs(sample, dependencies, actor, part, whole)
        ]
        for part in others
    }
    for part in others:
        for whole in wholes[part.name]:
            # A product's brand's country is told by product -> brand -> country.
            if not any(whole in wholes[middle.name] for middle in wholes[part.name]):
                share = dependencies.strength(part.key[0], whole.key[0])
                edges.append((part, whole, f"each {part.name} has one {whole.name} ({share:.0%})"))
    made: dict[str, Edge] = {}
    for source, target, reason in edges:
        name = names.unused(f"{source.name}To{target.name}", made)
        made[name] = Edge(name, source.name, target.name, reason)
    return list(made.values())


def _meet(sample: Sample, one: Entity, other: Entity) -> bool:
    return any(
        bool(np.any(_has_key(sample, event_type, one) & _has_key(sample, event_type, other)))
        for event_type in sample.rows
    )


def _has_key(sample: Sample, event_type: str, entity: Entity) -> np.ndarray:
    return np.any([sample.codes(event_type, key) >= 0 for key in entity.key], axis=0)


def _belongs(
    sample: Sample, dependencies: Dependencies, actor: Entity, part: Entity, whole: Entity
) -> bool:
    one, other = part.key[0], whole.key[0]
    if sample.columns[one].distinct < 1.2 * sample.columns[other].distinct:
        return False
    if not dependencies.determines(one, other) or dependencies.determines(other, one):
        return False
    # A device has its owner's currency only because it has one owner.
    through_actor = dependencies.strength(one, actor.key[0]) > 0.8
    return not (through_actor and dependencies.strength(actor.key[0], other) > 0.8)


def draft_events(
    sample: Sample,
    dependencies: Dependencies,
    entities: list[Entity],
    edges: list[Edge],
    times: Iterable[str],
    test_flag: str | None,
) -> list[Event]:
    """Return the event types, in the sample's order."""
    events = []
    codes: set[str] = set()
    for event_type, aliases in sample.event_types.items():
        fields, left_out = _kept(sample, event_type, entities, set(times), test_flag)
        cited = [e.name for e in entities if set(e.key) & set(fields)]
        symbol, reason = find_symbol_field(sample, dependencies, event_type, entities, fields)
        code = _code(event_type, codes)
        codes.add(code)
        events.append(
            Event(
                name=event_type,
                aliases=aliases,
                fields=fields,
                left_out=left_out,
                entities=cited,
                edges=[e.name for e in edges if e.source in cited and e.target in cited],
                text=draft_text(sample, dependencies, event_type, entities, fields, test_flag),
                code=code,
                symbol_field=symbol,
                symbol_reason=reason,
            )
        )
    return events


def _kept(
    sample: Sample,
    event_type: str,
    entities: list[Entity],
    times: set[str],
    test_flag: str | None,
) -> tuple[list[str], dict[str, str]]:
    keys = {key for entity in entities for key in entity.key}
    properties = {name for entity in entities for name in entity.properties}
    columns = [c for c in sample.columns.values() if event_type in c.rows and c.name not in times]
    fields, extras, left_out = [], [], {}
    for column in columns:
        filled = column.filled_share(event_type)
        if (filled and column.name in keys | properties) or column.name == test_flag:
            fields.append(column.name)
        elif reason := _left_out(column, event_type):
            left_out[column.name] = reason
        else:
            extras.append(column)
    extras.sort(key=lambda c: -tells(c, event_type))
    for column in extras[_MOST_EXTRAS:]:
        left_out[column.name] = f"not among the {_MOST_EXTRAS} that tell most"
    chosen = {*fields, *(column.name for column in extras[:_MOST_EXTRAS])}
    return [column.name for column in columns if column.name in chosen], left_out


def _left_out(column: Column, event_type: str) -> str | None:
    """Return why an event type does without a column that no entity type needs."""
    if reason := unusable(column):
        return reason
    if column.kind == "ip":
        return "network addresses"
    filled = column.filled_share(event_type)
    if not filled:
        return "always empty"
    if column.distinct_in(event_type) == 1:
        return "always the same"
    if filled < _FILLED:
        return "hardly ever filled"
    numeric = column.kind in ("integer", "float", "boolean")
    if not numeric and column.distinct_in(event_type) > _MOST_CATEGORIES:
        return "too many values for a category, and no entity type"
    if column.kind == "word" and column.opaque and names.has(column.name, names.PASSING):
        return "codes of requests or visits"
    return None


def _code(event_type: str, taken: set[str]) -> str:
    found = names.ascii_words(event_type)
    initials = "".join(word[0] for word in found).upper() or "E"
    letters = "".join(found).upper() or "E"
    for code in (initials, *(letters[:n] for n in range(1, len(letters) + 1))):
        if code not in taken:
            return code
    return names.unused(initials, taken)
