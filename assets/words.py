"""Words for what was computed: labels, insights and the digest."""

import dagster as dg

from assets.partitions import WINDOW_BACKFILL
from assets.tables import RETRIES, materialise, table_specs
from stupid_dagster.automation.needs import op_tags
from stupid_dagster.automation.resources import ProjectResource
from stupid_dagster.stages.digest import make_digest
from stupid_dagster.stages.labels import make_labels
from stupid_dagster.stages.words import make_insights


@dg.multi_asset(
    specs=table_specs(
        "labels",
        group="words",
        deps=[
            *("features", "clusters", "cluster_members", "cluster_entities"),
            *("communities", "community_members", "graph_nodes"),
            *("event_clusters", "text_clusters", "texts", "patterns"),
        ],
    ),
    backfill_policy=WINDOW_BACKFILL,
    retry_policy=RETRIES,
    op_tags=op_tags("labels"),
)
def labels(context: dg.AssetExecutionContext, project: ProjectResource):
    """Say what sets each segment, community, event cluster and pattern apart."""
    yield from materialise(context, project, make_labels)


@dg.multi_asset(
    specs=table_specs(
        "insights",
        group="words",
        deps=[
            *("trends", "clusters", "cluster_changes", "cluster_moves"),
            *("communities", "community_changes", "labels", "anomalies", "anomaly_causes"),
            *("bot_candidates", "patterns", "graph_nodes", "activity"),
        ],
    ),
    backfill_policy=WINDOW_BACKFILL,
    retry_policy=RETRIES,
    op_tags=op_tags("insights"),
)
def insights(context: dg.AssetExecutionContext, project: ProjectResource):
    """Rank what is worth knowing about the window's last days."""
    yield from materialise(context, project, make_insights)


@dg.multi_asset(
    specs=table_specs("digest", group="words", deps=["insights", "labels", "graph_nodes"]),
    backfill_policy=WINDOW_BACKFILL,
    retry_policy=RETRIES,
    op_tags=op_tags("digest"),
)
def digest(context: dg.AssetExecutionContext, project: ProjectResource):
    """Tell the insights in one paragraph."""
    yield from materialise(context, project, make_digest)
