"""Find names in an event model that cite something which isn't there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from stupid_dagster.errors import hint
from stupid_dagster.event_model.measures import Measure, Ratio
from stupid_dagster.event_model.schema import LOCAL_HOUR, Derived, EventModel, EventType, Location
from stupid_dagster.event_model.templates import template_fields
from stupid_dagster.event_model.values import find_bad_values
from stupid_dagster.tables import GROUP_PREFIXES, TABLES

OWN_COLUMNS = frozenset({*TABLES["documents"].schema, LOCAL_HOUR})
OWN_FEATURES = frozenset({*TABLES["activity"].schema, *TABLES["features"].schema, "day"})
_OWN_METRICS = {"new_actors", "cluster_size", "community_size"}
"""Names that are the engine's: no field, feature or metric of an event model may have them."""
BadReference = tuple[Location, str]


def is_pattern(column: str) -> bool:
    """Return whether Polars takes the name for a pattern of names, so that it can't be cited."""
    return column == "*" or (column.startswith("^") and column.endswith("$"))


def available_fields(model: EventModel, event_type: EventType) -> set[str]:
    """Return the columns and derived fields that events of this type can have."""
    fields = {*event_type.fields, LOCAL_HOUR}
    for name, derived in model.derived.items():
        if fields.issuperset(_inputs(derived)):
            fields.add(name)
    return fields


def needed_fields(model: EventModel, fields: Iterable[str]) -> set[str]:
    """Return the fields and all that they are derived from."""
    needed = set(fields)
    # A derived field only reads those before it.
    for name, derived in reversed(model.derived.items()):
        if name in needed:
            needed.update(_inputs(derived))
    return needed


def _inputs(derived: Derived) -> list[str]:
    return template_fields(derived.template) if derived.template else [derived.field or ""]


def measured_event_types(model: EventModel, measure: Measure) -> list[str]:
    """Return the event types that a measure is taken over, in the model's order."""
    needed = {*filter(None, [measure.field]), *measure.where}
    return [
        name
        for name, event_type in model.events.items()
        if name in (measure.event_types or [name]) and needed <= available_fields(model, event_type)
    ]


def find_bad_references(model: EventModel) -> Iterator[BadReference]:
    """Yield (location in the file, message) for every name or value that can't be met."""
    yield from _bad_columns(model)
    yield from _bad_column_names(model)
    yield from _bad_entities(model)
    yield from _bad_derived(model)
    for name, event_type in model.events.items():
        yield from _bad_event_type(model, name, event_type)
    for name, feature in model.features.columns.items():
        place = ("features", "columns", name)
        if name in OWN_FEATURES or name.endswith("__n"):
            yield place, f"{name!r} is a column of the engine's; give the feature another name"
        if feature.ratio:
            yield from _bad_ratio(model, place, feature.ratio)
        else:
            yield from _bad_measure(model, place, feature)
    features = model.features
    yield from _missing(
        ("features", "segment_by"), "feature", features.segment_by, features.columns
    )
    for name, metric in model.metrics.items():
        place = ("metrics", name)
        if name in _OWN_METRICS:
            yield place, f"{name!r} is a metric of the engine's; give the metric another name"
        if metric.ratio:
            for part in ("numerator", "denominator"):
                cited = getattr(metric.ratio, part)
                yield from _missing((*place, "ratio", part), "metric", [cited], model.metrics)
                if cited in model.metrics and model.metrics[cited].kind not in ("count", "sum"):
                    yield (*place, "ratio", part), f"{cited!r} must be a count or a sum"
        else:
            yield from _bad_measure(model, place, metric, metric.by)
    yield from _bad_patterns(model)
    for number, pair in enumerate(model.cooccurrence):
        yield from _missing(("cooccurrence", number), "entity type", pair, model.entities)
    yield from find_bad_values(model)


