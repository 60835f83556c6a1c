"""The window's property graph, and what its shape tells."""

import dagster as dg

from assets.partitions import DAYS, WINDOW_BACKFILL
from assets.tables import RETRIES, materialise, table_specs
from stupid_dagster.automation.needs import op_tags
from stupid_dagster.automation.resources import ProjectResource
from stupid_dagster.stages.graph import make_graph, make_graph_database, make_graph_knowledge

GRAPH = ("graph_nodes", "graph_edges")
KNOWLEDGE = (
    *("graph_statistics", "degrees", "pagerank"),
    *("communities", "community_members", "community_methods"),
    *("community_changes", "community_moves"),
)
PAGERANK_CONVERGED = dg.AssetCheckSpec(
    "pagerank_converged",
    asset="pagerank",
    description="PageRank fell below its tolerance within 100 rounds.",
    partitions_def=DAYS,
)


@dg.multi_asset(
    specs=table_specs(*GRAPH, group="graph", deps=["entities", "edges"], kinds=["polars"]),
    backfill_policy=WINDOW_BACKFILL,
    retry_policy=RETRIES,
    op_tags=op_tags("graph"),
)
def graph(context: dg.AssetExecutionContext, project: ProjectResource):
    """Add up the days' entities and edges."""
    yield from materialise(context, project, make_graph)


@dg.multi_asset(
    specs=table_specs("graph_database", group="graph", deps=GRAPH),
    backfill_policy=WINDOW_BACKFILL,
    retry_policy=RETRIES,
    op_tags=op_tags("graph_database"),
)
def graph_database(context: dg.AssetExecutionContext, project: ProjectResource):
    """Build a new graph database file of the window."""
    yield from materialise(context, project, make_graph_database)


@dg.multi_asset(
    specs=table_specs(*KNOWLEDGE, group="graph", deps=GRAPH, kinds=["scipy", "networkit"]),
    check_specs=[PAGERANK_CONVERGED],
    backfill_policy=WINDOW_BACKFILL,
    retry_policy=RETRIES,
    op_tags=op_tags("graph_knowledge"),
)
def graph_knowledge(context: dg.AssetExecutionContext, project: ProjectResource):
    """Rank nodes, find communities by three algorithms, and measure the graph."""
    yield from materialise(context, project, make_graph_knowledge, [PAGERANK_CONVERGED])
