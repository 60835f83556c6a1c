"""Find values in an event model that no event can have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from stupid_dagster.event_model.measures import Measure
from stupid_dagster.event_model.schema import EventModel, Location

TRUE = ("true", "1", "yes", "y", "t")
FALSE = ("false", "0", "no", "n", "f")
"""What is read as a boolean, in any case; it then is `true` or `false`."""


def find_bad_values(model: EventModel) -> Iterator[tuple[Location, str]]:
    """Yield (location in the file, message) for values that their field never has.

    Those are values in other letters than the field's `case`, and all but `true` and `false` of
    booleans.
    """
    for name, derived in model.derived.items():
        place: Location = ("derived", name)
        field = derived.field or ""
        yield from _never(model, (*place, "one_of"), field, enumerate(derived.one_of or []))
        yield from _never(model, (*place, "map"), field, ((v, v) for v in derived.map or []))
    for name, feature in model.features.columns.items():
        place = ("features", "columns", name)
        yield from _bad_filter(model, place, feature)
        codes = ((value, value) for value in feature.encode)
        yield from _never(model, (*place, "encode"), feature.last or "", codes)
    for name, metric in model.metrics.items():
        yield from _bad_filter(model, ("metrics", name), metric)


def _bad_filter(
    model: EventModel, place: Location, measure: Measure
) -> Iterator[tuple[Location, str]]:
    for field, values in measure.where.items():
        yield from _never(model, (*place, "where", field), field, enumerate(values))


def _never(
    model: EventModel, place: Location, field: str, values: Iterable[tuple[str | int, str]]
) -> Iterator[tuple[Location, str]]:
    for step, value in values:
        if told := _mistake(model, field, value):
            yield (*place, step), f"{value!r} is never a value of {field!r}, {told}"


def _mistake(model: EventModel, field: str, value: str) -> str | None:
    """Return why a field can't have the value, and what to write instead; None if it can."""
    if model.field_type(field) == "boolean":
        if value in ("true", "false"):
            return None
        lower = value.lower()
        meant = "'true'" if lower in TRUE else "'false'" if lower in FALSE else "'true' or 'false'"
        return f"a boolean: write {meant}"
    # Derived fields have no rule, and so no case.
    case = model.fields[field].case if field in model.fields else "keep"
    written = {"lower": value.lower(), "upper": value.upper()}.get(case, value)
    return None if written == value else f"which is in {case} case: write {written!r}"
