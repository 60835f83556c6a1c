"""Features of actors and metrics over time."""

from __future__ import annotations

import re
from typing import Any

from stupid_dagster.event_model.inference import names
from stupid_dagster.event_model.inference.columns import Column
from stupid_dagster.event_model.inference.dependence import Dependencies
from stupid_dagster.event_model.inference.entities import Entity
from stupid_dagster.event_model.inference.events import Event
from stupid_dagster.event_model.inference.sample import Sample
from stupid_dagster.event_model.references import OWN_FEATURES

_MOST_DISTINCT = 6
_MOST_MEANS = 6
_MOST_SHARES = 4
_MOST_LAST = 2
_FILLED = 0.3
"""Share of an event type's rows that what is measured must be filled in."""
_MOST_MEMBERS = 12
"""Values up to which a metric is split by a field."""
Measures = dict[str, dict[str, Any]]


def draft_features(
    sample: Sample,
    dependencies: Dependencies,
    entities: list[Entity],
    events: list[Event],
    test_flag: str | None,
) -> tuple[Measures, dict[str, str]]:
    """Return features by name, as the model has them, and reasons by name."""
    actor = entities[0]
    acting = [event for event in events if actor.name in event.entities]
    made: Measures = {}
    reasons: dict[str, str] = {}
    for event in acting:
        _add(made, [event.name, "count"], {"count": event.name})
    for entity in sorted(entities[1:], key=lambda e: -sample.columns[e.key[0]].distinct):
        key = next((k for k in entity.key for e in acting if k in e.fields), None)
        if key is None or sample.columns[key].distinct < 3:
            continue
        fixed = dependencies.determines(actor.key[0], key)
        if not fixed and sum(name.startswith("distinct_") for name in made) < _MOST_DISTINCT:
            _add(made, ["distinct", *names.stem(key)], {"distinct": key})
    skipped = {*actor.key, test_flag}
    for name in _amounts(sample, acting, skipped)[:_MOST_MEANS]:
        _add(made, ["mean", name], {"mean": name})
    for name in _booleans(sample, acting, skipped)[:_MOST_SHARES]:
        _add(made, ["share", name], {"mean": name})
    for name in [n for n in actor.properties if _is_ordered(sample.columns[n])][:_MOST_LAST]:
        encoded, sure = _order(sample.columns[name])
        feature = _add(made, ["last", name], {"last": name} | encoded)
        if not sure:
            reasons[feature] = "ordered by how common they are: put them in their true order"
    _add(made, ["visit", "count"], {"sessions": "count"})
    _add(made, ["visit", "gap", "hours"], {"sessions": "mean_gap_hours"})
    return made, reasons


def draft_metrics(
    sample: Sample,
    dependencies: Dependencies,
    entities: list[Entity],
    events: list[Event],
    test_flag: str | None,
) -> Measures:
    """Return metrics by name, as the model has them."""
    made: Measures = {}
    counted = {}
    for event in events:
        split = _splits(sample, dependencies, entities, event, test_flag)
        counted[event.name] = _add(
            made, [event.name, "count"], {"count": event.name} | ({"by": split} if split else {})
        )
    if len(events) > 1:
        total = _add(made, ["all", "events"], {"count": True})
        for event in events:
            if names.has(event.name, names.TROUBLE):
                ratio = {"numerator": counted[event.name], "denominator": total}
                _add(made, [event.name, "share"], {"ratio": ratio})
    actor = entities[0]
    _add(made, ["active", actor.prefix], {"distinct": actor.key[0]})
    skipped = {*actor.key, test_flag}
    for name in _amounts(sample, events, skipped)[:_MOST_MEANS]:
        _add(made, ["mean", name], {"mean": name})
    for name in _booleans(sample, events, skipped)[:_MOST_SHARES]:
        _add(made, ["share", name], {"mean": name})
    return made


def _add(made: Measures, parts: list[str], measure: dict[str, Any]) -> str:
    wanted = names.snake(parts, "measure")
    name = names.unused(wanted, {*made, *OWN_FEATURES})
    made[name] = measure
    return name


def _amounts(sample: Sample, events: list[Event], skipped: set[str | None]) -> list[str]:
    """Return numeric fields, the likeliest amounts first: fractions, signs, units in the name."""
    fields = dict.fromkeys(name for event in events for name in event.fields)
    ranked = []
    for name in fields:
        column = sample.columns[name]
        if name in skipped or column.kind not in ("integer", "float") or column.distinct < 3:
            continue
        if column.most_filled < _FILLED:
            continue
        if not may_be_code(column):
            score = 2.0 * (column.kind == "float" or _is_signed(column))
            score += 1.5 * names.has(name, names.AMOUNT) + column.filled / 1e9
            ranked.append((-score, name))
    return [name for _, name in sorted(ranked)]


def may_be_code(column: Column) -> bool:
    """Return whether whole numbers may name something: many, no signs, nothing said of amounts."""
    if column.kind != "integer" or column.distinct <= 10 * _MOST_MEMBERS:
        return False
    return not (_is_signed(column) or names.has(column.name, names.AMOUNT | names.TIME))


def _is_signed(column: Column) -> bool:
    return bool(column.looked_at["value"].str.starts_with("-").any())


def _booleans(sample: Sample, events: list[Event], skipped: set[str | None]) -> list[str]:
    fields = dict.fromkeys(name for event in events for name in event.fields)
    found = [sample.columns[n] for n in fields if n not in skipped]
    flags = [
        c for c in found if c.kind == "boolean" and c.distinct > 1 and c.most_filled >= _FILLED
    ]
    flags.sort(key=lambda c: (not names.has(c.name, names.OUTCOME), -c.filled))
    return [column.name for column in flags]


def _splits(
    sample: Sample,
    dependencies: Dependencies,
    entities: list[Entity],
    event: Event,
    test_flag: str | None,
) -> list[str]:
    """Return up to two fields with few values that say most.

    The first is, where there is such a one, no property of the actors: what happens to many at
    once is told by the event. Of the others entity types' keys come first.
    """
    keys = {key for entity in entities[1:] for key in entity.key}
    actor = set(entities[0].key)
    found = []
    for name in event.fields:
        column = sample.columns[name]
        few = column.distinct_in(event.name) >= 2 and 2 <= column.common <= _MOST_MEMBERS
        if few and column.kind in ("word", "boolean") and name not in actor | {test_flag}:
            share = column.filled_share(event.name)
            if share >= 0.5:
                found.append((name not in keys, -share * column.entropy, name))
    ranked = [name for *_, name in sorted(found)]
    of_events = (n for n in ranked if not dependencies.determines(entities[0].key[0], n))
    best = next(of_events, None)
    chosen: list[str] = []
    for name in sorted(ranked, key=lambda n: n != best):
        if not any(dependencies.determines(c, name) for c in chosen):
            chosen.append(name)
    return chosen[:2]


def _is_ordered(column: Column) -> bool:
    named = names.has(column.name, names.ORDERED)
    return column.kind == "word" and named and 2 <= column.distinct <= 2 * _MOST_MEMBERS


def _order(column: Column) -> tuple[dict[str, Any], bool]:
    """Return `encode` for the values: by the number in them, else by how common they are."""
    values = column.looked_at["value"].to_list()
    numbers = [re.findall(r"\d+", value) for value in values]
    sure = all(len(found) == 1 for found in numbers)
    if sure:
        ordered = sorted(values, key=lambda value: int(re.findall(r"\d+", value)[0]))
    else:
        ordered = values
    return {"encode": {value: rank for rank, value in enumerate(ordered, 1)}}, sure
