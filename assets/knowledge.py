"""The catalog, and the snapshot that readers are served from."""

import time

import dagster as dg

from assets.partitions import DAYS, WINDOW_BACKFILL
from assets.tables import RETRIES, materialise, no_vain_retries, table_specs
from stupid_dagster.automation.needs import op_tags
from stupid_dagster.automation.resources import ProjectResource
from stupid_dagster.stages.publish import make_catalog, publish_window
from stupid_dagster.tables import WINDOW_TABLES

KNOWLEDGE = [name for name in WINDOW_TABLES if name != "catalog"]


@dg.multi_asset(
    specs=table_specs("catalog", group="serve", deps=["documents", *KNOWLEDGE]),
    backfill_policy=WINDOW_BACKFILL,
    retry_policy=RETRIES,
    op_tags=op_tags("catalog"),
)
def catalog(context: dg.AssetExecutionContext, project: ProjectResource):
    """Describe what the snapshot holds."""
    yield from materialise(context, project, make_catalog)


@dg.asset(
    deps=["catalog", *KNOWLEDGE],
    group_name="serve",
    partitions_def=DAYS,
    backfill_policy=WINDOW_BACKFILL,
    retry_policy=RETRIES,
    op_tags=op_tags("snapshot"),
)
def snapshot(context: dg.AssetExecutionContext, project: ProjectResource) -> dg.MaterializeResult:
    """Publish: keep the files of all stores that belong together, and serve them from now on.

    Readers change to the new snapshot at once and as a whole; a window before the newest is kept
    beside it, for who asks for its day. Files that nothing names any more are removed after a
    time of grace.
    """
    started = time.perf_counter()
    with no_vain_retries():
        publication = publish_window(project.load(), context.partition_key)
    manifest, garbage = publication.manifest, publication.garbage
    return dg.MaterializeResult(
        metadata={
            "seconds": round(time.perf_counter() - started, 3),
            "snapshot": manifest.id,
            "served": publication.served,
            "first_day": manifest.first_day,
            "last_day": manifest.last_day,
            "days": len(manifest.days),
            "event_model_hash": manifest.event_model_hash,
            "embedder": manifest.embedder_id,
            "versions_removed": garbage.versions,
            "bytes_removed": garbage.bytes,
        }
    )
