"""`serve`, `search` and `dev`: the kept snapshots, and Dagster's UI."""

from __future__ import annotations

import os
import sys
from datetime import datetime
from pathlib import Path

import click

from stupid_dagster.cli.address import address_options, addressed
from stupid_dagster.cli.as_of import as_of_option
from stupid_dagster.settings import Settings


@click.command()
@address_options
@click.pass_obj
def serve(settings: Settings, host: str | None, port: int | None) -> None:
    """Serve the query API; the documentation is at /docs."""
    from stupid_dagster.api.server import serve as serve_api
    from stupid_dagster.project import Project

    loaded = addressed(settings, host, port)
    serve_api(Project(loaded), lambda url: click.echo(f"query API: {url}/docs"))


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
    from stupid_dagster.cli.findings import show_search
    from stupid_dagster.project import Project

    show_search(
        Project(settings), text, limit=limit, event_types=event_types, mode=mode, as_of=as_of
    )


@click.command()
@click.option("--port", type=int, default=3000, show_default=True, help="Port of the UI.")
@click.pass_obj
def dev(settings: Settings, port: int) -> None:
    """Start Dagster's UI and daemon for this project."""
    from stupid_dagster.automation.runs import open_instance
    from stupid_dagster.project import Project

    with open_instance(Project(settings)) as instance:
        home = instance.root_directory
    workspace = Path(home) / "workspace.yaml"
    # The location's name is that of the repository's own workspace.yaml: sensors go by it.
    workspace.write_text(
        "load_from:\n"
        "  - python_module:\n"
        "      module_name: stupid_dagster.definitions\n"
        "      location_name: stupid_dagster\n",
        encoding="utf-8",
    )
    command = ["-m", "dagster", "dev", "-w", str(workspace), "-h", "127.0.0.1", "-p", str(port)]
    os.chdir(settings.root)
    os.execv(sys.executable, [sys.executable, *command])