def _bad_ratio(model: EventModel, place: Location, ratio: Ratio) -> Iterator[BadReference]:
    columns = model.features.columns
    for part in ("numerator", "denominator"):
        cited = getattr(ratio, part)
        yield from _missing((*place, "ratio", part), "feature", [cited], ["events", *columns])
        if cited in columns and columns[cited].kind not in ("count", "sum", "distinct"):
            yield (*place, "ratio", part), f"{cited!r} must be a count, a sum or distinct"


def _bad_patterns(model: EventModel) -> Iterator[BadReference]:
    silence = model.patterns.silence
    codes = [e.symbol.code for e in model.events.values() if e.symbol]
    if silence:
        place = ("patterns", "silence")
        yield from _missing((*place, "of"), "event type", silence.of, model.events)
        for name in silence.of:
            if name in model.events and model.events[name].symbol is None:
                yield (
                    (*place, "of"),
                    f"{name!r} has no `symbol`, so that none is seen to fall silent",
                )
        if silence.code in codes:
            yield (*place, "code"), f"{silence.code!r} is an event type's symbol already"
        codes.append(silence.code)
    for number, category in enumerate(model.patterns.categories):
        place = ("patterns", "categories", number)
        parts = [part.partition(":")[0] for part in (*category.contains, *category.without)]
        yield from _missing(place, "symbol's code", dict.fromkeys(parts), codes)
        if not parts:
            yield place, "say what it `contains`, or what it is `without`"


def _missing(
    place: Location, what: str, cited: Iterable[str], known: Iterable[str]
) -> Iterator[BadReference]:
    known = list(known)
    for name in cited:
        if name not in known:
            yield place, f"no {what} is named {name!r}{hint(name, known)}"


def _roles(model: EventModel) -> list[str]:
    return [
        f"{name}.{role}" if role else name
        for name, entity in model.entities.items()
        for role in (entity.roles or [""])
    ]


def _all_fields(model: EventModel) -> set[str]:
    return set().union(*(available_fields(model, e) for e in model.events.values()))


def _bad_columns(model: EventModel) -> Iterator[BadReference]:
    columns = sorted({f for event_type in model.events.values() for f in event_type.fields})
    yield from _missing(("aliases",), "column", model.aliases, [*columns, *model.timestamp.fields])
    yield from _missing(("duplicate_key",), "field", model.duplicate_key, _all_fields(model))
    if model.test_flag is not None:
        yield from _missing(("test_flag",), "kept column", [model.test_flag], columns)
        if model.test_flag in columns and model.field_type(model.test_flag) != "boolean":
            yield ("test_flag",), f"{model.test_flag!r} must be a boolean (see `fields`)"
    folders: dict[str, str] = {}
    for name, event_type in model.events.items():
        for folder in {name.casefold(), *(alias.casefold() for alias in event_type.aliases)}:
            if (other := folders.setdefault(folder, name)) != name:
                yield ("events", name), f"the landing folder {folder!r} already means {other}"
        for field in event_type.fields:
            if field in OWN_COLUMNS or field.startswith(":"):
                yield (
                    ("events", name, "fields"),
                    f"{field!r} is a column of the engine's; keep it by another name, such as "
                    f"`source_{field}`, with `aliases: {{source_{field}: {field}}}`",
                )


def _bad_column_names(model: EventModel) -> Iterator[BadReference]:
    cited: list[tuple[Location, str]] = [
        (("timestamp", "fields"), name) for name in model.timestamp.fields
    ]
    if model.event_type_column is not None:
        cited.append((("event_type_column",), model.event_type_column))
    for field, others in model.aliases.items():
        cited.extend((("aliases", field), name) for name in (field, *others))
    for event_type, rule in model.events.items():
        cited.extend((("events", event_type, "fields"), name) for name in rule.fields)
    for place, name in cited:
        if is_pattern(name):
            yield (
                place,
                f"{name!r} can't be a column's name here: it reads as a pattern of names (`*`, or "
                "from `^` to `$`); rename the column in the files, or leave it out",
            )


