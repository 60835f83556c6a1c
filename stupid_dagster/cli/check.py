"""`check` and `rejects`: what an event model would extract and reject, and what was rejected."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime

import click
import polars as pl
from rich.markup import escape

from stupid_dagster import connect
from stupid_dagster.cli.console import console, show_table
from stupid_dagster.cli.days import DAY
from stupid_dagster.compute.words import first_few
from stupid_dagster.errors import MissingVersionError
from stupid_dagster.event_model import EventModel, load_event_model
from stupid_dagster.ingest import DayDocuments, LandingIndex, build_documents, index_landing
from stupid_dagster.ingest.rejects import weightiest
from stupid_dagster.settings import Settings

_MEANING = (
    "row: the first in its file, from 0, a header not counted; rows: how many. Of the scopes file "
    "and row no documents are made; of value they are, with the value left empty, or midnight of "
    "the file's date as the time; of column the reason tells"
)


@click.command()
@click.argument("model")
@click.option("--data", help="Folder of landing files, or its fsspec URL.")
@click.option(
    "--days",
    "most",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="Newest days to try it on.",
)
@click.pass_obj
def check(settings: Settings, model: str, data: str | None, most: int) -> None:
    """Check an event model, and try it on landing files without writing anything."""
    loaded = load_event_model(model, settings.root)
    console.print(
        f"[green]{escape(loaded.name)}[/]: {len(loaded.events)} event types, "
        f"{len(loaded.entities)} entity types, {len(loaded.edges)} edge types, "
        f"{len(loaded.features.columns)} features, {len(loaded.metrics)} metrics"
    )
    if data is None:
        return
    landing = index_landing(loaded, data)
    days = landing.days()
    _show_files(loaded, landing)
    if not days:
        console.print("[yellow]no file has a usable date[/]")
        return
    tried = own_days(landing)[-most:]
    first, last = date.fromisoformat(days[0]), date.fromisoformat(days[-1])
    made = [build_documents(loaded, landing, date.fromisoformat(d), (first, last)) for d in tried]
    console.print(f"tried on {len(made)} of {len(days)} days: {', '.join(tried)}\n")
    for day, documents in zip(tried, made, strict=True):
        _show_extracted(loaded, day, documents)
    _show_columns(loaded, made)
    amiss = pl.concat([documents.rejects for documents in made])
    if amiss.is_empty():
        console.print("nothing would be rejected, left empty or dated otherwise")
    else:
        show_rejects(amiss)


def own_days(landing: LandingIndex) -> list[str]:
    """Return the days that have files, ascending; all that have rows, if none has a file.

    Not those of which there are only a few rows in another day's file.
    """
    own = {day for file in landing.files for day in file.own_days & file.days.keys()}
    days = landing.days()
    return [day for day in days if day in own] or days


def _show_files(model: EventModel, landing: LandingIndex) -> None:
    files: Counter[str] = Counter()
    rows: Counter[str] = Counter()
    for file in landing.files:
        files.update(file.event_types.keys())
        rows.update(file.event_types)
    show_table(
        f"Landing files in {landing.source.location}",
        ["event type", "files", "rows"],
        [(name, files[name], rows[name]) for name in model.events],
    )
    for file in landing.files:
        if file.problem:
            console.print(f"[yellow]{escape(file.path)}[/]: {escape(file.problem)}")
    if landing.ignored:
        some = first_few(landing.ignored)
        console.print(f"{len(landing.ignored)} files of kinds that aren't read: {escape(some)}")


def _show_extracted(model: EventModel, day: str, made: DayDocuments) -> None:
    events = connect.enrich(model, made.documents)
    entities = connect.build_entities(model, events).group_by("type").len().sort("type")
    edges = connect.build_edges(model, events).group_by("type").len().sort("type")
    texts = connect.build_texts(model, events, day)
    show_table(
        day,
        ["extracted", "rows"],
        [
            *((f"documents: {name}", frame.height) for name, frame in made.documents.items()),
            *((f"entities: {name}", rows) for name, rows in entities.iter_rows()),
            *((f"edges: {name}", rows) for name, rows in edges.iter_rows()),
            ("distinct texts", texts.height),
            ("duplicates removed", made.duplicates),
            ("rows rejected", made.rows_rejected),
        ],
    )
    console.print()


def _show_columns(model: EventModel, made: list[DayDocuments]) -> None:
    """Print the kept fields that hold nothing, and the columns that aren't kept."""
    dropped: dict[str, Counter[str]] = {}
    for documents in made:
        for name, columns in documents.dropped_columns.items():
            dropped.setdefault(name, Counter()).update(columns)
    for name, event_type in model.events.items():
        frames = [documents.documents[name] for documents in made]
        if sum(frame.height for frame in frames):
            empty = [
                f for f in event_type.fields if all(d[f].null_count() == d.height for d in frames)
            ]
            if empty:
                listed = ", ".join(empty)
                console.print(
                    f"[yellow]{escape(name)}: fields without a value: {escape(listed)}[/]"
                )
    for name, columns in dropped.items():
        if not columns:
            continue
        held = [f"{column} ({values:,})" for column, values in columns.most_common() if values]
        nothing = len(columns) - len(held)
        more = f"{', and ' if held else ''}{nothing} that hold nothing" if nothing else ""
        console.print(
            f"[dim]{escape(name)}: columns not kept, with the values they hold: "
            f"{escape(', '.join(held))}{more}[/]"
        )
    console.print()


def show_rejects(rejects: pl.DataFrame) -> None:
    """Print the table `rejects`, what concerns most rows first; junk columns last."""
    shown = weightiest(rejects)
    entries = "1 entry" if rejects.height == 1 else f"{rejects.height:,} entries"
    show_table(f"Rejected, left empty or dated otherwise: {entries}", shown.columns, shown.rows())
    if rejects.height > shown.height:
        console.print(f"and {rejects.height - shown.height:,} more")
    console.print(f"[dim]{_MEANING}[/]")


@click.command()
@click.argument("day", type=DAY, required=False)
@click.pass_obj
def rejects(settings: Settings, day: datetime | None) -> None:
    """Show what of a day that was made is rejected, left empty or dated otherwise, and why.

    Without a day: of which days how much is.
    """
    from stupid_dagster.project import Project
    from stupid_dagster.stages.audit import newest_horizon

    project = Project(settings)
    if day is None:
        _show_days(project.lake.scan_days("rejects", project.lake.partitions("rejects")))
        return
    name = f"{day:%Y-%m-%d}"
    first, last = project.partition_range
    made_once = first <= day.date() <= last and project.lake.find("rejects", name) is None
    if made_once and name < (kept := newest_horizon(project)):
        raise MissingVersionError(
            f"{name} was evicted with its rejects, or never made: the newest eviction kept the "
            f"days from {kept} on. Where its landing files are still there, "
            f"`stupid-dagster run --from {name} --to {name} --no-window` makes it again"
        )
    found = project.lake.read("rejects", name)
    if found.is_empty():
        console.print(f"nothing of {name} was rejected")
    else:
        show_rejects(found)


def _show_days(found: pl.LazyFrame) -> None:
    """Print the days that have entries in the table `rejects`, ascending, and how many."""
    entries, rows = pl.len().alias("entries"), pl.col("rows").sum()
    days = found.group_by(pl.col("day").cast(pl.String), "scope").agg(entries, rows).collect()
    if days.is_empty():
        console.print("nothing was rejected of any day that was made")
        return
    days = days.sort("day", "scope")
    show_table("Rejected, left empty or dated otherwise", days.columns, days.rows())
    console.print("[dim]each with its reason: stupid-dagster rejects DAY[/]")
