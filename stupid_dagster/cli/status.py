"""`status`: what the project holds, and where its settings come from."""

from __future__ import annotations

from datetime import date
from functools import partial

import click

from stupid_dagster.cli.console import console, show_table
from stupid_dagster.cli.run import tell_odd_days
from stupid_dagster.cli.words import tell_words
from stupid_dagster.compute.words import counted
from stupid_dagster.settings import SETTINGS, Settings


@click.command()
@click.option("--settings", "show_settings", is_flag=True, help="Show each setting instead.")
@click.pass_obj
def status(settings: Settings, show_settings: bool) -> None:
    """Show the partitions of each table, and the published snapshot."""
    if show_settings:
        show_table(
            f"Settings of {settings.root}",
            ["setting", "value", "from", "meaning"],
            [
                (
                    name,
                    "(set)" if name == "api_key" and settings.api_key else getattr(settings, name),
                    settings.sources.get(name, "default"),
                    setting.metadata["help"],
                )
                for name, setting in SETTINGS.items()
            ],
        )
        return
    from stupid_dagster.project import Project
    from stupid_dagster.stores.snapshots import (
        kept_windows,
        open_snapshot,
        published_id,
        snapshot_ids,
    )

    project = Project(settings)
    lake = project.lake
    tables, rows = lake.tables(), []
    partitions = lake.each(lake.partitions, tables)
    for table, names in zip(tables, partitions, strict=True):
        versions = lake.each(partial(lake.live, table), names)
        rows.append(
            (
                table,
                len(versions),
                versions[0].partition,
                versions[-1].partition,
                sum(version.rows for version in versions),
                sum(version.bytes for version in versions),
            )
        )
    show_table(f"Lake {lake.url}", ["table", "partitions", "first", "last", "rows", "bytes"], rows)
    # What is served, and what is wrong with it, comes last: a terminal shows the end.
    if published_id(lake) is None:
        console.print("nothing is published yet: run `stupid-dagster run`")
        return
    manifest = open_snapshot(lake).manifest
    windows = [day for day in kept_windows(lake) if day != manifest.last_day]
    console.print(
        f"published: the window {manifest.first_day} to {manifest.last_day} "
        f"({counted(len(manifest.days), 'day')} that were made), snapshot {manifest.id}"
    )
    if windows:
        console.print(f"kept beside it, for --as-of: windows ending on {', '.join(windows)}")
    if replaced := len(snapshot_ids(lake)) - 1 - len(windows):
        console.print(
            f"on disk besides: {replaced} snapshot(s) that were replaced (settings kept_snapshots "
            "and garbage_minutes say how long they stay)"
        )
    tell_words(project, manifest.last_day)
    tell_odd_days(project, date.fromisoformat(manifest.last_day))
