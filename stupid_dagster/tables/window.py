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
            Column("day", pl.String, "Day of the window.", "day"),
            Column("table", pl.String, "Table of the day."),
            Column("version", pl.String, "Name of that table's version, a folder of the lake."),
            Column("rows", pl.UInt64, "Rows of that version.", unit="rows"),
            Column("bytes", pl.UInt64, "Size of its files.", unit="bytes"),
        ),
        algorithm=(
            "The days of the last `window_days` that are complete, as they are when the window is "
            "begun."
        ),
    ),
    Table(
        "search_index",
        "window",
        "Index of the window's distinct texts: vector, words, count and days of each.",
        algorithm=(
            "LanceDB: exact for few texts, inverted lists (IVF_FLAT; Jégou et al. 2011) for many; "
            "full text by BM25 (Robertson et al. 1994)."
        ),
    ),
    *GRAPH,
    *BEHAVIOUR,
    *FINDINGS,
    Table(
        "catalog",
        "window",
        "What the snapshot holds: event types and fields, entity types, knowledge tables.",
        algorithm=(
            "Put together of the days' `field_statistics`, nodes, edges and the versions of all "
            "tables."
        ),
    ),
)
