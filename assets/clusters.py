"""The window's actors as segments of like behaviour."""

import dagster as dg

from assets.partitions import WINDOW_BACKFILL
from assets.tables import materialise, table_specs
from stupid_dagster.automation.resources import ProjectResource
from stupid_dagster.stages.clusters import make_clusters, make_features

CLUSTERS = ("clusters", "cluster_members", "cluster_choice")


@dg.multi_asset(
    specs=table_specs("features", group="behaviour", deps=["activity"], kinds=["polars"]),
    backfill_policy=WINDOW_BACKFILL,
)
def features(context: dg.AssetExecutionContext, project: ProjectResource):
    """Describe each actor's behaviour in the event model's features."""
    yield from materialise(context, project.load(), make_features)


@dg.multi_asset(
    specs=table_specs(*CLUSTERS, group="behaviour", deps=["features"], kinds=["scikitlearn"]),
    backfill_policy=WINDOW_BACKFILL,
)
def clusters(context: dg.AssetExecutionContext, project: ProjectResource):
    """Segment the actors by k-means; the number of segments is chosen by silhouette."""
    yield from materialise(context, project.load(), make_clusters)
