"""The window's actors as segments of like behaviour, and its last day's events as clusters."""

import dagster as dg

from assets.partitions import WINDOW_BACKFILL
from assets.tables import RETRIES, materialise, table_specs
from stupid_dagster.automation.needs import op_tags
from stupid_dagster.automation.resources import ProjectResource
from stupid_dagster.stages.clusters import make_clusters, make_features
from stupid_dagster.stages.event_clusters import make_event_clusters

CLUSTERS = (
    *("clusters", "cluster_members", "cluster_choice", "cluster_entities"),
    *("cluster_changes", "cluster_moves"),
)
EVENT_CLUSTERS = ("event_clusters", "text_clusters", "actor_noise", "bot_candidates")


@dg.multi_asset(
    specs=table_specs("features", group="clusters", deps=["activity"], kinds=["polars"]),
    backfill_policy=WINDOW_BACKFILL,
    retry_policy=RETRIES,
    op_tags=op_tags("features"),
)
def features(context: dg.AssetExecutionContext, project: ProjectResource):
    """Describe each actor's behaviour in the event model's features."""
    yield from materialise(context, project, make_features)


@dg.multi_asset(
    specs=table_specs(
        *CLUSTERS, group="clusters", deps=["features", "graph_edges"], kinds=["scikitlearn"]
    ),
    backfill_policy=WINDOW_BACKFILL,
    retry_policy=RETRIES,
    op_tags=op_tags("clusters"),
)
def clusters(context: dg.AssetExecutionContext, project: ProjectResource):
    """Segment the actors by k-means, and follow the segments from window to window."""
    yield from materialise(context, project, make_clusters)


@dg.multi_asset(
    specs=table_specs(
        *EVENT_CLUSTERS,
        group="clusters",
        deps=["texts", "vectors", "actor_texts", "sequences"],
        kinds=["numpy"],
    ),
    backfill_policy=WINDOW_BACKFILL,
    retry_policy=RETRIES,
    op_tags=op_tags("event_clusters"),
)
def event_clusters(context: dg.AssetExecutionContext, project: ProjectResource):
    """Cluster the last day's distinct texts by DBSCAN; name noise and bot candidates."""
    yield from materialise(context, project, make_event_clusters)
