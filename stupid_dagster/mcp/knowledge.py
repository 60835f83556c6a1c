"""Tools for what was learnt from the window's events."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from stupid_dagster.mcp.answers import DEFAULT_ROWS, Limit, RowsResult, rows_result
from stupid_dagster.mcp.tools import SnapshotTools
from stupid_dagster.query import Filter

Sort = Annotated[
    str | None, Field(description="Column to sort by; `-column` turns the order round.")
]
Offset = Annotated[int, Field(ge=0, description="Rows to leave out first.")]


class KnowledgeTools(SnapshotTools):
    """Knowledge tables, insights, contrasts."""

    def knowledge(
        self,
        table: Annotated[
            str, Field(description="Knowledge table, such as clusters, trends, anomalies.")
        ],
        filters: Annotated[
            list[Filter] | None, Field(description="Conditions on columns; all must hold.")
        ] = None,
        sort: Sort = None,
        limit: Limit = DEFAULT_ROWS,
        offset: Offset = 0,
    ) -> RowsResult:
        """Read a knowledge table: segments, communities, ranks, patterns, trends, anomalies..."""
        with self._reading() as reader:
            page = reader.knowledge(
                table, filters=filters or (), sort=sort, limit=limit, offset=offset
            )
            hint = f"give offset={offset + limit} for the next ones, or filter"
            return rows_result(reader, page, hint, table=table)

    def insights(
        self,
        severity: Annotated[
            list[Literal["info", "notable", "significant", "critical"]] | None,
            Field(description="Only these severities."),
        ] = None,
        status: Annotated[
            list[Literal["new", "ongoing", "resolved"]] | None,
            Field(description="Only these, against the window before."),
        ] = None,
        limit: Limit = 20,
    ) -> RowsResult:
        """List what is worth knowing of the window's last days, most important first."""
        conditions = {"severity": severity, "status": status}
        filters = [
            Filter(field=field, op="in", value=list(values))
            for field, values in conditions.items()
            if values
        ]
        with self._reading() as reader:
            page = reader.knowledge("insights", filters=filters, sort="rank", limit=limit)
            return rows_result(reader, page, "most important first; raise limit for more")

    def contrast(
        self,
        actors: Annotated[
            list[str], Field(min_length=1, max_length=1000, description="Entity ids of actors.")
        ],
        limit: Limit = DEFAULT_ROWS,
    ) -> RowsResult:
        """Say what sets some actors apart from all others: features and links, strongest first."""
        with self._reading() as reader:
            page = reader.contrast(actors, limit=limit)
            return rows_result(reader, page, "strongest first; raise limit for more")
