"""A day's distinct texts to vectors; a window's to the search index."""

import dagster as dg

from assets.partitions import DAY_BACKFILL, WINDOW_BACKFILL
from assets.tables import RETRIES, materialise, table_specs
from stupid_dagster.automation.needs import op_tags
from stupid_dagster.automation.resources import ProjectResource
from stupid_dagster.stages.day import make_vectors
from stupid_dagster.stages.search_index import make_search_index


@dg.multi_asset(
    specs=table_specs("vectors", group="embed", deps=["texts"], kinds=["onnx"]),
    backfill_policy=DAY_BACKFILL,
    retry_policy=RETRIES,
    op_tags=op_tags("vectors"),
)
def vectors(context: dg.AssetExecutionContext, project: ProjectResource):
    """Embed each distinct text of the day once."""
    yield from materialise(context, project, make_vectors)


@dg.multi_asset(
    specs=table_specs("search_index", group="search", deps=["texts", "vectors"]),
    backfill_policy=WINDOW_BACKFILL,
    retry_policy=RETRIES,
    op_tags=op_tags("search_index"),
)
def search_index(context: dg.AssetExecutionContext, project: ProjectResource):
    """Index the window's distinct texts for search by meaning and by words."""
    yield from materialise(context, project, make_search_index)
