"""The query API: the kept snapshots over HTTP, read-only."""

from stupid_dagster.api.app import create_app

__all__ = ["create_app"]
