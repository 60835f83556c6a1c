"""The window's metrics against the days before them."""

import dagster as dg

from assets.partitions import WINDOW_BACKFILL
from assets.tables import materialise, table_specs
from stupid_dagster.automation.resources import ProjectResource
from stupid_dagster.stages.trends import make_trends


@dg.multi_asset(
    specs=table_specs("trends", group="behaviour", deps=["metrics"], kinds=["polars"]),
    backfill_policy=WINDOW_BACKFILL,
)
def trends(context: dg.AssetExecutionContext, project: ProjectResource):
    """Judge each day's metrics against a robust baseline, and find what drives the change."""
    yield from materialise(context, project.load(), make_trends)
