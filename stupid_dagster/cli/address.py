"""The options `--host` and `--port` of what serves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from stupid_dagster.settings import Settings, load_settings


def address_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `host` and `port` to a command; unset they are None."""
    port = click.option("--port", type=int, help="Port; default: the setting api_port.")
    host = click.option("--host", help="Address to bind to; default: the setting api_host.")
    return host(port(command))


def addressed(settings: Settings, host: str | None, port: int | None) -> Settings:
    """Return the settings with the address that the options give."""
    return load_settings(settings.root, overrides={"api_host": host, "api_port": port})