def _bad_entities(model: EventModel) -> Iterator[BadReference]:
    yield from _missing(("actor",), "entity type", [model.actor], model.entities)
    if model.actor in model.entities and model.entities[model.actor].roles:
        yield ("actor",), f"{model.actor} has roles; an actor needs one `key`"
    prefixes: dict[str, str] = {}
    fields = _all_fields(model)
    for name, entity in model.entities.items():
        place = ("entities", name)
        if (other := prefixes.setdefault(entity.prefix, name)) != name:
            yield (*place, "prefix"), f"{entity.prefix!r} is already the prefix of {other}"
        if entity.prefix in GROUP_PREFIXES:
            yield (
                (*place, "prefix"),
                f"ids that begin with {entity.prefix!r} are those of groups that are computed; "
                f"choose another, such as {entity.prefix + '_id'!r}",
            )
        yield from _missing((*place, "key"), "field", entity.key, fields)
        for role, key in entity.roles.items():
            yield from _missing((*place, "roles", role), "field", key, fields)
        yield from _missing((*place, "properties"), "field", entity.properties, fields)
    for name, edge in model.edges.items():
        for end, cited in (("from", edge.source), ("to", edge.target)):
            yield from _missing(("edges", name, end), "entity type or role", [cited], _roles(model))


def _bad_derived(model: EventModel) -> Iterator[BadReference]:
    known = {LOCAL_HOUR, *(f for e in model.events.values() for f in e.fields)}
    yield from _missing(("fields",), "kept column", model.fields, known)
    for name, derived in model.derived.items():
        place = ("derived", name)
        if name in known or name in OWN_COLUMNS:
            yield place, f"{name!r} is a column already; give the derived field another name"
        yield from _missing(place, "field", _inputs(derived), known)
        reads_number = derived.bands is not None or derived.scale is not None
        is_number = model.field_type(derived.field or "") in ("integer", "float")
        if reads_number and derived.field and not is_number:
            yield place, f"{derived.field!r} must be an integer or a float (see `fields`)"
        known.add(name)


def _bad_event_type(model: EventModel, name: str, event_type: EventType) -> Iterator[BadReference]:
    place = ("events", name)
    fields = available_fields(model, event_type)
    yield from _missing((*place, "text"), "field", template_fields(event_type.text), fields)
    yield from _missing(
        (*place, "entities"), "entity type or role", event_type.entities, _roles(model)
    )
    yield from _missing((*place, "edges"), "edge type", event_type.edges, model.edges)
    for edge_name in event_type.edges:
        if edge := model.edges.get(edge_name):
            for end in (edge.source, edge.target):
                if end not in event_type.entities:
                    yield (*place, "edges"), f"{edge_name} needs {end}, which `entities` lacks"
    for cited in event_type.entities:
        if cited in _roles(model):
            _, key = model.entity_role(cited)
            if not fields & set(key):
                yield (*place, "entities"), f"{cited} needs one of the fields {', '.join(key)}"
    if event_type.symbol and event_type.symbol.field:
        yield from _missing((*place, "symbol"), "field", [event_type.symbol.field], fields)


def _bad_measure(
    model: EventModel, place: Location, measure: Measure, by: Iterable[str] = ()
) -> Iterator[BadReference]:
    yield from _missing((*place, "of"), "event type", measure.event_types, model.events)
    fields = _all_fields(model)
    cited = [*filter(None, [measure.field]), *measure.where, *by]
    yield from _missing(place, "field", cited, fields)
    if fields.issuperset(cited) and not measured_event_types(model, measure):
        yield place, f"none of its event types has all of {', '.join(cited)}"
    numeric = measure.kind in ("sum", "mean") and measure.field in fields
    if numeric and model.field_type(measure.field or "") == "string":
        yield place, f"{measure.field!r} is a string; {measure.kind} needs a number or boolean"
