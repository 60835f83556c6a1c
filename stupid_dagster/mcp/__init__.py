"""The kept snapshots as tools for agents: an MCP server (Model Context Protocol)."""

from stupid_dagster.mcp.server import build_server, serve_http, serve_stdio

__all__ = ["build_server", "serve_http", "serve_stdio"]
