"""`mcp`: the kept snapshots as tools for agents."""

from __future__ import annotations

import click

from stupid_dagster.settings import Settings, load_settings

DEFAULT_PORT = 8001


@click.command()
@click.option("--http", is_flag=True, help="Serve streamable HTTP under /mcp instead of stdio.")
@click.option("--host", help="Address to bind to with --http; default: the setting api_host.")
@click.option("--port", type=int, default=DEFAULT_PORT, show_default=True, help="Port of --http.")
@click.pass_obj
def mcp(settings: Settings, http: bool, host: str | None, port: int) -> None:
    """Offer the snapshot to agents as tools (Model Context Protocol)."""
    from stupid_dagster.mcp import serve_http, serve_stdio
    from stupid_dagster.project import Project

    if not http:
        # Nothing may be printed: standard output is the protocol's.
        serve_stdio(Project(settings))
        return
    loaded = load_settings(settings.root, overrides={"api_host": host, "api_port": port})
    click.echo(f"MCP: http://{loaded.api_host}:{loaded.api_port}/mcp", err=True)
    serve_http(Project(loaded))
