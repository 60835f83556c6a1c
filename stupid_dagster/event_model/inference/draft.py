"""Draft an event model from a sample of its events, with a reason for each decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from stupid_dagster.errors import EventModelError, InferenceError
from stupid_dagster.event_model.inference import names
from stupid_dagster.event_model.inference.columns import Column
from stupid_dagster.event_model.inference.dependence import Dependencies
from stupid_dagster.event_model.inference.entities import (
    Entity,
    add_properties,
    find_entities,
)
from stupid_dagster.event_model.inference.event_types import Split, split_samples
from stupid_dagster.event_model.inference.events import (
    Edge,
    Event,
    draft_events,
    find_edges,
    find_test_flag,
)
from stupid_dagster.event_model.inference.measures import (
    draft_features,
    draft_metrics,
    may_be_code,
)
from stupid_dagster.event_model.inference.roles import Found, find_actor, find_timestamp
from stupid_dagster.event_model.inference.sample import Sample, read_sample
from stupid_dagster.event_model.inference.times import offsets
from stupid_dagster.event_model.inference.yaml_text import Path, to_yaml
from stupid_dagster.event_model.load import parse_event_model
from stupid_dagster.event_model.schema import EventModel

_TYPES = ("integer", "float", "boolean")
_SHOWN = 4


@dataclass(frozen=True)
class Draft:
    """A drafted event model: its YAML, and what was decided."""

    yaml: str = field(repr=False)
    model: EventModel = field(repr=False)
    event_types: dict[str, list[str]]
    """Event type to its other spellings."""
    event_type_column: str | None
    """Column that names each row's event type; None where its folder or file does."""
    actor: str
    """The actor's entity type; its column is `entities[actor][0]`."""
    timestamp_fields: list[str]
    nulls: dict[str, int]
    """Spelling of a missing value to the number of cells that have it."""
    aliases: dict[str, list[str]]
    entities: dict[str, list[str]]
    """Entity type to its key fields."""
    junk_columns: list[str]
    dropped_columns: dict[str, dict[str, str]]
    """Event type to its columns that aren't kept, each with the reason."""
    reasons: dict[Path, list[str]] = field(repr=False)
    """Place in the YAML to the reasons that stand there as comments."""
    checks: list[str]
    """What a human must look at."""


def infer_model(
    samples: Mapping[str, pl.DataFrame],
    name: str,
    *,
    actor: str | None = None,
    timestamp: str | None = None,
    event_type: str | None = None,
) -> Draft:
    """Return an event model drafted from samples (event type to rows, all columns strings).

    No name of any domain is known here: decisions come from the values (how many, how often, in
    which event types, what determines what) and from words such as id, name, user, session.
    `actor`, `timestamp` and `event_type` name columns that are taken instead of those that would
    be found. The draft's YAML has no mistakes. Raises InferenceError when there is no timestamp,
    no actor, or nothing to draft from, and when a named column can't be what it's named for.
    """
    split = split_samples(samples, event_type, (actor, timestamp))
    sample = read_sample(split.samples)
    dependencies = Dependencies(sample)
    times = find_timestamp(sample, timestamp)
    doer = find_actor(sample, dependencies, times.columns, actor)
    entities, next_best = find_entities(sample, dependencies, doer.columns[0], set(times.columns))
    properties = add_properties(sample, dependencies, entities)
    edges = find_edges(sample, dependencies, entities)
    test_flag = find_test_flag(sample, doer.columns[0])
    events = draft_events(
        sample, dependencies, entities, edges, set(times.columns) - set(doer.columns), test_flag
    )
    features, orders = draft_features(sample, dependencies, entities, events, test_flag)
    tree = _tree(sample, name, split.column, times, entities, edges, events, test_flag)
    tree["features"] = {"window_days": 7, "columns": features}
    tree["metrics"] = draft_metrics(sample, dependencies, entities, events, test_flag)
    checks = _checks(sample, split, times, doer, events, orders)
    comments = _comments(sample, times, doer, entities, properties, edges, events)
    comments |= {("features", "columns", f): [reason] for f, reason in orders.items()}
    if split.column:
        comments["event_type_column",] = split.reasons
    if test_flag:
        flagged = sample.columns[test_flag].describe()
        comments["test_flag",] = [f"a boolean named like a test; {flagged}"]
    if next_best:
        comments["entities",] = [
            f"would do as well, were there not so many: {', '.join(next_best)}"
        ]
    comments[()] = [
        f"Drafted by `stupid-dagster infer` from {sum(sample.rows.values()):,} events; read it.",
        *(f"CHECK {check}" for check in checks),
    ]
    text = to_yaml(tree, comments)
    try:
        model = parse_event_model(text, "drafted event model")
    except EventModelError as error:
        raise InferenceError(
            "the columns' names or values led to a draft with mistakes; rename the columns that "
            f"are cited, or write the event model by hand (docs/event-model.md). {error}"
        ) from error
    return Draft(
        yaml=text,
        model=model,
        event_types=sample.event_types,
        event_type_column=split.column,
        actor=entities[0].name,
        timestamp_fields=tree["timestamp"]["fields"],
        nulls=sample.nulls,
        aliases=tree.get("aliases", {}),
        entities={entity.name: entity.key for entity in entities},
        junk_columns=sample.junk,
        dropped_columns={event.name: event.left_out for event in events},
        reasons=comments,
        checks=checks,
    )


