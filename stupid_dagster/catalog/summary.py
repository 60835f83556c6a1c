"""The catalog as plain text for a language model's prompt: compact, bounded, the same each time.

What comes from users' data (values, ids) stands in JSON quotes, without control characters and cut,
so that it can't be taken for an instruction or end its line.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Any

MOST_CHARACTERS = 6000
_LONGEST_VALUE, _LONGEST_TEXT = 40, 200
_PLAIN_NAME = re.compile(r"[\w .:/+-]{1,80}")
_NUMBERS = ("integer", "float")
_FEW = 50
"""Up to so many values a field is taken for a category."""


@dataclass(frozen=True)
class _Detail:
    """How much is told of each thing."""

    values: int = 8
    """Values named of a field that has few of them."""
    examples: int = 2
    """Values named of a field that has many."""
    ranges: bool = True
    property_values: int = 4
    properties: bool = True
    shares: bool = True
    """Missing and distinct values of fields, and the coverage of properties."""
    columns: bool = True
    column_types: bool = True
    tables: bool = True
    """What tables and metrics are."""
    rows: bool = True
    """How many edges and rows there are, and the columns of tables that have none."""
    field_lines: bool = True
    """A line a field; else all of an event type in one line."""
    types: bool = True
    fields: int | None = None
    """Fields named of an event type; None for all."""


def _levels() -> Iterator[_Detail]:
    """Yield ever less detail: what a plan needs least goes first."""
    detail = _Detail()
    yield detail
    for less in (
        {"column_types": False},
        {"property_values": 0},
        {"examples": 1},
        {"tables": False},
        {"shares": False},
        {"values": 5, "examples": 0},
        {"rows": False},
        {"values": 3},
        {"columns": False},
        {"ranges": False},
        {"values": 0},
        {"properties": False},
        {"field_lines": False},
        {"types": False},
        {"fields": 12},
    ):
        detail = replace(detail, **less)
        yield detail


def summarise(catalog: Mapping[str, Any], *, most_characters: int = MOST_CHARACTERS) -> str:
    """Return what a catalog says, in lines of at most `most_characters` altogether.

    Told are the window, the event types with their fields, the entities with their prefixes, the
    edges, the metrics and the knowledge tables that have columns. What doesn't fit is left out in
    this order: types of columns, values of properties, examples of fields of many values, what
    tables and metrics are, shares and numbers of values, most of the fields' values, rows and
    edges, all but three values, columns, ranges, all values, properties, a line for each field,
    types of fields, all but twelve fields of an event type; then whole lines from the end of each
    part that takes more than its share, event types of few documents first, which a line in their
    place tells. Never is a line cut.
    """
    detail = _Detail()
    for detail in _levels():
        text = _joined(chain.from_iterable(_parts(catalog, detail)), most_characters)
        if text is not None:
            return text
    events = sorted(catalog["events"].items(), key=lambda item: -item[1]["documents"])
    parts = [[*part] for part in _parts({**catalog, "events": dict(events)}, detail)]
    return "\n".join(chain.from_iterable(_shared(parts, most_characters)))


def _joined(lines: Iterable[str], most_characters: int) -> str | None:
    """Return the lines as a text, None as soon as it is too long."""
    kept, length = [], -1
    for line in lines:
        length += len(line) + 1
        if length > most_characters:
            return None
        kept.append(line)
    return "\n".join(kept)


def _shared(parts: list[list[str]], most_characters: int) -> list[list[str]]:
    """Return the parts' leading lines: the first part whole, if it can be, of the others a share.

    Short parts leave what they don't need to the others.
    """
    sizes = [sum(len(line) + 1 for line in part) for part in parts]
    left, waiting = most_characters + 1, sum(_SHARES)  # The last line's end isn't there.
    found = parts.copy()
    for at in sorted(range(len(parts)), key=lambda at: at and sizes[at] / _SHARES[at]):
        share = left * _SHARES[at] // waiting if at else left
        if sizes[at] > share:
            found[at] = _leading(parts[at], share)
        left -= sum(len(line) + 1 for line in found[at])
        waiting -= _SHARES[at]
    return found


def _leading(lines: list[str], most_characters: int) -> list[str]:
    """Return the first lines, and one that tells how many aren't there; each has a line's end."""
    # As wide as it can be.
    left, kept = most_characters - len(_left_out(len(lines))) - 1, 0
    if left < 0:
        return []
    for line in lines:
        left -= len(line) + 1
        if left < 0:
            break
        kept += 1
    return [*lines[:kept], _left_out(len(lines) - kept)]


def _left_out(number: int) -> str:
    return f"({number} more lines are left out)"


_SHARES = (0, 6, 3, 1, 1, 1)
"""How much of too little room each of the parts gets that come after the first."""


def _parts(catalog: Mapping[str, Any], detail: _Detail) -> Iterator[Iterator[str]]:
    """Yield what is told first, and then the lines of each kind of thing."""
    yield _window(catalog)
    yield _events(catalog, detail)
    yield _entities(catalog, detail)
    yield _edges(catalog, detail)
    # A catalog of an older release has none.
    yield _metrics(catalog.get("metrics", {}), detail)
    yield _tables(catalog, detail)


def _window(catalog: Mapping[str, Any]) -> Iterator[str]:
    days = catalog["days"]
    window = f"{days[0]} to {days[-1]}, {len(days)} days with documents" if days else "no days"
    described = f": {_said(catalog['description'])}" if catalog.get("description") else ""
    yield f"Event model {_name(catalog['event_model'])}{described}"
    yield f"Window: {window}; timezone {catalog['timezone']}"
    yield f"Actors are entities of type {_name(catalog['actor'])}"


def _events(catalog: Mapping[str, Any], detail: _Detail) -> Iterator[str]:
    days = catalog["days"]
    yield "Event types and their fields, strings where no type is told:"
    told: dict[frozenset[Any], str] = {}
    for name, event in catalog["events"].items():
        seen = [event["first_day"], event["last_day"]]
        span = "" if None in seen or seen == [days[0], days[-1]] else f", {seen[0]} to {seen[1]}"
        yield from _event(name, span, event, detail, told)


def _entities(catalog: Mapping[str, Any], detail: _Detail) -> Iterator[str]:
    yield "Entity types (an id is prefix:key):"
    for name, entity in catalog["entities"].items():
        yield _entity(name, entity, detail)


def _edges(catalog: Mapping[str, Any], detail: _Detail) -> Iterator[str]:
    yield "Edge types:"
    for name, edge in catalog["edges"].items():
        ends = f"{_name(edge['from'])} -> {_name(edge['to'])}"
        yield f"- {_name(name)}: {ends}" + (f", {edge['edges']:,} edges" if detail.rows else "")


def _metrics(metrics: Mapping[str, Any], detail: _Detail) -> Iterator[str]:
    if metrics:
        yield "Metrics (of the table trends; a dimension is a field that it is split by, or ''):"
    for name, metric in metrics.items():
        parts = []
        if detail.shares:
            unit = f" in {_line(metric['unit'])}" if metric["unit"] else ""
            parts.append(f"{metric['kind']}{unit}")
        if metric["by"] and detail.properties:
            parts.append(f"by {', '.join(map(_name, metric['by']))}")
        if metric["description"] and detail.tables:
            parts.append(_said(metric["description"]).rstrip("."))
        yield f"- {_name(name)}" + (f": {'; '.join(parts)}" if parts else "")


def _tables(catalog: Mapping[str, Any], detail: _Detail) -> Iterator[str]:
    yield "Knowledge tables and their columns:"
    for name, table in catalog["knowledge"].items():
        # The stores have no columns. A catalog of an older release lists none of any.
        if table.get("columns", True) and name != "window_days":
            yield _table(name, table, detail)


def _event(
    name: str,
    span: str,
    event: Mapping[str, Any],
    detail: _Detail,
    told: dict[frozenset[Any], str],
) -> Iterator[str]:
    head = f"- {_name(name)}: {event['documents']:,} documents{span}"
    if event["description"]:
        head += f". {_said(event['description'])}"
    fields = event["fields"].items()
    if not detail.field_lines:
        named = (
            f"{_name(key)} {field['type']}"
            if detail.types and field["type"] != "string"
            else _name(key)
            for key, field in islice(fields, detail.fields)
        )
        more = len(fields) - (detail.fields or len(fields))
        yield f"{head}; fields: {', '.join(named)}" + (f" and {more} more" if more > 0 else "")
        return
    yield head
    for key, field in fields:
        parts = [*_field(field, detail), *_values(f"{name}.{key}", field, detail, told)]
        yield f"  - {_name(key)}" + (f": {'; '.join(parts)}" if parts else "")


def _field(field: Mapping[str, Any], detail: _Detail) -> Iterator[str]:
    unit = f" in {_line(field['unit'])}" if field["unit"] else ""
    if unit or field["type"] != "string":
        yield f"{field['type']}{unit}"
    if field.get("description") and detail.shares:
        yield _said(field["description"]).rstrip(".")
    if detail.shares:
        if field["missing"]:
            yield f"{_percent(field['missing'])} missing"
        if distinct := field.get("distinct"):
            yield f"{'' if field['distinct_is_exact'] else 'about '}{distinct:,} values"
    if field["type"] in _NUMBERS and detail.ranges and field.get("min") is not None:
        yield f"{_value(field['min'])} to {_value(field['max'])}"


def _values(
    place: str, field: Mapping[str, Any], detail: _Detail, told: dict[frozenset[Any], str]
) -> Iterator[str]:
    """Yield the values of a text field, or the place of the field that has the same few."""
    tops = [top["value"] for top in field.get("top_values", ())]
    if not tops or field["type"] != "string":
        return
    few = field["distinct"] <= _FEW
    number = detail.values if few else detail.examples
    if few and number and (same := told.setdefault(frozenset(tops), place)) != place:
        yield f"values as {_name(same)}"
    elif number:
        more = ", …" if field["distinct"] > number else ""
        yield ", ".join(map(_value, tops[:number])) + more


def _entity(name: str, entity: Mapping[str, Any], detail: _Detail) -> str:
    parts = [f"- {_name(name)}: prefix {_name(entity['prefix'])}, {entity['nodes']:,} nodes"]
    if examples := entity.get("examples"):
        parts.append(f"such as {_value(examples[0])}")
    # A catalog of an older release only lists their names.
    properties = entity["properties"]
    told = properties if isinstance(properties, Mapping) else dict.fromkeys(properties, None)
    if told and detail.properties:
        listed = (_property(prop, what, detail) for prop, what in told.items())
        parts.append(f"properties: {', '.join(listed)}")
    return "; ".join(parts)


def _property(name: str, told: Mapping[str, Any] | None, detail: _Detail) -> str:
    if told is None or not (detail.shares or detail.property_values):
        return _name(name)
    parts = [f"of {_percent(told['coverage'])}"] if detail.shares else []
    parts += (_value(top["value"]) for top in told["top_values"][: detail.property_values])
    return f"{_name(name)} ({', '.join(parts)})" if parts else _name(name)


def _table(name: str, table: Mapping[str, Any], detail: _Detail) -> str:
    parts = [f"{table['rows']:,} rows"] if detail.rows else []
    if detail.tables:
        parts.append(_line(table["description"]).rstrip("."))
    columns = table.get("columns")
    if columns and detail.columns and (detail.rows or table["rows"]):
        listed = (
            f"{_name(column['name'])} {column['type']}"
            if detail.column_types
            else _name(column["name"])
            for column in columns
        )
        parts.append(", ".join(listed))
    return f"- {_name(name)}" + (f": {'; '.join(parts)}" if parts else "")


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.01 or not share else "under 1%"


def _name(name: str) -> str:
    """Return a name of the event model, quoted and escaped unless it is plain."""
    return name if _PLAIN_NAME.fullmatch(name) else json.dumps(name)


def _value(value: Any) -> str:
    """Return a value of users' data: a number or truth value as JSON, a text in JSON quotes."""
    if isinstance(value, str):
        text = _line(value)
        value = text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"
    return json.dumps(value, ensure_ascii=False)


def _said(text: str) -> str:
    """Return a description in one line, cut."""
    text = _line(text)
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}…"


def _line(text: str) -> str:
    """Return a text in one line, without control and invisible characters."""
    return " ".join("".join(_visible(text)).split())


def _visible(text: Iterable[str]) -> Iterator[str]:
    for character in text:
        # Line breaks are control characters too.
        if character.isspace():
            yield " "
        elif not unicodedata.category(character).startswith("C"):
            yield character
