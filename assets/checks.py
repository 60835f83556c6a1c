"""Asset check results of single partitions."""

from collections.abc import Iterator, Mapping

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData,
)

from stupid_dagster.stages.written import Verdict


def check_days(
    context: dg.AssetExecutionContext, spec: dg.AssetCheckSpec, verdicts: Mapping[str, Verdict]
) -> Iterator[dg.Output | dg.AssetCheckEvaluation]:
    """Yield a check's results by day; after the results of the asset that it checks.

    `dg.AssetCheckResult` knows no partition, and in a run over several days would leave their
    checks pending for ever. An evaluation that names its partition shows in the UI by day.
    """
    yield dg.Output(None, output_name=spec.get_python_identifier())
    for day, verdict in verdicts.items():
        found = context.instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=spec.asset_key, asset_partitions=[day]), limit=1
        ).records[0]
        yield dg.AssetCheckEvaluation(
            asset_key=spec.asset_key,
            check_name=spec.name,
            partition=day,
            passed=verdict.passed,
            metadata=dict(verdict.details),
            description=verdict.description,
            severity=(
                dg.AssetCheckSeverity.ERROR if verdict.is_error else dg.AssetCheckSeverity.WARN
            ),
            target_materialization_data=AssetCheckEvaluationTargetMaterializationData(
                storage_id=found.storage_id,
                run_id=found.run_id,
                timestamp=found.timestamp,
            ),
        )
