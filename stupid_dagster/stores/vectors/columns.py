"""Columns of the search index that no reader sees: what to filter on, and words to find."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from stupid_dagster.errors import SearchIndexError

EVENT_TYPE_COLUMN = "event_type_code"
MOST_DAYS = 1_000
_NEVER = np.iinfo(np.int16).max

_WORD_WITH_PARTS = (
    r"[\p{L}\p{N}]*(?:\p{Ll}\p{Lu}|\p{Lu}\p{Lu}\p{Ll}|\p{L}{2}\p{N}|\p{N}\p{L}{2})[\p{L}\p{N}]*"
)
_BOUNDARIES = (
    (r"(\p{Ll})(\p{Lu})", "$1 $2"),
    (r"(\p{Lu})(\p{Lu}\p{Ll})", "$1 $2"),
    (r"(\p{L}{2})(\p{N})", "$1 $2"),
    (r"(\p{N})(\p{L}{2})", "$1 $2"),
)


def searchable_words(text: pl.Expr) -> pl.Expr:
    """Return the text followed by the parts of its compound words.

    `GameOpened game:FortuneTiger9` is also found as `opened` or `fortune tiger`.
    """
    parts = text.str.extract_all(_WORD_WITH_PARTS).list.join(" ")
    for boundary, replacement in _BOUNDARIES:
        parts = parts.str.replace_all(boundary, replacement)
    return pl.concat_str(text, parts, separator=" ").str.strip_chars_end(" ")


def day_column(index: int) -> str:
    """Return the name of the column that says when a text occurs next from day `index` on."""
    return f"next_{index}"


@dataclass(frozen=True)
class FilterColumns:
    """Event types and days as small integers, so that no value enters a filter as text.

    For every day of the index there is a column with the index of the next day, that day
    included, on which the text occurs. "Occurs in days[a..b]" is then `next_a <= b`: exact, and
    one comparison however long the range. LanceDB's SQL has no bitwise operators, and its list
    functions go through every day of every text.
    """

    event_types: list[str]
    days: list[date]
    event_type_codes: np.ndarray
    next_days: np.ndarray

    @classmethod
    def of(cls, texts: pl.DataFrame) -> FilterColumns:
        """Return the columns for `texts` (event_type, days); raises SearchIndexError."""
        event_types = texts["event_type"].unique().sort().to_list()
        codes = texts["event_type"].replace_strict(
            event_types, range(len(event_types)), return_dtype=pl.Int16
        )
        occurrences = texts.select("days").with_row_index("row").explode("days").drop_nulls()
        days = occurrences["days"].unique().sort().to_list()
        if len(days) > MOST_DAYS:
            raise SearchIndexError(
                f"a search index covers at most {MOST_DAYS} days, not {len(days)}"
            )
        next_days = np.full((texts.height, len(days)), _NEVER, dtype=np.int16)
        ranks = occurrences["days"].rank("dense").to_numpy().astype(np.int16) - 1
        next_days[occurrences["row"].to_numpy(), ranks] = ranks
        next_days = np.minimum.accumulate(next_days[:, ::-1], axis=1)[:, ::-1]
        return cls(event_types, days, codes.to_numpy(), next_days)

    def columns(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield name and values of each column."""
        yield EVENT_TYPE_COLUMN, self.event_type_codes
        for index in range(len(self.days)):
            yield day_column(index), np.ascontiguousarray(self.next_days[:, index])


def day_range(
    days: Sequence[date], first_day: date | None, last_day: date | None
) -> tuple[int, int] | None:
    """Return the indices of the first and last of `days` in the range, None where there is none."""
    first = 0 if first_day is None else bisect_left(days, first_day)
    last = len(days) - 1 if last_day is None else bisect_right(days, last_day) - 1
    return (first, last) if first <= last else None
