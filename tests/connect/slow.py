"""The builders of `connect` again, event by event and as plainly as can be, to compare with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import xxhash

from stupid_dagster.event_model import EventModel
from stupid_dagster.event_model.measures import Measure

Event = dict[str, Any]
Documents = dict[str, list[Event]]


def text(value: Any) -> str | None:
    if value is None:
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)


def fill(template: str, event: Event, *, whole: bool) -> str | None:
    """Fill a template whose placeholders have no white space in them."""
    chunks = []
    for chunk in template.split():
        while "{" in chunk:
            before, _, rest = chunk.partition("{")
            inside, _, after = rest.partition("}")
            field, _, length = inside.partition(":.")
            value = text(event.get(field))
            if value is None:
                chunk = None
                break
            # The value may have braces of its own: they are put aside.
            value = (value[: int(length)] if length else value).replace("{", "\0")
            chunk = before + value + after
        if chunk is None and whole:
            return None
        if chunk is not None:
            chunks.append(chunk.replace("\0", "{"))
    return " ".join(chunks)


def derive(model: EventModel, event: Event) -> Event:
    event = dict(event)
    event["local_hour"] = event["timestamp"].astimezone(model.zone).hour
    for name, rule in model.derived.items():
        value = event.get(rule.field) if rule.field else None
        if rule.template:
            event[name] = fill(rule.template, event, whole=True)
        elif value is None:
            event[name] = None
        elif rule.one_of is not None:
            event[name] = text(value) in rule.one_of
        elif rule.scale is not None:
            event[name] = value * rule.scale
        elif rule.map is not None:
            event[name] = rule.map.get(text(value) or "", rule.otherwise)
        else:
            assert rule.bands is not None
            fits = (label for label, top in rule.bands.items() if top is None or value < top)
            event[name] = next(fits, None)
    return event


def events_of(model: EventModel, frames: dict[str, pl.DataFrame]) -> Documents:
    """Return the documents, not enriched, as dicts with their derived fields."""
    return {
        name: [derive(model, event) for event in frame.sort("row").iter_rows(named=True)]
        for name, frame in frames.items()
    }


def entity_id(model: EventModel, citation: str, event: Event) -> str | None:
    name, _, role = citation.partition(".")
    entity = model.entities[name]
    for field in entity.roles[role] if role else entity.key:
        key = text(event.get(field))
        if key is None:
            continue
        match entity.normalise:
            case "lower":
                key = key.lower()
            case "upper":
                key = key.upper()
            case "hash":
                key = xxhash.xxh64_hexdigest(key.encode())
        return f"{entity.prefix}:{key}"
    return None


def entities(model: EventModel, documents: Documents) -> list[Event]:
    found: dict[str, Event] = {}
    order = 0
    for name, events in documents.items():
        for event in events:
            told = set()
            for n, citation in enumerate(model.events[name].entities):
                entity = entity_id(model, citation, event)
                if entity is None or entity in told:
                    continue
                told.add(entity)
                kind = citation.partition(".")[0]
                known = found.setdefault(
                    entity, {"type": kind, "times": [], "tests": [], "values": defaultdict(list)}
                )
                known["times"].append(event["timestamp"])
                known["tests"].append(event["is_test"])
                for p in model.entities[kind].properties:
                    if event.get(p) is not None:
                        when = (event["timestamp"], order + n, event["row"])
                        known["values"][p].append((when, text(event[p])))
        order += 100
    properties = sorted({p for entity in model.entities.values() for p in entity.properties})
    return [
        {
            "entity_id": entity,
            "type": known["type"],
            "key": entity.split(":", 1)[1],
            "events": len(known["times"]),
            "first_seen": min(known["times"]),
            "last_seen": max(known["times"]),
            "is_test": all(known["tests"]),
            "properties": {
                p: max(known["values"][p])[1] if known["values"][p] else None for p in properties
            },
        }
        for entity, known in sorted(found.items())
    ]


def edges(model: EventModel, documents: Documents) -> list[Event]:
    found = defaultdict(list)
    for name, events in documents.items():
        for event in events:
            for kind in model.events[name].edges:
                source = entity_id(model, model.edges[kind].source, event)
                target = entity_id(model, model.edges[kind].target, event)
                if source is not None and target is not None:
                    found[kind, source, target].append(event["timestamp"])
    return [
        {
            "source": source,
            "target": target,
            "type": kind,
            "weight": len(times),
            "first_seen": min(times),
            "last_seen": max(times),
        }
        for (kind, source, target), times in sorted(found.items())
    ]


def texts(model: EventModel, documents: Documents, day: str) -> list[Event]:
    found: dict[int, Event] = {}
    for name, events in documents.items():
        for event in events:
            words = fill(model.events[name].text, event, whole=False)
            text_id = xxhash.xxh64_intdigest(f"{name}\0{words}".encode())
            entry = found.setdefault(
                text_id,
                {
                    "text_id": text_id,
                    "event_type": name,
                    "text": words,
                    "count": 0,
                    "example": f"{day}/{name}/{event['row']}",
                },
            )
            entry["count"] += 1
    return [found[text_id] for text_id in sorted(found)]


def measured(model: EventModel, measure: Measure, documents: Documents) -> Iterator[Event]:
    """Yield the events that count, of the event types that have all the fields cited."""
    needed = {*measure.where, *([measure.field] if measure.field else [])}
    for name, events in documents.items():
        has = {*model.events[name].fields, "local_hour"}
        for derived, rule in model.derived.items():
            inputs = [rule.field] if rule.field else _fields(rule.template or "")
            if has.issuperset(inputs):
                has.add(derived)
        if needed <= has and name in (measure.event_types or [name]):
            for event in events:
                if all(text(event[f]) in values for f, values in measure.where.items()):
                    yield event


def _fields(template: str) -> list[str]:
    return [part.partition("}")[0].partition(":")[0] for part in template.split("{")[1:]]


def activity(model: EventModel, documents: Documents) -> list[Event]:
    found = defaultdict(list)
    for events in documents.values():
        for event in events:
            if event["actor"] is not None:
                found[event["actor"]].append(event)
    rows = []
    for actor, events in sorted(found.items()):
        times = sorted(event["timestamp"] for event in events)
        row: Event = {
            "actor": actor,
            "events": len(events),
            "first_seen": times[0],
            "last_seen": times[-1],
            "is_test": any(event["is_test"] for event in events),
            "sessions": sessions(times, timedelta(minutes=model.session_gap_minutes)),
        }
        for name, feature in model.features.columns.items():
            if feature.kind == "sessions":
                continue
            mine = [e for e in measured(model, feature, documents) if e["actor"] == actor]
            field = feature.field
            values = [e[field] for e in mine] if field else []
            values = [value for value in values if value is not None]
            match feature.kind:
                case "count":
                    row[name] = len(mine)
                case "sum":
                    row[name] = float(sum(values))
                case "mean":
                    row[name] = float(sum(values))
                    row[f"{name}__n"] = len(values)
                case "distinct":
                    row[name] = sorted({text(value) or "" for value in values})
                case _:
                    told = [(e["timestamp"], e[field]) for e in mine if field]
                    last = [pair for pair in told if pair[1] is not None]
                    row[name] = text(max(last)[1]) if last else None
        rows.append(row)
    return rows


def sessions(times: list[datetime], gap: timedelta) -> list[Event]:
    found: list[Event] = []
    for time in times:
        if found and time - found[-1]["end"] <= gap:
            found[-1]["end"] = time
            found[-1]["events"] += 1
        else:
            found.append({"start": time, "end": time, "events": 1})
    return found


def sequences(model: EventModel, documents: Documents) -> list[Event]:
    found = defaultdict(list)
    for name, events in documents.items():
        symbol = model.events[name].symbol
        for event in events:
            if symbol is None or event["actor"] is None or event["is_test"]:
                continue
            value = text(event[symbol.field]) if symbol.field else None
            word = symbol.code if value is None else f"{symbol.code}:{value}"
            found[event["actor"]].append((event["timestamp"], word))
    return [
        {
            "actor": actor,
            "symbols": [word for _, word in sorted(pairs)],
            "times": [time for time, _ in sorted(pairs)],
        }
        for actor, pairs in sorted(found.items())
    ]


def metrics(model: EventModel, documents: Documents) -> list[Event]:
    rows = []
    for name, metric in model.metrics.items():
        if metric.kind == "ratio":
            continue
        groups = defaultdict(list)
        for event in measured(model, metric, documents):
            value = event[metric.field] if metric.field else 1
            if value is None or event["is_test"]:
                continue
            hour = event["timestamp"].replace(minute=0, second=0, microsecond=0)
            for grain, start in (("hour", hour), ("day", midnight(model, event["timestamp"]))):
                groups[grain, "", "", start].append((event, value))
                for field in metric.by:
                    if (member := text(event.get(field))) is not None:
                        groups[grain, field, member, start].append((event, value))
        for (grain, dimension, member, start), pairs in groups.items():
            values = [value for _, value in pairs]
            total = {
                "count": len,
                "sum": sum,
                "mean": lambda v: sum(v) / len(v),
                "distinct": lambda v: len({text(x) for x in v}),
            }[metric.kind](values)
            rows.append(
                {
                    "grain": grain,
                    "time": start,
                    "metric": name,
                    "dimension": dimension,
                    "member": member,
                    "value": float(total),
                    "events": len(pairs),
                    "actors": len({e["actor"] for e, _ in pairs} - {None}),
                }
            )
    keys = ("grain", "metric", "dimension", "member", "time")
    return sorted(rows, key=lambda row: tuple(row[key] for key in keys))


def midnight(model: EventModel, moment: datetime) -> datetime:
    local = moment.astimezone(model.zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    return local.astimezone(UTC)
