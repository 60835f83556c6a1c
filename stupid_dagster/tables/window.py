"""The tables of a window; a partition is named by the window's last day."""

from __future__ import annotations

from stupid_dagster.tables.schema import Table
from stupid_dagster.tables.window_behaviour import BEHAVIOUR
from stupid_dagster.tables.window_findings import FINDINGS
from stupid_dagster.tables.window_graph import GRAPH

WINDOW = (
    Table("search_index", "window", "LanceDB index of the window's distinct texts."),
    *GRAPH,
    *BEHAVIOUR,
    *FINDINGS,
    Table(
        "catalog",
        "window",
        "What the snapshot holds: event types and fields, entity types, knowledge tables.",
    ),
)
