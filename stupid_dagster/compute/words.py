"""Plain words for names and numbers, as sentences need them."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence

_ALIKE = ("craft", "fish", "sheep", "series", "species", "news")
_PARTICIPLE = re.compile(r"\w{3,}[^e]ed")
_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))
_IRREGULAR = {"person": "people", "child": "children", "man": "men", "woman": "women"}


def humanise(identifier: str) -> str:
    """Return the words of an identifier, lower case: `mean_delay`, `FlewTo` -> "flew to"."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[_\-.]+", " ", identifier)
    return " ".join(spaced.lower().split())


def plural(noun: str) -> str:
    """Return the English plural of a lower-case noun (of its last word).

    Plurals stay, and participles: event types are called "ticket opened".
    """
    head, _, last = noun.rpartition(" ")
    if last in _IRREGULAR:
        last = _IRREGULAR[last]
    elif last.endswith(_ALIKE) or is_plural(last) or _PARTICIPLE.fullmatch(last):
        pass
    elif re.search(r"[^aeiou]y$", last):
        last = last[:-1] + "ies"
    elif last.endswith(("s", "x", "z", "ch", "sh")):
        last += "es"
    else:
        last += "s"
    return f"{head} {last}" if head else last


def is_plural(noun: str) -> bool:
    """Return whether a noun looks like a plural: -s, but not -ss, -us or -is."""
    return noun.endswith("s") and not noun.endswith(("ss", "us", "is"))


def counted(number: int, noun: str) -> str:
    """Return such as "1 airport", "1,234 airports"."""
    return f"{number:,} {noun if number == 1 else plural(noun)}"


def number(value: float) -> str:
    """Return a number as one says it: whole from 10 on, else two significant digits."""
    if not math.isfinite(value):
        return "unknown"
    if abs(value) >= 9.95:
        return f"{value:,.0f}"
    text = f"{significant(value, 2):.10f}".rstrip("0").rstrip(".")
    return "0" if text in ("", "-0") else text


def percent(share: float) -> str:
    """Return a share as a percentage: 0.4312 is "43%", 0.0043 is "0.43%"."""
    return f"{number(100 * share)}%"


def significant(value: float, digits: int) -> float:
    """Return the value rounded to so many significant digits."""
    if value == 0 or not math.isfinite(value):
        return value
    return round(value, digits - 1 - math.floor(math.log10(abs(value))))


def per_period(days: int) -> str:
    """Return such as "a day", "a week", "in 30 days"."""
    return {1: "a day", 7: "a week"}.get(days, f"in {days} days")


def in_units(seconds: float) -> tuple[float, str]:
    """Return a time in the largest unit of which it is two, or in seconds; and the unit."""
    unit, length = next((u for u in _UNITS if seconds >= 2 * u[1]), _UNITS[-1])
    return seconds / length, unit


def listed(items: Sequence[str]) -> str:
    """Return "a", "a and b", "a, b and c"."""
    return " and ".join([*([", ".join(items[:-1])] if len(items) > 1 else []), *items[-1:]])


def first_few(items: Sequence[str]) -> str:
    """Return "a, b, c": the first five of the items, and ", ..." where there are more."""
    return ", ".join(items[:5]) + (", ..." if len(items) > 5 else "")


def capitalised(text: str) -> str:
    """Return the text with a capital first letter, the rest as it is."""
    return text[:1].upper() + text[1:]


def tidy(value: str, limit: int = 40) -> str:
    """Return a value fit for a sentence: one line, no control characters, cut at `limit`."""
    visible = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in value)
    text = " ".join(visible.split())
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"
