"""What the client's methods return."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
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
    """What a plan or a question was answered with.

    `rows` are those of the step that is shown, `steps` says how each ended, and `tables` has the
    rows of all of them, where they were sent. Of a question also: `text`, the `plan` that was made
    of it, and its `session`. `raw` is all that was sent.
    """

    rows: pl.DataFrame
    truncated: bool
    steps: Sequence[Mapping[str, Any]]
    tables: Mapping[str, pl.DataFrame]
    text: str | None
    plan: Mapping[str, Any] | None
    session: str | None
    raw: Mapping[str, Any]
