"""Parts of a snapshot's catalog, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from stupid_dagster.errors import NotFoundError, hint

_KINDS = {"events": "event type", "entities": "entity type"}


def catalog_part(
    catalog: Mapping[str, Any], part: Literal["events", "entities"], name: str
) -> dict[str, Any]:
    """Return what the catalog has of an event or entity type; raises NotFoundError."""
    known = catalog[part]
    if name not in known:
        raise NotFoundError(
            f"there is no {_KINDS[part]} {name[:80]!r}{hint(name[:80], known)}; there are "
            f"{', '.join(known)}"
        )
    return known[name]
