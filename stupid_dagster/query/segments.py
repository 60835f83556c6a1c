"""What the window consists of: each day's documents by event type."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from stupid_dagster.query.documents import row_count
from stupid_dagster.stores.documents import file_of
from stupid_dagster.stores.snapshots import Snapshot

SEGMENT_SCHEMA = pl.Schema(
    {
        "day": pl.Date,
        "event_type": pl.String,
        "documents": pl.Int64,
        "bytes": pl.Int64,
        "version": pl.String,
        "day_rejects": pl.Int64,
    }
)


def segments(snapshot: Snapshot, event_types: Iterable[str]) -> pl.DataFrame:
    """Return a row for each day and event type that has documents; columns `SEGMENT_SCHEMA`.

    `version` is that of the day's documents, `day_rejects` counts the day's rejected rows and
    columns, of all event types. Nothing is read but the manifest.
    """
    rows = []
    for day, version in sorted(snapshot.manifest.of("documents").items()):
        rejects = snapshot.day("rejects", day)
        for event_type in event_types:
            file = file_of(snapshot.lake, version, event_type)
            if file is not None:
                rows.append(
                    {
                        "day": day,
                        "event_type": event_type,
                        "documents": row_count(version, event_type),
                        "bytes": version.files[file.name].size,
                        "version": version.name,
                        "day_rejects": rejects.rows if rejects else 0,
                    }
                )
    schema = {**SEGMENT_SCHEMA, "day": pl.String}
    return pl.DataFrame(rows, schema=schema).with_columns(pl.col("day").str.to_date())
