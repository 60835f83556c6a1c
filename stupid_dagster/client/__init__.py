"""A typed Python client of the query API: `Client`."""

from stupid_dagster.client.answers import Answer, Event, Subgraph, Table, TruncatedWarning
from stupid_dagster.client.client import Client
from stupid_dagster.errors import ApiError

__all__ = ["Answer", "ApiError", "Client", "Event", "Subgraph", "Table", "TruncatedWarning"]
