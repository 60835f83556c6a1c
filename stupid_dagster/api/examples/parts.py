"""What all examples state."""

from __future__ import annotations

from typing import Any

ONE: dict[str, Any] = {
    "snapshot": "20130210T060512345-1f2e3d",
    "window": {"first_day": "2013-01-11", "last_day": "2013-02-09", "days": 30},
}
PAGE: dict[str, Any] = {**ONE, "total": 95, "limit": 1, "truncated": True}


def made(
    table: str,
    description: str,
    parameters: dict[str, Any],
    chosen: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return how a table was made."""
    told = {"chosen": chosen} if chosen else {}
    return {
        "table": table,
        "description": description,
        "version": "20130210T060502123-4a1f2e",
        "created": "2013-02-10T06:05:02.131+00:00",
        "event_model": "flights",
        "event_model_hash": "7cceaddc8f17cd83",
        "code_version": "0.1.0",
        "parameters": parameters,
        **told,
    }
