"""What the client's methods return."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl


class TruncatedWarning(UserWarning):
    """An answer has fewer rows than there are, though no `limit` asked for that."""


@dataclass(frozen=True)
class Table:
    """Rows of an answer, and what it says of them.

    `total` is None where the server doesn't count; `next_cursor` asks for the page that follows.
    `more` is what the answer states beside its rows, such as a segment beside its members.
    """

    rows: pl.DataFrame
    snapshot: str | None = None
    truncated: bool = False
    total: int | None = None
    next_cursor: str | None = None
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Subgraph:
    """A part of the graph, to be drawn: its nodes, and the links between them."""

    nodes: pl.DataFrame
    links: pl.DataFrame
    truncated: bool = False


@dataclass(frozen=True)
class Event:
    """An event of a stream: its name, its data as it came, and its id where it has one."""

    name: str
    text: str
    id: str = ""

    @property
    def data(self) -> Any:
        """The event's data, read as JSON."""
        return json.loads(self.text)


@dataclass(frozen=True)
class Answer:
    """The answer to a question in plain words.

    `plan` is what was run, `tables` the rows of each of its steps that gave some, `session` what
    to give with the next question, so that "them" is understood; `raw` is all that was sent.
    """

    text: str | None
    plan: Mapping[str, Any] | None
    tables: Mapping[str, pl.DataFrame]
    session: str | None
    raw: Mapping[str, Any]
