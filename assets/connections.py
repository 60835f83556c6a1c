"""A day's documents to all that they say: entities, edges, texts, actors, metrics."""

import dagster as dg

from assets.partitions import DAY_BACKFILL
from assets.tables import RETRIES, materialise, table_specs
from stupid_dagster.automation.needs import op_tags
from stupid_dagster.automation.resources import ProjectResource
from stupid_dagster.stages.day import make_connections

DAY_ACTIVITY = ("activity", "sequences", "metrics")


@dg.multi_asset(
    specs=[
        *table_specs("entities", "edges", group="connect", deps=["documents"], kinds=["polars"]),
        *table_specs("texts", "actor_texts", group="embed", deps=["documents"], kinds=["polars"]),
        *table_specs(*DAY_ACTIVITY, group="behaviour", deps=["documents"], kinds=["polars"]),
        *table_specs("field_statistics", group="ingest", deps=["documents"], kinds=["polars"]),
    ],
    backfill_policy=DAY_BACKFILL,
    retry_policy=RETRIES,
    op_tags=op_tags("connections"),
)
def connections(context: dg.AssetExecutionContext, project: ProjectResource):
    """Read the day's documents once, and write what each actor, entity and hour has of them."""
    yield from materialise(context, project, make_connections)
