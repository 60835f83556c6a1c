"""What is wrong with a plan, gathered."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable

from stupid_dagster.errors import InvalidPlanError, hint

MOST_PROBLEMS = 50
"""Mistakes that are told; whoever made more had better begin anew."""
_STEP = re.compile(r"steps\[(\d+)\]")
_MOST_NAMES = 60
_MOST_CHARACTERS = 80


class Problems:
    """Mistakes with their places in the plan, such as `steps[1].params.filters[0].field`."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, str], None] = {}

    def add(self, where: str, what: str) -> None:
        """Note a mistake; the same one is noted once, and no more than `MOST_PROBLEMS`."""
        if len(self.found) < MOST_PROBLEMS:
            self.found[where, what] = None

    def raise_any(self) -> None:
        """Raise InvalidPlanError if there are mistakes, told step by step."""
        if self.found:
            raise InvalidPlanError(sorted(self.found, key=lambda problem: _step(problem[0])))


def _step(where: str) -> int:
    found = _STEP.match(where)
    return int(found[1]) if found else sys.maxsize


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """Return the words for a name that isn't one of those known, with the nearest of them."""
    names = list(known)
    shown = ", ".join(names[:_MOST_NAMES]) + (", ..." if len(names) > _MOST_NAMES else "")
    near = hint(name[:_MOST_CHARACTERS], names)
    return f"there is no {kind} {quoted(name)}{near}; there are {shown or 'none'}"


def quoted(value: object) -> str:
    """Return a value as it's told in a message: not more than a line of it."""
    text = repr(value[: 2 * _MOST_CHARACTERS] if isinstance(value, str) else value)
    return text if len(text) <= _MOST_CHARACTERS else f"{text[: _MOST_CHARACTERS - 3]}..."
