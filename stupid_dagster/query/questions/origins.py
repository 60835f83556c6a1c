"""Where a plan's columns come from: a result's column may be called what the plan likes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_COUNTS = ("count", "count_distinct")
_RIGHT = "_right"


def column_origins(plan: Any) -> dict[str, set[str]]:
    """Return, by column, the fields that its values are taken from, of all of a plan's measures.

    `plan` is plain data, maybe of a form that isn't valid. Counts have no origin: they are no
    values of their field.
    """
    found: dict[str, set[str]] = {}
    for one in _measures(plan):
        field, op = one.get("field"), one.get("op")
        if isinstance(field, str) and isinstance(op, str) and op not in _COUNTS:
            name = one.get("name")
            found.setdefault(name if isinstance(name, str) else f"{field}_{op}", set()).add(field)
    return found


def origins_of(column: str, origins: Mapping[str, set[str]]) -> set[str]:
    """Return a column's own name, without what joins add to it, and all fields it comes from."""
    found: set[str] = set()
    left = [column]
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += [*origins.get(name, ())]
            if name.endswith(_RIGHT):
                left.append(name.removesuffix(_RIGHT))
    return found


def _measures(tree: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(tree, Mapping):
        for name, part in tree.items():
            if name == "measures" and isinstance(part, list):
                yield from (one for one in part if isinstance(one, Mapping))
            yield from _measures(part)
    elif isinstance(tree, list):
        for part in tree:
            yield from _measures(part)
