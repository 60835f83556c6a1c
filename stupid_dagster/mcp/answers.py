"""Answers of tools: bounded, with the snapshot and the window that they speak of.

Each is given twice: as structured content, and as text for models that see nothing else.
"""

from __future__ import annotations

import json
from typing import Annotated, Any

import polars as pl
from mcp.types import CallToolResult, TextContent
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json

from stupid_dagster.query import Page, SnapshotReader

DEFAULT_ROWS = 50
MOST_ROWS = 500
MOST_CHARACTERS = 12_000
"""Of an answer's text: some 4,000 tokens."""

Limit = Annotated[int, Field(ge=1, le=MOST_ROWS, description="Most rows to return.")]


class Window(BaseModel):
    """The days that an answer is about."""

    first_day: str
    last_day: str
    days: int


class Data(BaseModel):
    """What the published snapshot says."""

    model_config = ConfigDict(extra="allow")
    snapshot: str = Field(description="Id of the snapshot that answered.")
    window: Window


class Rows(Data):
    """Rows, and whether there are more."""

    rows: list[dict[str, Any]]
    truncated: bool = Field(description="Whether there are more rows than these.")
    total: int | None = Field(default=None, description="How many there are, where counted.")


DataResult = Annotated[CallToolResult, Data]
RowsResult = Annotated[CallToolResult, Rows]


def data_result(reader: SnapshotReader, text: str | None = None, **parts: Any) -> CallToolResult:
    """Return plain data under its names; `text` unless given is the data as JSON."""
    plain = json.loads(to_json(parts, inf_nan_mode="null"))
    shown = text or json.dumps(plain, ensure_ascii=False)
    return _result(reader, _cut(shown), plain)


def rows_result(reader: SnapshotReader, page: Page, hint: str = "", **parts: Any) -> CallToolResult:
    """Return a page's rows; `hint` says how to get at the rest where it is truncated."""
    plain = json.loads(to_json(parts, inf_nan_mode="null"))
    beside = f"{json.dumps(plain, ensure_ascii=False)}\n" if plain else ""
    plain |= {"total": page.total, "truncated": page.truncated, "rows": plain_rows(page.rows)}
    count = _count(page)
    if page.truncated:
        count += f". TRUNCATED: there are more; {hint or 'narrow the question or raise limit'}"
    return _result(reader, f"{count}\n{beside}{table_text(page.rows)}", plain)


def plain_rows(rows: pl.DataFrame) -> list[dict[str, Any]]:
    """Return rows as the HTTP API has them: times in ISO 8601, no number as null."""
    return json.loads(rows.write_json())


def table_text(rows: pl.DataFrame, most: int = MOST_CHARACTERS) -> str:
    """Return rows as CSV of at most so many characters; says how many of them it leaves out."""
    if not rows.width:
        return ""
    nested = [name for name, dtype in rows.schema.items() if dtype.is_nested()]
    flat = rows.with_columns(
        pl.Series(name, [_json_or_none(value) for value in rows[name].to_list()], pl.String)
        for name in nested
    )
    text = flat.write_csv(datetime_format="%Y-%m-%dT%H:%M:%SZ", float_precision=4)
    if len(text) <= most:
        return text
    lines = text[:most].splitlines(keepends=True)[:-1]
    # A cell may have line breaks of its own, so that lines aren't rows: none are counted.
    return "".join(lines) + (
        f"[cut at {most} characters; ask for fewer rows or columns: the structured content has all "
        f"{rows.height} rows]\n"
    )


def _result(reader: SnapshotReader, text: str, parts: dict[str, Any]) -> CallToolResult:
    manifest = reader.manifest
    window = {
        "first_day": manifest.first_day,
        "last_day": manifest.last_day,
        "days": len(manifest.days),
    }
    head = f"[snapshot {manifest.id}, window {manifest.first_day} to {manifest.last_day}] "
    return CallToolResult(
        content=[TextContent(type="text", text=head + text)],
        structured_content={"snapshot": manifest.id, "window": window} | parts,
    )


def _count(page: Page) -> str:
    rows = f"{page.rows.height} rows" if page.rows.height != 1 else "1 row"
    return rows if page.total is None else f"{rows} of {page.total}"


def _cut(text: str) -> str:
    if len(text) <= MOST_CHARACTERS:
        return text
    return f"{text[:MOST_CHARACTERS]}\n[cut: the structured content has all {len(text)} characters]"


def _json_or_none(value: Any) -> str | None:
    if value is None:
        return None
    return json.dumps(json.loads(to_json(value, inf_nan_mode="null")), ensure_ascii=False)
