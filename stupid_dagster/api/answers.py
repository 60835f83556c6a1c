"""Answers as JSON: every one states the snapshot and the window that it speaks of.

Times are ISO 8601 in UTC; what is no number (NaN, infinity) is null.
"""

from __future__ import annotations

import json
import math
from datetime import date, datetime
from typing import Any

import polars as pl
from fastapi import Response

from stupid_dagster.query import Page, SnapshotReader


class Answers:
    """Answers a request from a snapshot: `reader` reads it."""

    def __init__(self, reader: SnapshotReader) -> None:
        self.reader = reader

    def data(self, **parts: Any) -> Response:
        """Return the parts, each a frame (its rows) or plain data, under their names."""
        manifest = self.reader.manifest
        head = {
            "snapshot": manifest.id,
            "window": {
                "first_day": manifest.first_day,
                "last_day": manifest.last_day,
                "days": len(manifest.days),
            },
        }
        pieces = [f"{json.dumps(name)}:{_json(part)}" for name, part in (head | parts).items()]
        return Response("{" + ",".join(pieces) + "}", media_type="application/json")

    def page(self, page: Page, **parts: Any) -> Response:
        """Return a page's rows and how many there are, with `parts`, which may replace the rows."""
        counts = {"total": page.total, "limit": page.limit, "truncated": page.truncated}
        rows = parts.pop("rows", page.rows)
        return self.data(**counts, **parts, rows=rows)


def _json(part: Any) -> str:
    if isinstance(part, pl.DataFrame):
        # Polars writes NaN and infinity as null, and times in ISO 8601.
        return part.write_json()
    return json.dumps(_plain(part), ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _plain(value: Any) -> Any:
    match value:
        case dict():
            return {key: _plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_plain(inner) for inner in value]
        case float():
            return value if math.isfinite(value) else None
        case datetime() | date():
            return value.isoformat()
        case _:
            return value
