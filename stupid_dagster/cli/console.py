"""How the command line prints: one console, tables of one look, errors without tracebacks."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from stupid_dagster.errors import StupidError

# A file or a pipe has no width; what is cut to a terminal's would be hard to read there.
console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)


@contextmanager
def errors_to(stream: TextIO) -> Iterator[None]:
    """Print the project's own errors to a stream and exit with 1."""
    try:
        yield
    except StupidError as error:
        # In a file or a pipe a message is one line: it is searched for, and paths are copied.
        shown = Console(file=stream, highlight=False, soft_wrap=not stream.isatty())
        shown.print(f"[red]error:[/] {escape(str(error))}")
        raise SystemExit(1) from error


def progress(shown: Console) -> Progress:
    """Return a bar with what is done, how much of it, and the time that it has taken."""
    return Progress(
        TextColumn("{task.description:<26}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=shown,
    )


def show_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows; numbers stand on the right, with thousands parted."""
    listed = [list(row) for row in rows]
    console.print(f"[bold]{escape(title)}[/]")
    table = Table(box=None, pad_edge=False)
    for position, column in enumerate(columns):
        numeric = listed and all(
            isinstance(row[position], int | float) or row[position] is None for row in listed
        )
        table.add_column(
            column, justify="right" if numeric else "left", header_style="dim", overflow="fold"
        )
    for row in listed:
        table.add_row(*(_cell(value) for value in row))
    console.print(table)
    console.print()


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.2f}" if abs(value) < 100 else f"{value:,.0f}"
    return escape(str(value))
