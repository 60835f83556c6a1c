"""What the client's methods are asked with, as the API's parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, TypedDict

from stupid_dagster.client.connection import parameter

Day = date | str
Time = datetime | str
Condition = str | tuple[str, str, Any]
"""`"dep_delay:gt:60"`, or `("origin", "in", ["JFK", "LGA"])`."""
Conditions = str | Sequence[Condition]
"""Some, or a single one as a text; all must hold."""
Names = str | Sequence[str]
"""Some, or a single one."""


class DocumentFilters(TypedDict, total=False):
    """Which documents, and what of them: `until` is excluded, all `filters` must hold."""

    first_day: Day | None
    last_day: Day | None
    since: Time | None
    until: Time | None
    actor: str | None
    filters: Conditions
    columns: Names | None


def documents_of(event_type: str, asked: DocumentFilters, **more: Any) -> dict[str, Any]:
    """Return the parameters of `/documents`; raises TypeError for `filter`."""
    chosen = selected(asked.pop("filters", ()), asked.pop("columns", None), asked)
    return {"event_type": event_type, **asked, **more, **chosen}


def selected(
    filters: Conditions, columns: Names | None, others: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the parameters for which rows, and what of them; raises TypeError for `filter`."""
    if "filter" in others:
        raise TypeError("filter is HTTP's name: give filters, one or several")
    return {
        "filter": conditions_of(filters),
        "columns": ",".join(several(columns)) if columns else None,
    }


def several(names: Names) -> list[str]:
    """Return the names as a list: one alone isn't its letters."""
    return [names] if isinstance(names, str) else list(names)


def conditions_of(given: Conditions) -> list[str]:
    """Return the conditions as texts, in which commas part the values of a list alone."""
    return [_condition(one) for one in ([given] if isinstance(given, str) else given)]


def _condition(one: Condition) -> str:
    if isinstance(one, str):
        return one
    field, operator, value = one
    if not isinstance(value, list | tuple):
        return f"{field}:{operator}:{parameter(value)}"
    values = (parameter(each).replace("\\", "\\\\").replace(",", "\\,") for each in value)
    return f"{field}:{operator}:{','.join(values)}"