def _tree(
    sample: Sample,
    name: str,
    event_type_column: str | None,
    times: Found,
    entities: list[Entity],
    edges: list[Edge],
    events: list[Event],
    test_flag: str | None,
) -> dict[str, Any]:
    kept = list(dict.fromkeys(field_name for event in events for field_name in event.fields))
    keys = {key for entity in entities for key in entity.key}
    formats = list(
        dict.fromkeys(fit.format for c in times.columns if (fit := sample.columns[c].times))
    )
    tree: dict[str, Any] = {
        "name": names.snake([name], "events"),
        "timezone": "UTC",
        "actor": entities[0].name,
        "timestamp": {
            "fields": [s for column in times.columns for s in sample.columns[column].spellings]
        },
        "nulls": list(sample.nulls),
    }
    if stated := [form for form in formats if form]:
        tree["timestamp"]["formats"] = stated
    if event_type_column:
        tree["event_type_column"] = event_type_column
    if aliases := {field: other for field, other in sample.aliases.items() if field in kept}:
        tree["aliases"] = aliases
    tree["junk_columns"] = {"containing": sample.junk_parts, "longer_than": 120}
    types = {
        column: {"type": sample.columns[column].kind}
        for column in kept
        if sample.columns[column].kind in _TYPES and column not in keys
    }
    if types:
        tree["fields"] = types
    if test_flag:
        tree["test_flag"] = test_flag
    tree["entities"] = {entity.name: _entity(entity, set(kept)) for entity in entities}
    if edges:
        tree["edges"] = {edge.name: {"from": edge.source, "to": edge.target} for edge in edges}
    tree["events"] = {event.name: _event(event) for event in events}
    return tree


def _entity(entity: Entity, kept: set[str]) -> dict[str, Any]:
    made: dict[str, Any] = {"prefix": entity.prefix, "key": entity.key}
    if entity.normalise != "none":
        made["normalise"] = entity.normalise
    if properties := [name for name in entity.properties if name in kept]:
        made["properties"] = properties
    return made


def _event(event: Event) -> dict[str, Any]:
    made: dict[str, Any] = {"aliases": event.aliases} if event.aliases else {}
    made |= {"fields": event.fields, "entities": event.entities}
    if event.edges:
        made["edges"] = event.edges
    made["text"] = event.text
    symbol = {"field": event.symbol_field} if event.symbol_field else {}
    return made | {"symbol": {"code": event.code} | symbol}


def _checks(
    sample: Sample,
    split: Split,
    times: Found,
    doer: Found,
    events: list[Event],
    orders: Mapping[str, str],
) -> list[str]:
    checks = [*doer.checks, *times.checks, *split.checks, *sample.checks]
    checks.append(_timezone_check([sample.columns[column] for column in times.columns]))
    kept = dict.fromkeys(field_name for event in events for field_name in event.fields)
    if codes := [name for name in kept if may_be_code(sample.columns[name])]:
        listed = ", ".join(codes[:6])
        checks.append(f"numbers that may name something, and then should be strings: {listed}")
    checks.extend(f"feature {name}: {reason}" for name, reason in orders.items())
    for event in events:
        if event.aliases:
            checks.append(f"{event.name} and {', '.join(event.aliases)} are taken for one")
    checks.extend(f"{name} had no rows and was left out" for name in sample.without_rows)
    return checks


def _timezone_check(columns: list[Column]) -> str:
    seen = list(dict.fromkeys(offset for column in columns for offset in offsets(column.values)))
    more = f" and {len(seen) - _SHOWN} more" if len(seen) > _SHOWN else ""
    whatever = f", not by the times' own offsets ({', '.join(seen[:_SHOWN])}{more})" if seen else ""
    return f"timezone: days are cut at midnight UTC{whatever}, and times without a zone are in it"


def _comments(
    sample: Sample,
    times: Found,
    doer: Found,
    entities: list[Entity],
    properties: Mapping[str, list[str]],
    edges: list[Edge],
    events: list[Event],
) -> dict[Path, list[str]]:
    found = [f"{spelling!r} {count:,}" for spelling, count in sample.nulls.items() if count]
    comments: dict[Path, list[str]] = {
        ("timestamp",): times.reasons,
        ("actor",): doer.reasons,
        ("nulls",): [f"cells in the sample: {', '.join(found) or 'none of these'}"],
        ("aliases",): ["alike but for case and punctuation, and never at odds in one event"],
        ("junk_columns",): [_junk_words(sample)],
        ("fields",): ["what isn't here is a string; so are digits that name something"],
    }
    for entity in entities:
        added = properties.get(entity.name)
        fixed = [f"it determines {', '.join(added)}"] if added else []
        comments["entities", entity.name] = [*entity.reasons, *fixed]
    for edge in edges:
        comments["edges", edge.name] = [edge.reason]
    for event in events:
        comments["events", event.name] = [
            f"{sample.rows[event.name]:,} rows in the sample",
            *_left_out_words(event),
        ]
        if event.symbol_field:
            comments["events", event.name, "symbol"] = [event.symbol_reason]
    return comments


def _junk_words(sample: Sample) -> str:
    if not sample.junk:
        return "no column of the sample has such a name"
    shown = ", ".join(repr(name[:30]) for name in sample.junk[:3])
    return f"{len(sample.junk)} columns of the sample, such as {shown}"


def _left_out_words(event: Event) -> list[str]:
    """Return the columns left out, by reason."""
    by_reason: dict[str, list[str]] = {}
    for column, reason in event.left_out.items():
        by_reason.setdefault(reason, []).append(column[:60])
    words = []
    for reason, columns in by_reason.items():
        more = f" and {len(columns) - 8} more" if len(columns) > 8 else ""
        words.append(f"left out, {reason}: {', '.join(columns[:8])}{more}")
    return words
