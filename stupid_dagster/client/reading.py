"""Answers' bodies as tables."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from stupid_dagster.client.answers import Answer, Table
from stupid_dagster.client.connection import Reply
from stupid_dagster.errors import ApiError

ARROW = "application/vnd.apache.arrow.stream"
TABULAR = f"{ARROW}, application/json;q=0.5"
"""What a table is asked for as: Arrow, whose columns have types, else JSON."""
_TYPES: dict[str, pl.DataType] = {
    "time": pl.Datetime("ms", "UTC"),
    "date": pl.Date(),
    "string": pl.String(),
    "integer": pl.Int64(),
    "float": pl.Float64(),
    "boolean": pl.Boolean(),
}
_STATED = {"snapshot", "window", "total", "limit", "truncated", "next_cursor", "rows"}


def table_of(reply: Reply) -> Table:
    """Return the table that an answer is, Arrow or JSON; raises ApiError."""
    if reply.media_type != ARROW:
        return table_of_json(reply.json())
    try:
        rows = pl.read_ipc_stream(io.BytesIO(reply.content))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise ApiError(f"the answer is no whole Arrow stream ({error}); ask again") from error
    told = reply.headers
    return Table(
        rows=rows,
        snapshot=told.get("x-snapshot"),
        truncated=json.loads(told.get("x-truncated", "false")),
        total=json.loads(told.get("x-total", "null")),
        next_cursor=told.get("x-next-cursor"),
    )


def table_of_json(body: Mapping[str, Any], columns: Mapping[str, str] | None = None) -> Table:
    """Return the table that an answer in JSON is; raises ApiError.

    `columns` says the types, where the answer told them: JSON has no times.
    """
    if "rows" not in body:
        raise ApiError(f"the answer has no rows but {', '.join(body)}")
    return Table(
        rows=frame(body["rows"], columns),
        snapshot=body.get("snapshot"),
        truncated=bool(body.get("truncated")),
        total=body.get("total"),
        next_cursor=body.get("next_cursor"),
        more={name: part for name, part in body.items() if name not in _STATED},
    )


def frame(
    rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str] | None = None
) -> pl.DataFrame:
    """Return rows of JSON as a frame; values that are objects of several forms become JSON text.

    `columns` are their types as the API tells them, where it does.
    """
    told = {name: _TYPES[kind] for name, kind in (columns or {}).items() if kind in _TYPES}
    try:
        found = pl.DataFrame(rows, infer_schema_length=None)
    except (pl.exceptions.PolarsError, TypeError):
        plain = [{name: _plain(value) for name, value in row.items()} for row in rows]
        found = pl.DataFrame(plain, infer_schema_length=None, strict=False)
    if columns is not None and not rows:
        return pl.DataFrame(schema={name: told.get(name, pl.Null) for name in columns})
    return found.with_columns(_typed(name, dtype) for name, dtype in told.items() if name in found)


def _typed(name: str, dtype: pl.DataType) -> pl.Expr:
    if isinstance(dtype, pl.Datetime | pl.Date):
        return pl.col(name).cast(pl.String).str.strptime(dtype)
    return pl.col(name).cast(dtype)


def _plain(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value


def answer_of(body: Mapping[str, Any]) -> Answer:
    """Return what a plan or a question was answered with; raises ApiError."""
    steps = body.get("steps") or ()
    columns = {step["id"]: step.get("columns") for step in steps}
    shown = table_of_json(body, columns.get((body.get("render") or {}).get("step")))
    return Answer(
        rows=shown.rows,
        truncated=shown.truncated,
        steps=steps,
        tables={
            step["id"]: frame(step["rows"], step.get("columns"))
            for step in steps
            if step.get("rows") is not None
        },
        text=body.get("text"),
        plan=body.get("plan"),
        session=body.get("session"),
        raw=body,
    )


def fields_of(rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows of a timeline with `fields` as structs, where they are JSON in texts."""
    if rows.schema.get("fields") != pl.String:
        return rows
    fields = frame([{"fields": json.loads(text)} for text in rows["fields"]])
    return rows.with_columns(fields) if rows.height else rows
