"""`search`: the texts of a window that are nearest in meaning."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import click

from stupid_dagster.cli.console import show_table
from stupid_dagster.cli.days import as_of_option, snapshot_as_of
from stupid_dagster.deadline import deadline
from stupid_dagster.settings import Settings

if TYPE_CHECKING:
    from stupid_dagster.project import Project


@click.command()
@click.argument("text")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="Texts to find, at most.",
)
@click.option("--type", "event_types", multiple=True, help="Only texts of this event type.")
@click.option(
    "--mode",
    type=click.Choice(["vector", "text", "hybrid"]),
    default="vector",
    show_default=True,
    help="By meaning, by words, or by both.",
)
@as_of_option
@click.pass_obj
def search(
    settings: Settings,
    text: str,
    limit: int,
    event_types: tuple[str, ...],
    mode: str,
    as_of: datetime | None,
) -> None:
    """Find the window's texts that are nearest in meaning."""
    from stupid_dagster.project import Project

    show_search(
        Project(settings), text, limit=limit, event_types=event_types, mode=mode, as_of=as_of
    )


def show_search(
    project: Project,
    text: str,
    *,
    limit: int = 10,
    event_types: Sequence[str] = (),
    mode: str = "vector",
    as_of: datetime | None = None,
) -> None:
    """Print the texts of the published window, or that `as_of` a day, nearest to a text."""
    import polars as pl

    from stupid_dagster.query.reader import SnapshotReader

    seconds = project.settings.step_seconds
    with SnapshotReader(project, snapshot_as_of(project.lake, as_of)) as reader, deadline(seconds):
        found = reader.search(text, mode=mode, event_types=event_types or None, limit=limit)
    show_table(
        f"Nearest to {text!r}",
        ["score", "events", "text", "example"],
        found.select(pl.col("score").round(3), "count", "text", "example").iter_rows(),
    )
