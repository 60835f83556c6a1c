"""Landing files to a day's documents, with what had to be set aside."""

import dagster as dg

from assets.checks import check_days
from assets.partitions import DAY_BACKFILL, DAYS
from assets.tables import report, table_specs
from stupid_dagster.automation.resources import ProjectResource
from stupid_dagster.stages.day import make_documents

REJECT_SHARE = dg.AssetCheckSpec(
    "reject_share",
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


@dg.multi_asset(
    specs=table_specs("documents", "rejects", group="ingest", kinds=["polars"]),
    check_specs=[REJECT_SHARE, SCHEMA],
    backfill_policy=DAY_BACKFILL,
)
def documents(context: dg.AssetExecutionContext, project: ProjectResource):
    """Route landing rows to their day, clean and type them, and set aside what can't be used."""
    loaded = project.load()
    verdicts: dict[str, dict] = {REJECT_SHARE.name: {}, SCHEMA.name: {}}
    for day in context.partition_keys:
        for written in make_documents(loaded, day):
            report(context, day, written)
            for verdict in written.verdicts:
                verdicts[verdict.check][day] = verdict
    yield dg.MaterializeResult(asset_key="documents")
    yield dg.MaterializeResult(asset_key="rejects")
    for spec in (REJECT_SHARE, SCHEMA):
        yield from check_days(context, spec, verdicts[spec.name])
