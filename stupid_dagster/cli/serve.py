"""`serve` and `dev`: the query API, and Dagster's UI."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from stupid_dagster.cli.address import address_options, addressed
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
