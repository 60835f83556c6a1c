"""`knowledge` and `path`: what a window knows, table by table, and how things meet."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape

from stupid_dagster.cli.console import console, show_table
from stupid_dagster.cli.days import as_of_option, snapshot_as_of
from stupid_dagster.settings import Settings

if TYPE_CHECKING:
    from stupid_dagster.event_model import EventModel
    from stupid_dagster.query import SnapshotReader

SHOWN = 20
FIRST_COLUMNS = {
    "insights": ("rank", "severity", "status", "since", "title"),
    "labels": ("subject", "label", "description", "provenance"),
    "clusters": ("cluster_id", "size", "share", "label"),
    "communities": ("community_id", "size", "actors", "label"),
    "event_clusters": ("event_cluster_id", "events", "texts", "actors", "similarity", "label"),
    "patterns": ("pattern_id", "category", "status", "actors", "support", "lift", "label"),
    "anomalies": ("rank", "actor", "score", "severity", "signals"),
    "trends": (
        *("grain", "time", "metric", "dimension", "member"),
        *("value", "baseline", "z", "severity"),
    ),
}
"""Those that a table shows where none are named; of others all. `--all` shows all of each."""
LIST, TEXT = 60, 110
"""Characters of a list and of a text that a row shows; `--all` shows them whole."""


@click.command()
@click.argument("table", required=False)
@click.option(
    "--where",
    multiple=True,
    help="Condition, such as severity:eq:critical or score:ge:0.3; may be repeated.",
)
@click.option(
    "--columns",
    help="Columns to show, parted by commas; default: those to read first, of digest the "
    "paragraph.",
)
@click.option("--sort", help="Column to sort by; with a - before it the other way round.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=SHOWN,
    show_default=True,
    help="Rows to show, at most.",
)
@click.option("--all", "whole", is_flag=True, help="Show all columns, and long cells whole.")
@as_of_option
@click.pass_obj
def knowledge(
    settings: Settings,
    table: str | None,
    where: tuple[str, ...],
    columns: str | None,
    sort: str | None,
    limit: int,
    whole: bool,
    as_of: datetime | None,
) -> None:
    """Show a knowledge table of the window, or which there are."""
    from stupid_dagster.project import Project
    from stupid_dagster.query import SnapshotReader
    from stupid_dagster.query.knowledge import KNOWLEDGE_TABLES
    from stupid_dagster.tables import TABLES

    project = Project(settings)
    snapshot = snapshot_as_of(project.lake, as_of)
    if table is None:
        tables = [t for t in KNOWLEDGE_TABLES if snapshot.manifest.of(t)]
        rows = [(t, snapshot.window(t).rows, TABLES[t].description) for t in tables]
        show_table("Knowledge tables", ["table", "rows", "what"], rows)
        return
    with SnapshotReader(project, snapshot) as reader:
        first = None if whole else FIRST_COLUMNS.get(table)
        wanted = columns.split(",") if columns else first
        page = reader.knowledge(table, filters=where, sort=sort, limit=limit, columns=wanted)
        held = reader.knowledge_schema(table)
    found = page.rows
    if table == "digest" and not (columns or whole):
        for row in found.iter_rows(named=True):
            console.print(f"{escape(row['text'])}\n[dim]written by: {escape(row['provenance'])}[/]")
        return
    rows = [[shown_value(value, whole) for value in row] for row in found.iter_rows()]
    show_table(TABLES[table].description, found.columns, rows)
    total = "" if page.total is None else f" of {page.total:,}"
    others = [name for name in held if name not in found.columns]
    more = f"; more columns (--columns, --all): {', '.join(others)}" if first and others else ""
    console.print(f"[dim]{found.height:,}{total} rows{escape(more)}[/]")


@click.command()
@click.argument("source")
@click.argument("target")
@click.option("--weighted", is_flag=True, help="Prefer strong links: an edge is 1 / weight long.")
@click.option("--edge", "edges", multiple=True, help="Only along edges of this type.")
@as_of_option
@click.pass_obj
def path(
    settings: Settings,
    source: str,
    target: str,
    weighted: bool,
    edges: tuple[str, ...],
    as_of: datetime | None,
) -> None:
    """Show the shortest path between two entities of the window."""
    import polars as pl

    from stupid_dagster.project import Project
    from stupid_dagster.query import SnapshotReader

    project = Project(settings)
    with SnapshotReader(project, snapshot_as_of(project.lake, as_of)) as reader:
        found = reader.path(source, target, weighted=weighted, edge_types=edges or None)
        told = {} if found is None else _named(project.model, reader, found.path.entities)
    if found is None:
        console.print(f"no path leads from {source} to {target}")
        return
    hops = len(found.path.entities) - 1
    length = "1 hop" if hops == 1 else f"{hops} hops"
    if weighted:
        length += f", {found.path.distance:.4g} long (the sum of 1 / weight)"
    show_table(
        f"{source} to {target}: {length}",
        found.edges.columns,
        found.edges.with_columns(pl.col("near", "far").replace(told)).iter_rows(),
    )
    if not found.path.exact:
        console.print("[dim]the search was ended: a shorter path may exist[/]")


def _named(model: EventModel, reader: SnapshotReader, entity_ids: Sequence[str]) -> dict[str, str]:
    """Return entity ids with their names behind them, of those that have one."""
    from stupid_dagster.compute.names import own_name

    nodes = map(reader.node, entity_ids)
    names = {node["entity_id"]: own_name(model, node["type"], node["properties"]) for node in nodes}
    return {entity_id: f"{entity_id} ({name})" for entity_id, name in names.items() if name}


def shown_value(value: Any, whole: bool) -> Any:
    """Return a value as it's shown in a table, cut to `LIST` or `TEXT` unless `whole`."""
    if isinstance(value, datetime):  # in UTC
        return f"{value:%Y-%m-%d %H:%M}"
    most = TEXT
    if isinstance(value, list):
        value, most = ", ".join(_part(item) for item in value), LIST
    if isinstance(value, str) and len(value) > most and not whole:
        return value[: most - 3] + "..."
    return value


def _part(item: Any) -> str:
    if isinstance(item, dict):
        return " ".join(_part(part) for part in item.values() if part is not None)
    return f"{item:.3g}" if isinstance(item, float) else str(item)
