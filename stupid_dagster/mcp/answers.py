"""The API's answers for agents: fewer rows, and text beside them for models that see only that."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Collection, Mapping, Sequence
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


BULKY = {"insights": ("evidence", "plan", "series")}
"""Columns that a table's rows come without, unless asked for by `columns`."""


def answer_of(
    tool: str, body: dict[str, Any], limit: int | None, ways: Collection[str], page: str | None
) -> CallToolResult:
    """Return an answer of the API, at most `limit` rows of it; says where it is truncated.

    `ways` are the tool's parameters: what is advised is among them. Of a knowledge table's `page`
    the rows are without what is bulky.
    """
    if tool == "catalog":
        # Whole it can have a hundred thousand characters.
        body["summary"] = summarise(body.pop("catalog"))
    for name in BULKY.get(page or "", ()):
        for row in body.get("rows", ()):
            row.pop(name, None)
    if limit is not None:
        for part in (body, *body.get("steps", ())):
            _shorten(part, limit)
    window = body["window"]
    head = f"[snapshot {body['snapshot']}, window {window['first_day']} to {window['last_day']}] "
    return CallToolResult(
        content=[TextContent(type="text", text=head + _text(body, ways))], structured_content=body
    )


def _shorten(part: dict[str, Any], limit: int) -> None:
    rows = part.get("rows")
    if rows and len(rows) > limit:
        part |= {"rows": rows[:limit], "truncated": True}


def _text(body: Mapping[str, Any], ways: Collection[str]) -> str:
    if "summary" in body:
        return _cut(body["summary"])
    apart = {"snapshot", "window", "rows", "total", "limit", "truncated"}
    beside = {name: part for name, part in body.items() if name not in apart and part is not None}
    told, whole = _json(beside) if beside else ("", True)
    short = "" if whole else "SHORTENED, the structured content has all of it:"
    if "rows" not in body:
        return "\n".join(part for part in (short, told) if part)
    table, shown = _csv(body["rows"])
    parts = (_counted(body, shown, ways), short, told, table)
    return "\n".join(part for part in parts if part)


def _counted(body: Mapping[str, Any], shown: int, ways: Collection[str]) -> str:
    """Return how many rows there are here, of how many, and how to get the others."""
    rows, total = len(body["rows"]), body.get("total")
    there = max(rows, total or 0)
    count = f"{shown} rows" if shown != 1 else "1 row"
    if shown < there:
        count = f"{shown} of {there} rows"
    elif total is not None:
        count += f" of {total}"
    truncated = body.get("truncated")
    if shown == rows and not truncated:
        return count
    told = [f"the text has room for {shown} of the {rows} rows of the structured content"]
    told = told if shown < rows else []
    told += ["there are more"] if truncated else []
    return f"{count}, TRUNCATED: {', and '.join(told)}; {_advice(body, shown, ways)}"


def _advice(body: Mapping[str, Any], shown: int, ways: Collection[str]) -> str:
    """Return how to get the rows that aren't here, by parameters that the tool has."""
    rows = len(body["rows"])
    others = ["fewer columns"] if shown < rows and "columns" in ways else []
    if "offset" in ways:
        others.append("a higher offset")
    elif shown < rows and "cursor" in ways:
        others.append("a lower limit, and page on by cursor")
    elif shown == rows and body.get("next_cursor"):
        others.append("next_cursor as cursor")
    if shown == rows < MOST_ROWS and "limit" in ways:
        others.append("a higher limit")
    return ", or ".join(["narrow the question", *(f"give {other}" for other in others)])


def _csv(rows: Sequence[Mapping[str, Any]]) -> tuple[str, int]:
    """Return as many rows as there is room for as CSV, and how many these are.

    Floats have four decimals, nested values are JSON. At least one row is there, its cells cut
    where they are too long for it.
    """
    text, end = io.StringIO(), 0
    shown = 0
    if rows:
        table = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        table.writeheader()
        for row in rows:
            cells = {name: _cell(value) for name, value in row.items()}
            end = text.tell()
            table.writerow(cells)
            if text.tell() > MOST_CHARACTERS and shown:
                break
            if text.tell() > MOST_CHARACTERS:
                most = MOST_CHARACTERS // (2 * len(cells))
                text.seek(end)
                text.truncate()
                table.writerow({name: _short(str(cell), most) for name, cell in cells.items()})
            shown, end = shown + 1, text.tell()
    return text.getvalue()[:end], shown


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, float):
        return round(value, 4)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list | bool) else value


def _json(part: Any) -> tuple[str, bool]:
    """Return a part as JSON that there is room for, and whether it is whole.

    Lists and texts are shortened, the same for all, till it fits: JSON that is cut off is none.
    """
    text = json.dumps(part, ensure_ascii=False)
    if len(text) <= MOST_CHARACTERS:
        return text, True
    for most in (50, 20, 10, 5, 3, 2, 1):
        text = json.dumps(_lean(part, most), ensure_ascii=False)
        if len(text) <= MOST_CHARACTERS:
            return text, False
    names = [name[:80] for name in part][:50]
    return json.dumps({"too_long_to_show": names}, ensure_ascii=False), False


def _lean(part: Any, most: int) -> Any:
    match part:
        case dict():
            return {name: _lean(value, most) for name, value in part.items()}
        case list():
            more = [f"... {len(part) - most} more"] if len(part) > most else []
            return [_lean(value, most) for value in part[:most]] + more
        case str():
            return _short(part, 100 * most)
        case _:
            return part


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}... {len(text) - most} more characters"


def _cut(text: str) -> str:
    if len(text) <= MOST_CHARACTERS:
        return text
    whole = f"all {len(text)} characters"
    text = text[: text.rfind("\n", 0, MOST_CHARACTERS) + 1 or MOST_CHARACTERS]
    return f"{text}[cut at {MOST_CHARACTERS} characters: the structured content has {whole}]"
