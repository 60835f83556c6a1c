"""What the window's knowledge tables are: their columns, and how they were made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from stupid_dagster.stores.lake import Lake
from stupid_dagster.stores.version import Version
from stupid_dagster.tables import TABLES

_BOOKKEEPING = ("window_days", "next_number")
"""In the metadata of a version: what ties windows and their tables to each other."""


def describe_knowledge(lake: Lake, knowledge: Mapping[str, Version]) -> dict[str, Any]:
    """Return, per table, its description, rows, columns and parameters.

    `columns` are those that queries see: name, type, and meaning, which of the event model's is
    empty. Stores of their own (search index, graph database) have none. `parameters` is what the
    stage recorded of how it was made, such as the days that it read.
    """
    return {
        name: {
            "description": TABLES[name].description,
            "rows": version.rows,
            "columns": _columns(lake, version) if TABLES[name].columns else [],
            "parameters": {
                key: value
                for key, value in version.metadata.items()
                if key not in _BOOKKEEPING and name != "window_days"
            },
        }
        for name, version in knowledge.items()
    }


def _columns(lake: Lake, version: Version) -> list[dict[str, Any]]:
    table = TABLES[version.table]
    known = {column.name: column for column in table.columns}
    # Queries see hashes of texts as hexadecimal digits, for they are no numbers to reckon with.
    hashes = {column.name for column in table.columns if column.refers == "text"}
    schema = lake.scan_versions([version]).collect_schema()
    return [
        {
            "name": name,
            "type": "string" if name in hashes else type_name(dtype),
            "description": known[name].description if name in known else "",
        }
        for name, dtype in schema.items()
    ]


def type_name(dtype: Any) -> str:
    """Return the name of a column's type: `integer`, `time`, `list of string`, ..."""
    match dtype:
        case pl.List() | pl.Array():
            return f"list of {type_name(dtype.inner)}"
        case pl.Struct():
            parts = ", ".join(f"{part.name} {type_name(part.dtype)}" for part in dtype.fields)
            return f"struct of ({parts})"
        case pl.Datetime():
            return "time"
        case pl.Date():
            return "date"
        case pl.Boolean():
            return "boolean"
        case pl.String():
            return "string"
    return "float" if dtype.is_float() else "integer"
