"""How much of an answer is given at once, and where the next part begins."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from stupid_dagster.errors import InvalidQueryError, hint
from stupid_dagster.settings import Settings

MOST_OFFSET = 2**31
_SEAL = 12


@dataclass(frozen=True)
class Page:
    """Rows of an answer.

    `truncated` says that there are more rows than `limit`; `total` how many there are, None
    where counting them is as dear as reading them; `next_cursor` asks for those that follow.
    """

    rows: pl.DataFrame
    limit: int
    truncated: bool
    total: int | None = None
    next_cursor: str | None = None

    @classmethod
    def whole(cls, rows: pl.DataFrame) -> Page:
        """Return a page of all the rows that there are."""
        return cls(rows, rows.height, truncated=False, total=rows.height)

    @classmethod
    def first(cls, rows: pl.DataFrame, limit: int) -> Page:
        """Return a page of at most `limit` rows, of which one more was asked for."""
        truncated = rows.height > limit
        return cls(rows.head(limit), limit, truncated, None if truncated else rows.height)


def row_limit(limit: int | None, settings: Settings, default: int | None = None) -> int:
    """Return the number of rows to give at most; raises InvalidQueryError beyond `rows_most`."""
    if limit is None:
        return min(default or settings.rows_default, settings.rows_most)
    if not 1 <= limit <= settings.rows_most:
        raise InvalidQueryError(
            f"limit = {limit}: an answer has from 1 to {settings.rows_most} rows "
            "(setting rows_most); ask for less, and page on"
        )
    return limit


def check_offset(offset: int) -> None:
    """Raise InvalidQueryError for an offset that can't be."""
    if not 0 <= offset <= MOST_OFFSET:
        raise InvalidQueryError(f"offset = {offset}: must be from 0 to {MOST_OFFSET}")


def sort_order(sort: str, schema: Mapping[str, pl.DataType]) -> tuple[str, bool]:
    """Return (column, descending) of `column` or `-column`; raises InvalidQueryError."""
    column = sort.removeprefix("-")
    orderable = [name for name, dtype in schema.items() if not dtype.is_nested()]
    if column not in orderable:
        raise InvalidQueryError(
            f"sort: {column[:80]!r} is no column to sort by{hint(column[:80], orderable)}; there "
            f"are {', '.join(orderable)}, and a - before one turns the order round"
        )
    return column, sort.startswith("-")


@dataclass(frozen=True)
class Cursor:
    """The last document of a page.

    `version` is that of its day's documents or what else must not have changed since; `after`
    are the values that the page was sorted by, empty where it came in the documents' own order.
    """

    day: str
    row: int
    version: str
    after: tuple[Any, ...] = ()

    def sealed(self, question: str) -> str:
        """Return the cursor as an answer to this question states it.

        It has a checksum of itself and the question: to another it would mean other rows.
        """
        parts = [self.day, self.row, self.version, *self.after]
        raw = json.dumps(parts, separators=(",", ":"))
        seal = hashlib.blake2b(f"{question}\0{raw}".encode(), digest_size=6).hexdigest()
        return base64.urlsafe_b64encode(f"{seal}{raw}".encode()).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str, question: str) -> Cursor:
        """Return the cursor that an answer to this question stated; raises InvalidQueryError."""
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            day, row, version, *after = json.loads(raw[_SEAL:])
        except (ValueError, TypeError, RecursionError):
            raise no_cursor() from None
        if not (isinstance(day, str) and type(row) is int and isinstance(version, str)):
            raise no_cursor()
        if not 0 <= row < 2**32:
            raise no_cursor()
        cursor = cls(day, row, version, tuple(after))
        if cursor.sealed(question) != text:
            raise no_cursor()
        return cursor


def no_cursor() -> InvalidQueryError:
    """Return the error for a cursor that no answer of such a question gave."""
    return InvalidQueryError(
        "cursor: not one that an answer's next_cursor gave to the same question; leave it out to "
        "begin anew"
    )


def replaced() -> InvalidQueryError:
    """Return the error for a cursor into documents that aren't the same any more."""
    return InvalidQueryError(
        "cursor: the documents of its day have been replaced or evicted since; leave it out to "
        "begin anew"
    )
