"""What may pass is tried again, what can't is not: counted in the events of real runs."""

from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from assets.documents import CHECKS
from assets.tables import RETRIES, materialise, table_specs
from stupid_dagster.automation.resources import ProjectResource
from stupid_dagster.automation.runs import run_error
from stupid_dagster.definitions import defs
from stupid_dagster.errors import IngestError, StoreError
from stupid_dagster.project import Project
from stupid_dagster.stages.day import make_documents
from stupid_dagster.stages.written import Written
from stupid_dagster.stores.files import StorageOptions, open_files
from stupid_dagster.tables import TABLES
from tests.arriving import DAYS, arriving_project, drop
from tests.stores.faulty_proxy import FaultyProxy
from tests.stores.s3_server import S3Server

Broken = Callable[[], None]
# As all assets have, but nobody waits.
AT_ONCE = RETRIES._replace(delay=0.01)
FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk that is always full")


def full_disk() -> None:
    pl.DataFrame({"a": range(200_000)}).write_parquet("/dev/full")


def full_disk_under_a_store() -> None:
    try:
        with open("/dev/full", "wb", buffering=0) as file:
            file.write(b"x" * 4096)
    except OSError as error:
        raise StoreError("the table can't be written") from error


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral(tempdir=str(tmp_path)) as instance:
        yield instance


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = arriving_project(tmp_path / "project")
    for day in DAYS[:2]:
        drop(project, day, [day])
    return project


def run(
    project: Project,
    instance: dg.DagsterInstance,
    broken: Broken,
    *,
    times: int,
    days: list[str] = DAYS[:1],
) -> tuple[dg.ExecuteInProcessResult, int]:
    """Make documents, of which the last day is in trouble so often; return the attempts too."""
    troubles = iter(range(times))

    def stage(project: Project, day: str) -> list[Written]:
        if day == days[-1] and next(troubles, None) is not None:
            broken()
        return make_documents(project, day)

    @dg.multi_asset(
        specs=table_specs("documents", "rejects", group="ingest"),
        check_specs=CHECKS,
        backfill_policy=dg.BackfillPolicy.single_run(),
        retry_policy=AT_ONCE,
    )
    def documents(context: dg.AssetExecutionContext, project: ProjectResource):
        yield from materialise(context, project, stage, CHECKS)

    result = dg.materialize(
        [documents],
        instance=instance,
        resources={"project": ProjectResource(root=str(project.settings.root))},
        tags={
            "dagster/asset_partition_range_start": days[0],
            "dagster/asset_partition_range_end": days[-1],
        },
        raise_on_error=False,
    )
    starts = {dg.DagsterEventType.STEP_START, dg.DagsterEventType.STEP_RESTARTED}
    events = instance.all_logs(result.run_id, of_type=starts)
    return result, len(events)


@FULL
@pytest.mark.parametrize("broken", [full_disk, full_disk_under_a_store])
def test_a_full_disk_is_tried_again_until_there_is_room(
    broken: Broken, project: Project, instance: dg.DagsterInstance
) -> None:
    result, attempts = run(project, instance, broken, times=2, days=DAYS[:2])
    assert result.success and attempts == 3
    for name in ("documents", "rejects"):
        made = instance.fetch_materializations(dg.AssetKey(name), limit=10).records
        assert sorted(str(record.partition_key) for record in made) == DAYS[:2]
    rows = instance.fetch_materializations(dg.AssetKey("documents"), limit=10).records
    values = [r.asset_materialization.metadata for r in rows if r.asset_materialization]
    assert [found["dagster/partition_row_count"].value for found in values] == [3, 3]


@FULL
def test_what_does_not_pass_ends_the_run_after_the_last_try(
    project: Project, instance: dg.DagsterInstance
) -> None:
    result, attempts = run(project, instance, full_disk, times=99)
    assert not result.success and attempts == 1 + RETRIES.max_retries
    error = run_error(result)
    assert error and error.startswith("documents: ") and "No space left on device" in error
    assert "\n" not in error


def bad_data() -> None:
    raise IngestError("Login/2013-02-04.parquet: no row has a time")


def bug() -> None:
    raise KeyError("actor")


def lost_rights() -> None:
    raise StoreError("the lake can't be written") from PermissionError(13, "Permission denied")


@pytest.mark.parametrize(
    "broken, says",
    [
        (bad_data, "stupid_dagster.errors.IngestError: Login/2013-02-04.parquet: no row has a"),
        (bug, "KeyError: 'actor'"),
        (lost_rights, "stupid_dagster.errors.StoreError: the lake can't be written"),
    ],
)
def test_what_can_not_pass_is_tried_once(
    broken: Broken, says: str, project: Project, instance: dg.DagsterInstance
) -> None:
    result, attempts = run(project, instance, broken, times=99)
    assert not result.success and attempts == 1
    error = run_error(result)
    assert error and error.startswith(f"documents: {says}") and "\n" not in error
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    told = failure.step_failure_data.error
    assert told and broken.__name__ in told.to_string()  # where it came from


def test_a_bucket_that_breaks_off_a_scan_is_read_again(
    s3_server: S3Server,
    bucket: str,
    project: Project,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with FaultyProxy((s3_server.host, s3_server.port)) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
        files = open_files(bucket, StorageOptions(request_seconds=1, retries=0, retry_seconds=1))

        def broken() -> None:
            files.scan_parquet("documents/part.parquet").collect()

        proxy.set("503", 99)
        result, attempts = run(project, instance, broken, times=99)
    assert not result.success and attempts == 1 + RETRIES.max_retries
    error = run_error(result)
    assert error and "answered 503 SlowDown to every attempt" in error
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    told = failure.step_failure_data.error
    assert told and "<Error>" not in told.to_string() and "object-store" not in told.to_string()


def test_wrong_settings_are_tried_once(project: Project, instance: dg.DagsterInstance) -> None:
    with (project.settings.root / "stupid.toml").open("a") as config:
        config.write("window_day = 3\n")
    result, attempts = run(project, instance, bug, times=0)
    assert not result.success and attempts == 1
    assert "did you mean 'window_days'?" in str(run_error(result))


def test_every_asset_is_tried_again() -> None:
    found = {
        key.to_user_string(): asset.op.retry_policy
        for asset in defs.resolve_asset_graph().assets_defs
        for key in asset.keys
    }
    assert {*TABLES, "snapshot"} <= found.keys()
    assert set(found.values()) == {RETRIES}
