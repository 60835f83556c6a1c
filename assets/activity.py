"""A day's documents to what each actor did, its symbols in order, and the hourly metrics."""

import dagster as dg

from assets.partitions import DAY_BACKFILL
from assets.tables import materialise, table_specs
from stupid_dagster.automation.resources import ProjectResource
from stupid_dagster.stages.day import make_activity

DAY_ACTIVITY = ("activity", "sequences", "metrics")


@dg.multi_asset(
    specs=table_specs(*DAY_ACTIVITY, group="behaviour", deps=["documents"], kinds=["polars"]),
    backfill_policy=DAY_BACKFILL,
)
def activity(context: dg.AssetExecutionContext, project: ProjectResource):
    """Count, order and time the day's events by actor and by hour."""
    yield from materialise(context, project.load(), make_activity)
