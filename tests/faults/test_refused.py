"""One object that a bucket's server refuses for good, while it gives all others.

What isn't given is neither damaged nor missing: nothing may be left out, evicted, erased or begun
anew because of it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from stupid_dagster.errors import UnavailableError, retry_helps
from stupid_dagster.project import Project
from stupid_dagster.stages.audit import audit
from stupid_dagster.stages.evict import Eviction, plan_eviction
from stupid_dagster.stages.publish import publish_window
from stupid_dagster.stages.window import PINS, make_window_days, open_window
from stupid_dagster.stores.files import open_files
from stupid_dagster.stores.garbage import SCRATCH, collect_garbage
from stupid_dagster.stores.inventory import CURRENT
from stupid_dagster.stores.snapshots import USES
from stupid_dagster.stores.version import VERSION_FILE
from tests.faults.weather import FOREVER
from tests.stores.faulty_proxy import FaultyProxy
from tests.stores.lakes import put
from tests.stores.s3_server import S3Server, set_environment

DAYS = ["2013-02-06", "2013-02-07", "2013-02-08", "2013-02-09"]
DAY, BEFORE, LAST = DAYS[1], DAYS[2], DAYS[3]
Refuse = Callable[[str], None]
ONCE = {"denied": 1, "503": 2}
"""How many answers make one refusal: what may pass is asked for twice."""


@pytest.fixture(scope="module")
def environment(s3_server: S3Server) -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        set_environment(patch, s3_server)
        yield patch


@pytest.fixture(scope="module")
def project(
    flights_project: Project, tmp_path_factory: pytest.TempPathFactory, environment: object
) -> Project:
    """Four days in a bucket, a published window, one that is begun before it, and an audit.

    All tests share it: what is refused changes nothing.
    """
    url = f"s3://tests/{secrets.token_hex(6)}/lake"
    local = flights_project.lake
    files = open_files(url)
    for table in local.tables():
        files.upload(local.root / table, table)
    root = tmp_path_factory.mktemp("refused")
    settings = (flights_project.settings.root / "stupid.toml").read_text()
    settings = settings.replace('"lake"', f'"{url}"').replace(
        '"landing"', f'"{flights_project.settings.root / "landing"}"'
    )
    (root / "stupid.toml").write_text(f'{settings}workplace = "workplace"\nkept_windows = 1\n')
    project = Project.load(root)
    publish_window(project, LAST)
    make_window_days(project, BEFORE)
    assert planned(project).stale == {}
    audit(project, planned(project))
    return project


def planned(project: Project) -> Eviction:
    eviction = plan_eviction(project)
    assert eviction is not None
    return eviction


@pytest.fixture
def proxy(s3_server: S3Server) -> Iterator[FaultyProxy]:
    with FaultyProxy((s3_server.host, s3_server.port)) as proxy:
        yield proxy


@pytest.fixture(params=["denied", "503"])
def fault(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def refuse(proxy: FaultyProxy, fault: str) -> Refuse:
    """Let the server refuse the object whose path ends so, for good."""

    def refuse(end: str) -> None:
        proxy.set(fault, FOREVER, lambda method, path: method == "GET" and path.endswith(end))

    return refuse


@pytest.fixture
def behind(project: Project, proxy: FaultyProxy, tmp_path: Path) -> Iterator[Project]:
    """The project as somebody sees it who reaches the server by the proxy, and has read nothing."""
    settings = {
        "workplace": str(tmp_path / "workplace"),
        "storage_seconds": 2.0,
        "storage_retries": 1,
        "storage_retry_seconds": 1.0,
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
        behind = Project.load(project.settings.root, settings)
        assert behind.lake.url == project.lake.url
        yield behind


def refused(fault: str, work: Callable[[], object], key: str) -> None:
    """Check that some work fails for the refusal, and that only what may pass is tried again."""
    with pytest.raises(UnavailableError) as caught:
        work()
    assert key in str(caught.value)
    assert "made up" not in str(caught.value)
    assert retry_helps(caught.value) == (fault == "503")


@pytest.mark.parametrize("name", [CURRENT, VERSION_FILE])
def test_no_window_is_made_without_a_day_that_is_not_given(
    project: Project, behind: Project, refuse: Refuse, fault: str, name: str
) -> None:
    version = project.lake.live("texts", DAY)
    key = f"texts/{DAY}/{CURRENT}" if name == CURRENT else f"{version.address}/{name}"
    pins = project.lake.live(PINS, LAST)
    refuse(key)
    refused(fault, lambda: behind.complete_day(DAY), key)
    refused(fault, lambda: make_window_days(behind, LAST), key)
    assert project.lake.live(PINS, LAST) == pins
    assert open_window(project, LAST).days == DAYS


def test_the_newest_day_is_not_passed_over(behind: Project, refuse: Refuse, fault: str) -> None:
    key = f"documents/{LAST}/{CURRENT}"
    refuse(key)
    refused(fault, behind.anchor, key)


@pytest.mark.parametrize("table", [PINS, "catalog"])
def test_no_window_is_stale_whose_days_are_not_told(
    behind: Project, refuse: Refuse, fault: str, table: str
) -> None:
    key = f"{table}/{BEFORE}/{CURRENT}"
    refuse(key)
    refused(fault, lambda: plan_eviction(behind), key)


def test_nothing_is_garbage_while_it_is_not_told_what_is_used(
    bucket: str, project: Project, proxy: FaultyProxy, refuse: Refuse, fault: str, tmp_path: Path
) -> None:
    overrides = {"data_root": bucket, "storage_retries": 1, "storage_retry_seconds": 1.0}
    root = project.settings.root
    straight = Project.load(root, overrides | {"workplace": str(tmp_path / "straight")}).lake
    used = put(straight, "used")
    with straight.write(PINS, LAST) as writer:
        writer.metadata[USES] = [used.address]
    put(straight, "newer")
    key = f"{writer.committed.address}/{VERSION_FILE}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
        lake = Project.load(root, overrides | {"workplace": str(tmp_path / "behind")}).lake
    refuse(key)

    def collect() -> None:
        collect_garbage(lake, kept_snapshots=1, grace=timedelta(0), using=PINS)

    refused(fault, collect, key)
    proxy.set("")
    assert collect() is None
    assert straight.find(*used.address.split("/")) == used


def test_an_audit_does_not_begin_its_history_anew(
    project: Project, behind: Project, proxy: FaultyProxy, fault: str
) -> None:
    key, looked = f"audit/all/{CURRENT}", False
    before = project.lake.live("audit", "all")

    def is_refused(method: str, path: str) -> bool:
        nonlocal looked
        # A listing: the last of what an audit looks at.
        looked |= SCRATCH in path
        return looked and method == "GET" and path.endswith(key)

    eviction = planned(behind)
    # Once: what is refused for good can't be replaced either.
    faults = proxy.set(fault, ONCE[fault], is_refused)
    refused(fault, lambda: audit(behind, eviction), key)
    assert faults.hits
    assert project.lake.live("audit", "all") == before


def test_what_an_audit_can_not_read_now_is_no_reference(
    project: Project, behind: Project, refuse: Refuse, fault: str
) -> None:
    before = project.lake.live("audit", "all")
    (name,) = [name for name in project.lake.live("pagerank", LAST).files if ".parquet" in name]
    key = f"{project.lake.live('pagerank', LAST).address}/{name}"
    eviction = planned(behind)
    refuse(key)
    refused(fault, lambda: audit(behind, eviction), key)
    assert project.lake.live("audit", "all") == before


def test_nothing_is_replaced_while_it_is_not_told_what_is_live(
    project: Project, behind: Project, proxy: FaultyProxy, fault: str
) -> None:
    live = project.lake.live("texts", DAY)
    key = f"texts/{DAY}/{CURRENT}"
    proxy.set(fault, ONCE[fault], lambda method, path: method == "GET" and path.endswith(key))

    def write() -> None:
        with behind.lake.write("texts", DAY) as writer:
            writer.write(pl.DataFrame({"n": [1]}))

    refused(fault, write, key)
    assert project.lake.live("texts", DAY) == live
