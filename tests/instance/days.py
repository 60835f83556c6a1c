"""Assets of days, and a Dagster home in which three of their days were run; what the UI shows."""

from pathlib import Path

import dagster as dg
import sqlalchemy as sa
import yaml
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget
from dagster_graphql.test.utils import execute_dagster_graphql

from stupid_dagster.dagster_home import CONFIG_NAME, ensure_dagster_home
from stupid_dagster.instance.wiping import WipeableEventLog

DAYS = dg.DailyPartitionsDefinition("2013-01-01", end_date="2013-01-08")
CHECK = dg.AssetCheckSpec("valid", asset="documents", partitions_def=DAYS)
DOCUMENTS, EDGES = dg.AssetKey("documents"), dg.AssetKey("edges")
FIRST_DAYS = ["2013-01-01", "2013-01-02", "2013-01-03"]


class DayConfig(dg.Config):
    fails: bool = False


@dg.asset(partitions_def=DAYS, check_specs=[CHECK])
def documents(context, config: DayConfig):
    if config.fails:
        raise dg.Failure("no file")
    context.log_event(dg.AssetObservation("documents", partition=context.partition_key))
    return dg.MaterializeResult(
        metadata={"dagster/partition_row_count": int(context.partition_key[-2:])},
        check_results=[dg.AssetCheckResult(passed=True)],
    )


@dg.asset(partitions_def=DAYS, deps=[documents])
def edges():
    pass


DEFS = dg.Definitions(
    assets=[documents, edges],
    jobs=[dg.define_asset_job("days", executor_def=dg.in_process_executor)],
)
STATUS_QUERY = """{ assetNodes { assetKey { path }
    partitionStats { numMaterialized numFailed }
    assetPartitionStatuses { ... on TimePartitionStatuses { ranges { startKey endKey status } } }
    assetMaterializations { partition }
    assetChecksOrError { ... on AssetChecks { checks { partitionStatuses {
        ... on AssetCheckTimePartitionStatuses { ranges { startKey endKey status } } } } } } } }"""


def make_home(home: Path, storage: str) -> Path:
    """Make a Dagster home from the packaged `dagster.yaml`, with the storage that is wanted."""
    ensure_dagster_home(home)
    if storage == "postgres":
        config = home / CONFIG_NAME
        config.write_text(with_postgres(config.read_text()))
    return home


def with_postgres(text: str) -> str:
    """Comment the `storage:` section of a `dagster.yaml` out, and take the other's comment away."""
    sections = text.split("\n\n")
    (sqlite,) = (n for n, section in enumerate(sections) if "\nstorage:" in section)
    (other,) = (n for n, section in enumerate(sections) if "\n# storage:" in section)
    before, _, after = sections[other].partition("\n# storage:")
    uncommented = "\n".join(line.removeprefix("# ") for line in after.split("\n"))
    sections[other] = f"{before}\nstorage:{uncommented}"
    sections[sqlite] = "\n".join(f"# {line}" for line in sections[sqlite].split("\n"))
    changed = "\n\n".join(sections)
    assert yaml.safe_load(changed).keys() == yaml.safe_load(text).keys()
    return changed


def run_config(fails: bool) -> dict:
    return {
        "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
        "ops": {"documents": {"config": {"fails": fails}}},
    }


def run_day(instance: dg.DagsterInstance, day: str, fails: bool = False) -> None:
    result = DEFS.resolve_job_def("days").execute_in_process(
        partition_key=day,
        instance=instance,
        raise_on_error=False,
        run_config=run_config(fails),
    )
    assert result.success is not fails


def ui(instance: dg.DagsterInstance) -> dict[str, dict]:
    """What the UI asks for, by asset."""
    origin = InProcessCodeLocationOrigin(
        LoadableTargetOrigin(python_file=__file__, attribute="DEFS"), location_name="tests"
    )
    with WorkspaceProcessContext(instance, InProcessWorkspaceLoadTarget(origin)) as process:
        result = execute_dagster_graphql(process.create_request_context(), STATUS_QUERY)
    assert not result.errors
    return {node["assetKey"]["path"][0]: node for node in result.data["assetNodes"]}


def ranges(statuses: dict) -> list[tuple[str, str, str]]:
    return [(r["startKey"][-2:], r["endKey"][-2:], r["status"]) for r in statuses["ranges"]]


def index_rows(instance: dg.DagsterInstance, *columns: sa.Column | sa.Table) -> list[tuple]:
    storage = instance.event_log_storage
    assert isinstance(storage, WipeableEventLog)
    with storage.index_connection() as connection:
        return [tuple(row) for row in connection.execute(sa.select(*columns))]
