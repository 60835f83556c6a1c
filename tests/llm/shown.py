"""The numbers that words about a profile may have."""

from __future__ import annotations

from typing import Any

from stupid_dagster.compute import words
from stupid_dagster.compute.profiles.traits import Profile


def displayed_numbers(profile: Profile) -> set[str]:
    """Return every number of a profile, in every form that words may show it."""
    found: set[str] = set()
    _collect(profile.to_dict(), found)
    return found


def _collect(value: Any, found: set[str]) -> None:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            _collect(item, found)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        found.update((words.number(value), words.percent(value).rstrip("%"), f"{value:,}"))
