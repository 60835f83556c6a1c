"""Check a day's documents against their schema, by pandera."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import polars as pl

from stupid_dagster.tables import TABLES


def schema_failures(documents: Mapping[str, pl.DataFrame], day: date, zone: ZoneInfo) -> list[str]:
    """Return a sentence per broken rule of the documents of each event type; none is good.

    Documents must have the table's columns and types, unique row numbers, their event type's
    name, and a time on the day in the zone.
    """
    import pandera.polars as pa
    from pandera.errors import SchemaErrors

    midnight = datetime.combine(day, time(), zone)
    next_midnight = datetime.combine(day + timedelta(days=1), time(), zone)
    on_the_day = pa.Check.in_range(
        midnight.astimezone(UTC), next_midnight.astimezone(UTC), include_max=False
    )
    optional = {"actor"}
    failures = []
    for event_type, frame in documents.items():
        checks = {"event_type": pa.Check.isin([event_type]), "timestamp": on_the_day}
        schema = pa.DataFrameSchema(
            {
                column.name: pa.Column(
                    column.dtype,
                    nullable=column.name in optional,
                    unique=column.name == "row",
                    checks=checks.get(column.name),
                )
                for column in TABLES["documents"].columns
            }
        )
        try:
            schema.validate(frame, lazy=True)
        except SchemaErrors as error:
            # Of a column that is missing, only the case has the name.
            column = pl.coalesce("column", "failure_case").alias("column")
            rows = error.failure_cases.select(column, "check").unique().sort("column", "check")
            failures += [f"{event_type}.{column}: {check}" for column, check in rows.iter_rows()]
    return failures
