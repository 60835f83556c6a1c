"""A day's documents to the entities they speak of and the edges between them."""

import dagster as dg

from assets.partitions import DAY_BACKFILL
from assets.tables import materialise, table_specs
from stupid_dagster.automation.resources import ProjectResource
from stupid_dagster.stages.day import make_connections


@dg.multi_asset(
    specs=table_specs("entities", "edges", group="connect", deps=["documents"], kinds=["polars"]),
    backfill_policy=DAY_BACKFILL,
)
def connections(context: dg.AssetExecutionContext, project: ProjectResource):
    """Find entities and typed, weighted, dated edges."""
    yield from materialise(context, project.load(), make_connections)
