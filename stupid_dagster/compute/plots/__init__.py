"""Small pictures for the metadata of assets, as PNG."""

from stupid_dagster.compute.plots.clusters import cluster_plot
from stupid_dagster.compute.plots.event_clusters import event_cluster_plot
from stupid_dagster.compute.plots.trends import trend_plot

__all__ = ["cluster_plot", "event_cluster_plot", "trend_plot"]
