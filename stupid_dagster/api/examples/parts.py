"""What all examples state."""

from __future__ import annotations

from typing import Any

ONE: dict[str, Any] = {
    "snapshot": "20130210T060512345-1f2e3d",
    "window": {"first_day": "2013-01-11", "last_day": "2013-02-09", "days": 30},
}
PAGE: dict[str, Any] = {**ONE, "total": 95, "limit": 1, "truncated": True}
