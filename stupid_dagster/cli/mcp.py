"""`mcp`: the kept snapshots as tools for agents."""

from __future__ import annotations

import click

from stupid_dagster.cli.address import address_options, addressed
from stupid_dagster.settings import Settings


@click.command()
@click.option("--http", is_flag=True, help="Serve streamable HTTP under /mcp instead of stdio.")
@address_options
@click.pass_obj
def mcp(settings: Settings, http: bool, host: str | None, port: int | None) -> None:
    """Offer the snapshot to agents as tools (Model Context Protocol)."""
    from stupid_dagster.mcp import serve_http, serve_stdio
    from stupid_dagster.project import Project

    if not http:
        if host is not None or port is not None:
            raise click.UsageError("--host and --port are of --http: add it, or leave them out")
        # Nothing may be printed: standard output is the protocol's.
        serve_stdio(Project(settings))
        return
    loaded = addressed(settings, host, port)
    serve_http(Project(loaded), lambda url: click.echo(f"MCP: {url}", err=True))
