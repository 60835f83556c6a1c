"""The tables of a window; a partition is named by the window's last day."""

from __future__ import annotations

import polars as pl

from stupid_dagster.tables.schema import Column, Table
from stupid_dagster.tables.window_behaviour import BEHAVIOUR
from stupid_dagster.tables.window_findings import FINDINGS
from stupid_dagster.tables.window_graph import GRAPH

WINDOW = (
    Table(
        "window_days",
        "window",
        "Exactly which versions of the days' tables the window is made of.",
        (
            Column("day", pl.String, "Day.", "day"),
            Column("table", pl.String, "Table of the day."),
            Column("version", pl.String, "Version of it."),
            Column("rows", pl.UInt64, "Its rows."),
            Column("bytes", pl.UInt64, "Its bytes on the disk."),
        ),
    ),
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
