"""The mistakes of a request, gathered: whoever asks is told all of them at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from stupid_dagster.errors import InvalidQueryError
from stupid_dagster.query.filters import Filter, parse_filter
from stupid_dagster.query.paging import row_limit
from stupid_dagster.settings import Settings

T = TypeVar("T")


class Mistakes:
    """What is wrong with the parts of a request, such as `filter` and `sort`."""

    def __init__(self) -> None:
        self.found: list[tuple[str, str]] = []

    def add(self, part: str, what: str) -> None:
        """Note what is wrong with a part."""
        self.found.append((part, what))

    def attempt(self, part: str, check: Callable[[], T], otherwise: T) -> T:
        """Return what a check returns; note the InvalidQueryError that it raises."""
        try:
            return check()
        except InvalidQueryError as error:
            self.found += error.problems or [(part, str(error))]
            return otherwise

    def filters(self, given: Iterable[Filter | str]) -> list[Filter]:
        """Return conditions, texts as `parse_filter` reads them; those that it can't are noted."""
        read: list[Filter | None] = [
            self.attempt("filter", lambda one=one: parse_filter(one), None)
            if isinstance(one, str)
            else one
            for one in given
        ]
        return [one for one in read if one is not None]

    def limit(self, limit: int | None, settings: Settings) -> int:
        """Return the number of rows to give at most, as `row_limit` does; note what is wrong."""
        return self.attempt("limit", lambda: row_limit(limit, settings), 1)

    def raise_any(self) -> None:
        """Raise InvalidQueryError if there are mistakes."""
        if self.found:
            raise InvalidQueryError("; ".join(what for _, what in self.found), self.found)
