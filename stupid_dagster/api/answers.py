"""Answers from a snapshot, which all state it and its window: JSON, and rows also as CSV or Arrow.

Times are ISO 8601 in UTC; what is no number (NaN, infinity) is null, but in Arrow, which has it.
CSV and Arrow have rows only: what a JSON answer states beside them is in headers, and in the
schema's metadata of Arrow. A nested column is JSON text in CSV. Values that a spreadsheet would
take for a formula (`=...`) are left as they are, for CSV is read by programs to which a changed
value would be a wrong one; import such a file as text.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable
from datetime import date, datetime
from typing import Any
from urllib.parse import urlencode

import polars as pl
import pyarrow as pa
from fastapi import Response

from stupid_dagster.api.media import ARROW, CSV, JSON, AnswerForm
from stupid_dagster.query import Page, SnapshotReader


class Written(str):
    """A part of an answer that is JSON already."""


class Answers:
    """Answers a request from a snapshot: `reader` reads it; `served` is told how many rows went."""

    def __init__(
        self,
        reader: SnapshotReader,
        wanted: AnswerForm | None = None,
        served: Callable[[int], Any] = lambda rows: None,
    ) -> None:
        self.reader = reader
        self.wanted = wanted or AnswerForm()
        self._served = served

    def data(self, **parts: Any) -> Response:
        """Return the parts, each a frame (its rows) or plain data, under their names, as JSON."""
        pieces = [
            f"{json.dumps(name)}:{json_text(part)}" for name, part in (self._head | parts).items()
        ]
        rows = parts.get("rows")
        self._served(0 if rows is None else len(rows))
        return self._response("{" + ",".join(pieces) + "}", JSON)

    def page(self, page: Page, nested: str | None = None, **parts: Any) -> Response:
        """Return a page's rows and how many there are, in the form that is wanted.

        As JSON with `parts`, which may replace the rows; the texts in the column `nested`, which
        are JSON themselves, are then part of it.
        """
        counts = {"total": page.total, "limit": page.limit, "truncated": page.truncated}
        if self.wanted.media == JSON:
            rows = parts.pop("rows", page.rows)
            if nested:
                rows = _NestedRows(rows, nested)
            return self.data(**counts, **parts, rows=rows)
        self._served(page.rows.height)
        head = self._head | counts
        if page.next_cursor:
            head["next_cursor"] = page.next_cursor
        texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in head.items()}
        headers = {f"X-{k.replace('_', '-').title()}": text for k, text in texts.items()}
        if page.next_cursor:
            query = [pair for pair in self.wanted.query if pair[0] != "cursor"]
            following = urlencode([*query, ("cursor", page.next_cursor)])
            headers["Link"] = f'<?{following}>; rel="next"'
        if self.wanted.media == CSV:
            return self._response(_csv(page.rows), f"{CSV}; charset=utf-8", headers)
        return self._response(_arrow(page.rows, texts), ARROW, headers)

    @property
    def _head(self) -> dict[str, Any]:
        manifest = self.reader.manifest
        window = {
            "first_day": manifest.first_day,
            "last_day": manifest.last_day,
            "days": len(manifest.days),
        }
        return {"snapshot": manifest.id, "window": window}

    def _response(
        self, content: str | bytes, media: str, headers: dict[str, str] | None = None
    ) -> Response:
        return Response(
            content, headers=dict(self.wanted.headers) | (headers or {}), media_type=media
        )


class _NestedRows:
    """Rows of which one column is JSON already."""

    def __init__(self, rows: pl.DataFrame, nested: str) -> None:
        self.rows = rows
        self.nested = nested

    def __len__(self) -> int:
        return self.rows.height

    def json(self) -> str:
        """Return the rows with that column's texts as they stand."""
        # Not `splitlines`, which parts lines where a value has a line separator of Unicode.
        others = self.rows.drop(self.nested).write_ndjson().split("\n")[: self.rows.height]
        name = json.dumps(self.nested)
        texts = zip(others, self.rows[self.nested].fill_null("null"), strict=True)
        return "[" + ",".join(f"{other[:-1]},{name}:{text}}}" for other, text in texts) + "]"


def _csv(frame: pl.DataFrame) -> bytes:
    columns = [_flat(name, dtype) for name, dtype in frame.schema.items()]
    return (
        frame.select(columns)
        .write_csv(datetime_format="%Y-%m-%dT%H:%M:%S%.3fZ", date_format="%Y-%m-%d")
        .encode()
    )


def _flat(name: str, dtype: pl.DataType) -> pl.Expr:
    """Return a column as CSV can have it."""
    column = pl.col(name)
    if dtype.is_float():
        return pl.when(column.is_finite()).then(column)
    if dtype.is_nested():
        wrapped = pl.struct(column.alias("v")).struct.json_encode()
        plain = wrapped.str.strip_prefix('{"v":').str.strip_suffix("}")
        return pl.when(column.is_not_null()).then(plain).alias(name)
    return column


def _arrow(frame: pl.DataFrame, metadata: dict[str, str]) -> bytes:
    # Not every reader knows the newer layouts of strings.
    table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    table = table.replace_schema_metadata(metadata)
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return sink.getvalue()


def json_text(part: Any) -> str:
    """Return a frame (its rows) or plain data as JSON, on one line; what is no number is null."""
    if isinstance(part, _NestedRows):
        return part.json()
    if isinstance(part, pl.DataFrame):
        # Polars writes NaN and infinity as null, and times in ISO 8601.
        return part.write_json()
    if isinstance(part, Written):
        return part
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
