"""`demo`: a month of real flights through the whole pipeline, and what it found."""

from __future__ import annotations

import time
from pathlib import Path

import click

from stupid_dagster.cli.console import console
from stupid_dagster.errors import SettingsError
from stupid_dagster.samples.flights import write_flights
from stupid_dagster.settings import Settings

QUESTION = "cancelled flight from Newark in the evening"


@click.command()
@click.pass_obj
def demo(settings: Settings) -> None:
    """Make the sample's days and window, and print what they show."""
    from stupid_dagster.cli.findings import show_findings
    from stupid_dagster.cli.run import run_days_and_window
    from stupid_dagster.cli.search import show_search
    from stupid_dagster.project import Project, days_between

    first, last = settings.partitions_start, settings.partitions_end
    if settings.event_model != "flights" or last is None or "://" in settings.landing:
        raise SettingsError(
            "the demo needs event_model = 'flights', a partitions_end, and a landing folder of "
            "this machine; run it in a fresh clone, or restore stupid.toml"
        )
    started = time.perf_counter()
    project = Project(settings)
    landing = Path(settings.landing_location)
    rows = write_flights(landing, first, last)
    console.print(f"sample: {sum(rows.values()):,} events of {first} to {last} in {landing}\n")
    run_days_and_window(project, days_between(first, last), last)
    show_findings(project, ranked=["Airport"])
    show_search(project, QUESTION, limit=3)
    console.print(f"done in {time.perf_counter() - started:.0f} seconds; next:")
    console.print("  make dev      the Dagster UI, at http://127.0.0.1:3000")
    console.print("  make serve    the query API, at http://127.0.0.1:8000/docs")
    console.print("  .venv/bin/stupid-dagster search 'storm at JFK'")
