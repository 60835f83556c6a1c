"""Parts of a snapshot's catalog, by name, and as rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

import polars as pl

from stupid_dagster.errors import NotFoundError, SnapshotError, hint
from stupid_dagster.stores.snapshots import Snapshot

Part = Literal["events", "entities", "knowledge"]
_KINDS = {"events": "event type", "entities": "entity type"}
_STRINGS = pl.List(pl.String)
_COLUMNS = pl.Struct({"name": pl.String, "type": pl.String, "description": pl.String})
_SCHEMAS: dict[Part, dict[str, Any]] = {
    "events": {
        "event_type": pl.String,
        "description": pl.String,
        "documents": pl.Int64,
        "first_day": pl.String,
        "last_day": pl.String,
        "fields": pl.String,
    },
    "entities": {
        "entity_type": pl.String,
        "prefix": pl.String,
        "nodes": pl.Int64,
        "events": pl.Int64,
        "properties": pl.String,
        "edges": _STRINGS,
        "examples": _STRINGS,
    },
    "knowledge": {
        "table": pl.String,
        "description": pl.String,
        "rows": pl.Int64,
        "columns": pl.List(_COLUMNS),
        "parameters": pl.String,
    },
}


def read_catalog(snapshot: Snapshot) -> dict[str, Any]:
    """Return a snapshot's catalog; raises SnapshotError."""
    file = snapshot.path("catalog") / "catalog.json"
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SnapshotError(
            f"{file} is missing or damaged ({error}); materialise the catalog again and "
            "publish the window"
        ) from error


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


def catalog_rows(catalog: Mapping[str, Any], part: Part) -> list[dict[str, Any]]:
    """Return a part of the catalog as rows, each with its name first."""
    name = next(iter(_SCHEMAS[part]))
    return [{name: key, **told} for key, told in catalog[part].items()]


def catalog_frame(catalog: Mapping[str, Any], part: Part) -> pl.DataFrame:
    """Return the rows of `catalog_rows` as a frame.

    What differs from row to row in its names (fields, properties, parameters) is a JSON object in
    a string.
    """
    rows = [
        {k: json.dumps(v, ensure_ascii=False) if isinstance(v, dict) else v for k, v in row.items()}
        for row in catalog_rows(catalog, part)
    ]
    days = pl.col("^(first|last)_day$").str.to_date()
    return pl.DataFrame(rows, schema=_SCHEMAS[part]).with_columns(days)
