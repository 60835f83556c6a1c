"""The table that outlives days: what was found of evicted ones."""

from __future__ import annotations

import polars as pl

from stupid_dagster.tables.schema import TIME, Column, Table

AUDIT = Table(
    "audit",
    "all",
    "What each store still held of evicted days, audit by audit; the newest 200 audits.",
    (
        Column("audited", TIME, "Time of the audit."),
        Column("horizon", pl.Date, "Oldest day that is kept; those before it are evicted."),
        Column("store", pl.String, "lake, snapshots, lancedb, kuzu or dagster."),
        Column("table", pl.String, "Table (of the lake or in that store), or asset."),
        Column(
            "scanned", pl.UInt64, "Rows, manifests or records that were looked at.", unit="rows"
        ),
        Column(
            "references",
            pl.UInt64,
            "Values that name an evicted day or are computed of one.",
            unit="values",
        ),
        Column("orphans", pl.UInt64, "Ids and rows that no kept day has.", unit="ids and rows"),
        Column(
            "pending",
            pl.UInt64,
            "Size of dropped versions that wait for their grace.",
            unit="bytes",
        ),
        Column("bytes", pl.UInt64, "Size of all its files on the disk.", unit="bytes"),
        Column("seconds", pl.Float64, "How long looking took.", unit="seconds"),
        Column("example", pl.String, "Where one of them is; null where there is none."),
    ),
    outlives=True,
    algorithm=(
        "All that is live, kept or used is read and compared with the kept days: docs/eviction.md."
    ),
)
