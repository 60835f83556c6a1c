"""What all answers share, and shapes made from the tables' columns."""

from __future__ import annotations

from datetime import date, datetime
from types import GenericAlias
from typing import Any

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, create_model

from stupid_dagster.tables import TABLES


class Shape(BaseModel):
    """A part of an answer; nothing else is in it."""

    model_config = ConfigDict(extra="forbid")


def _none_required(schema: dict[str, Any]) -> None:
    schema.pop("required", None)


class _Row(Shape):
    # The parameter `columns` may leave any of them out.
    model_config = ConfigDict(json_schema_extra=_none_required)


class Window(Shape):
    """The days that the snapshot's knowledge is drawn from."""

    first_day: date = Field(examples=["2013-01-11"])
    last_day: date = Field(examples=["2013-02-09"])
    days: int = Field(description="Days of it that have documents.", examples=[30])


class Answer(Shape):
    """What every answer states."""

    snapshot: str = Field(description="Id of the snapshot that answered.")
    window: Window


class Page(Answer):
    """What every answer of many rows states."""

    total: int | None = Field(description="Rows there are; null where counting them is dear.")
    limit: int = Field(description="Most rows that this answer could have.")
    truncated: bool = Field(description="There are more rows than these.")


def type_of(dtype: Any, name: str) -> Any:
    """Return the Python type of a column's values; `name` names what structs become."""
    match dtype:
        case pl.List():
            return GenericAlias(list, (type_of(dtype.inner, name),))
        case pl.Struct():
            fields: dict[str, Any] = {f.name: (type_of(f.dtype, name), ...) for f in dtype.fields}
            return create_model(name, __base__=Shape, **fields)
    if dtype == pl.Datetime:
        return datetime | None
    if dtype == pl.Date:
        return date | None
    if dtype == pl.Boolean:
        return bool | None
    if dtype == pl.String:
        return str | None
    return (float if dtype.is_float() else int) | None


def row_of(table: str, **more: Any) -> Any:
    """Return the shape of a table's rows, with more columns than the table stores, a model."""
    name = "".join(word.title() for word in table.split("_"))
    columns: dict[str, Any] = {
        column.name: (
            type_of(column.dtype, f"{name}{column.name.title()}"),
            Field(description=column.description),
        )
        for column in TABLES[table].columns
    }
    return create_model(
        f"{name}Row", __base__=_Row, __doc__=TABLES[table].description, **(columns | more)
    )


def page_of(row: Any, **more: Any) -> Any:
    """Return the shape of a page of such rows, with more beside them."""
    name = f"{row.__name__.removesuffix('Row')}Page"
    fields: dict[str, Any] = more | {"rows": (GenericAlias(list, (row,)), ...)}
    return create_model(name, __base__=Page, **fields)
