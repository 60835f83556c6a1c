"""The command line: `stupid-dagster`."""

from stupid_dagster.cli.main import main

__all__ = ["main"]
