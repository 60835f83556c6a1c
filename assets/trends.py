"""What changed: metrics against the days before, actors against the others and themselves."""

import dagster as dg

from assets.partitions import WINDOW_BACKFILL
from assets.tables import RETRIES, materialise, table_specs
from stupid_dagster.automation.needs import op_tags
from stupid_dagster.automation.resources import ProjectResource
from stupid_dagster.stages.anomalies import make_anomalies
from stupid_dagster.stages.trends import make_history, make_trends


@dg.multi_asset(
    specs=table_specs(
        "trends",
        group="changes",
        deps=["metrics", "activity", "clusters", "communities"],
        kinds=["polars"],
    ),
    backfill_policy=WINDOW_BACKFILL,
    retry_policy=RETRIES,
    op_tags=op_tags("trends"),
)
def trends(context: dg.AssetExecutionContext, project: ProjectResource):
    """Judge each hour's and day's metrics by a robust baseline, and find what drives a change."""
    yield from materialise(context, project, make_trends)


@dg.multi_asset(
    specs=table_specs(
        *("anomalies", "anomaly_causes"),
        group="changes",
        deps=[
            *("activity", "edges", "actor_texts", "texts"),
            *("features", "graph_edges", "actor_noise", "community_members"),
        ],
        kinds=["polars"],
    ),
    backfill_policy=WINDOW_BACKFILL,
    retry_policy=RETRIES,
    op_tags=op_tags("anomalies"),
)
def anomalies(context: dg.AssetExecutionContext, project: ProjectResource):
    """Score the last day's actors by four signals, and find what the odd ones share."""
    yield from materialise(context, project, make_anomalies)


@dg.multi_asset(
    specs=table_specs(
        "history",
        group="changes",
        deps=[
            *("metrics", "activity", "clusters", "communities", "graph_statistics"),
            *("trends", "anomalies", "patterns", "event_clusters"),
        ],
        kinds=["polars"],
    ),
    backfill_policy=WINDOW_BACKFILL,
    retry_policy=RETRIES,
    op_tags=op_tags("history"),
)
def history(context: dg.AssetExecutionContext, project: ProjectResource):
    """Keep the counts that outlive their days."""
    yield from materialise(context, project, make_history)
