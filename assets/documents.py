"""Landing files to a day's documents, with what had to be set aside."""

import dagster as dg

from assets.partitions import DAY_BACKFILL, DAYS
from assets.tables import RETRIES, materialise, table_specs
from stupid_dagster.automation.needs import op_tags
from stupid_dagster.automation.resources import ProjectResource
from stupid_dagster.stages.day import make_documents

FEW_REJECTS = dg.AssetCheckSpec(
    "few_rejects",
    asset="documents",
    description="Few enough rows and files had to be rejected (setting `reject_share`).",
    partitions_def=DAYS,
)
SCHEMA = dg.AssetCheckSpec(
    "schema",
    asset="documents",
    description="Documents are unique, typed, of the day, and of the event model's types.",
    partitions_def=DAYS,
)
HAS_EVENTS = dg.AssetCheckSpec(
    "has_events",
    asset="documents",
    description="The day has documents: a source that has fallen silent is told.",
    partitions_def=DAYS,
)
CHECKS = (FEW_REJECTS, SCHEMA, HAS_EVENTS)


@dg.multi_asset(
    specs=table_specs("documents", "rejects", group="ingest", kinds=["polars"]),
    check_specs=CHECKS,
    backfill_policy=DAY_BACKFILL,
    retry_policy=RETRIES,
    op_tags=op_tags("documents"),
)
def documents(context: dg.AssetExecutionContext, project: ProjectResource):
    """Route landing rows to their day, clean and type them, and set aside what can't be used."""
    yield from materialise(context, project, make_documents, CHECKS)
