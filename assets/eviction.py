"""What leaves: days before the horizon, and the proof that they are gone."""

import dagster as dg
import polars as pl

from assets.tables import RETRIES, described, markdown, no_vain_retries
from stupid_dagster.automation.eviction import audit_all, evict_and_wipe, plan_or_fail
from stupid_dagster.automation.needs import op_tags
from stupid_dagster.automation.resources import ProjectResource
from stupid_dagster.stages.audit import CHECK
from stupid_dagster.tables import TABLES


@dg.asset(
    group_name="retention",
    kinds={"parquet"},
    retry_policy=RETRIES,
    op_tags=op_tags("eviction"),
)
def eviction(context: dg.AssetExecutionContext, project: ProjectResource) -> dg.MaterializeResult:
    """Remove the days before the horizon from every table, snapshot, store and record.

    The window is published without them, their versions are dropped, files go when nothing names
    them and their grace is over, and Dagster shows their partitions as missing. Does nothing
    where nothing is stale; a run that was killed is finished by the next.
    """
    with no_vain_retries():
        loaded = project.load()
        done = evict_and_wipe(loaded, context.instance, plan_or_fail(loaded))
    rows = [(t, len(found), found[0], found[-1]) for t, found in done.eviction.stale.items()]
    by_table = pl.DataFrame(rows, ["table", "partitions", "first", "last"], orient="row")
    return dg.MaterializeResult(
        metadata={
            "horizon": str(done.eviction.horizon),
            "partitions": sum(len(found) for found in done.eviction.stale.values()),
            "partitions by table": dg.MetadataValue.md(markdown(by_table)),
            "bytes_before": done.bytes_before,
            "bytes_after": done.bytes_after,
            "versions_removed": done.garbage.versions,
            "snapshots_removed": done.garbage.snapshots,
            "bytes_removed": done.garbage.bytes,
            "bytes_waiting": done.pending,
            "events_wiped": sum(done.wiped.values()),
            "seconds": round(done.seconds, 3),
        }
    )


@dg.asset(
    deps=["eviction"],
    group_name="retention",
    kinds={"parquet"},
    retry_policy=RETRIES,
    op_tags=op_tags("audit"),
    description=f"{TABLES['audit'].description}\n\nCan be materialised by hand at any time.",
    check_specs=[
        dg.AssetCheckSpec(
            CHECK, asset="audit", description="No store speaks of a day that was evicted."
        )
    ],
)
def audit(context: dg.AssetExecutionContext, project: ProjectResource) -> dg.MaterializeResult:
    """Look for evicted days in all stores."""
    with no_vain_retries():
        loaded = project.load()
        audited = audit_all(loaded, context.instance, plan_or_fail(loaded))
    context.log.info(audited.advice)
    (verdict,) = audited.written.verdicts
    return dg.MaterializeResult(
        metadata=described(audited.written),
        check_results=[
            dg.AssetCheckResult(
                check_name=verdict.check,
                passed=verdict.passed,
                severity=dg.AssetCheckSeverity.ERROR,
                description=verdict.description,
            )
        ],
    )
