"""Check a day's documents against their schema, by pandera."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from stupid_dagster.tables import TABLES


def schema_failures(documents: Mapping[str, pl.DataFrame]) -> list[str]:
    """Return a sentence per broken rule of the documents of each event type; none is good."""
    import pandera.polars as pa
    from pandera.errors import SchemaErrors

    optional = {"actor"}
    failures = []
    for event_type, frame in documents.items():
        checks = {"event_type": pa.Check.isin([event_type])}
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
