"""The API's answers for agents: fewer rows, and text beside them for models that see only that."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from mcp.types import CallToolResult, TextContent

from stupid_dagster.catalog.summary import summarise

DEFAULT_ROWS = 50
MOST_ROWS = 500
MOST_CHARACTERS = 12_000
"""Of an answer's text: some 4,000 tokens."""

OUTPUT = {
    "type": "object",
    "properties": {
        "snapshot": {"type": "string", "description": "Id of the snapshot that answered."},
        "window": {"type": "object", "description": "The days that the answer is about."},
        "rows": {"type": "array", "items": {"type": "object"}},
        "truncated": {"type": "boolean", "description": "Whether there are more rows than these."},
        "total": {"type": ["integer", "null"], "description": "How many there are, where counted."},
    },
    "required": ["snapshot", "window"],
}
"""What the structured content of every answer has at least; the rest is as the API gives it."""


def answer_of(tool: str, body: dict[str, Any], limit: int | None) -> CallToolResult:
    """Return an answer of the API, at most `limit` rows of it; says where it is truncated."""
    if tool == "catalog":
        # Whole it can have a hundred thousand characters.
        body["summary"] = summarise(body.pop("catalog"))
    if limit is not None:
        for part in (body, *body.get("steps", ())):
            _shorten(part, limit)
    window = body["window"]
    head = f"[snapshot {body['snapshot']}, window {window['first_day']} to {window['last_day']}] "
    return CallToolResult(
        content=[TextContent(type="text", text=head + _text(body))], structured_content=body
    )


def _shorten(part: dict[str, Any], limit: int) -> None:
    rows = part.get("rows")
    if rows and len(rows) > limit:
        part |= {"rows": rows[:limit], "truncated": True}


def _text(body: Mapping[str, Any]) -> str:
    if "summary" in body:
        return _cut(body["summary"])
    apart = {"snapshot", "window", "rows", "total", "limit", "truncated"}
    beside = {name: part for name, part in body.items() if name not in apart and part is not None}
    told = json.dumps(beside, ensure_ascii=False) if beside else ""
    if "rows" not in body:
        return _cut(told)
    rows, total = body["rows"], body.get("total")
    count = f"{len(rows)} rows" if len(rows) != 1 else "1 row"
    count += "" if total is None else f" of {total}"
    if body.get("truncated"):
        page = "next_cursor as cursor" if body.get("next_cursor") else "a higher limit or offset"
        count += f". TRUNCATED: there are more; narrow the question, or give {page}"
    return "\n".join(part for part in (count, _cut(told), _cut(_csv(rows), len(rows))) if part)


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as CSV: floats to four decimals, nested values as JSON."""
    text = io.StringIO()
    if rows:
        table = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value


def _cut(text: str, rows: int | None = None) -> str:
    if len(text) <= MOST_CHARACTERS:
        return text
    # A cell may have line breaks of its own, so that lines aren't rows: none are counted.
    whole = f"all {len(text)} characters" if rows is None else f"all {rows} rows"
    text = text[: text.rfind("\n", 0, MOST_CHARACTERS) + 1 or MOST_CHARACTERS]
    return f"{text}[cut at {MOST_CHARACTERS} characters: the structured content has {whole}]"
