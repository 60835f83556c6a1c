"""What the window's actors do one after the other, and what goes together."""

import dagster as dg

from assets.partitions import WINDOW_BACKFILL
from assets.tables import RETRIES, materialise, table_specs
from stupid_dagster.automation.needs import op_tags
from stupid_dagster.automation.resources import ProjectResource
from stupid_dagster.stages.patterns import make_cooccurrence, make_patterns


@dg.multi_asset(
    specs=table_specs("patterns", group="patterns", deps=["sequences"], kinds=["numba"]),
    backfill_policy=WINDOW_BACKFILL,
    retry_policy=RETRIES,
    op_tags=op_tags("patterns"),
)
def patterns(context: dg.AssetExecutionContext, project: ProjectResource):
    """Find frequent sequences by PrefixSpan."""
    yield from materialise(context, project, make_patterns)


@dg.multi_asset(
    specs=table_specs(
        "cooccurrence", group="patterns", deps=["graph_nodes", "graph_edges"], kinds=["scipy"]
    ),
    backfill_policy=WINDOW_BACKFILL,
    retry_policy=RETRIES,
    op_tags=op_tags("cooccurrence"),
)
def cooccurrence(context: dg.AssetExecutionContext, project: ProjectResource):
    """Find entities that the same actors are linked to more often than by chance."""
    yield from materialise(context, project, make_cooccurrence)
