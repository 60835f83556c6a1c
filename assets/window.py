"""What a window is made of."""

import dagster as dg

from assets.partitions import WINDOW_BACKFILL
from assets.tables import RETRIES, materialise, table_specs
from stupid_dagster.automation.needs import op_tags
from stupid_dagster.automation.resources import ProjectResource
from stupid_dagster.stages.window import make_window_days
from stupid_dagster.tables import DAY_TABLES


@dg.multi_asset(
    specs=table_specs("window_days", group="window", deps=DAY_TABLES),
    backfill_policy=WINDOW_BACKFILL,
    retry_policy=RETRIES,
    op_tags=op_tags("window_days"),
)
def window_days(context: dg.AssetExecutionContext, project: ProjectResource):
    """Pin the days' tables as they are now: all of the window is made of these."""
    yield from materialise(context, project, make_window_days)
