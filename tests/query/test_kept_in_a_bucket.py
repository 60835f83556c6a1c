"""What a server fetches of a lake in a bucket: it goes when nobody reads it any more."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import date
from itertools import count

import pytest

from stupid_dagster.project import Project
from stupid_dagster.query import KeptSnapshots, kept
from stupid_dagster.stores.bucket.lake import BucketLake
from stupid_dagster.stores.folders import disk_bytes
from stupid_dagster.stores.lake import Lake
from stupid_dagster.stores.snapshots import Snapshot, open_snapshot, publish
from stupid_dagster.stores.version import Version
from tests.stores.faulty_proxy import FaultyProxy
from tests.stores.s3_server import S3Server

FIRST_DAY, LAST_DAY = "2013-02-06", "2013-02-09"
FETCHED = ("catalog", "graph_database", "search_index")
_numbers = count()


@pytest.fixture
def served(flights_copy: Project, bucket: str) -> Iterator[KeptSnapshots]:
    """The flights' published window in a bucket; a server's cache there has room for one."""
    manifest = open_snapshot(flights_copy.lake).manifest
    root = flights_copy.settings.root
    config = root / "stupid.toml"
    lines = [line for line in config.read_text().splitlines() if "data_root" not in line]
    config.write_text("\n".join([f'data_root = "{bucket}"', *lines]) + "\n")
    project = Project.load(root)
    for versions in manifest.versions.values():
        for version in versions.values():
            _move(flights_copy.lake, project.lake, version)
    _publish_again(project)
    yield KeptSnapshots(project)


@pytest.fixture
def proxy(bucket: str, s3_server: S3Server, monkeypatch) -> Iterator[FaultyProxy]:
    with FaultyProxy((s3_server.host, s3_server.port)) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
        yield proxy


def _move(lake: Lake, other: Lake, version: Version) -> Version:
    """Write a version's files as a new version of another lake, or of the same."""
    with (
        lake.lent(version) as folder,
        other.write(version.table, version.partition) as writer,
    ):
        shutil.copytree(folder, writer.path, dirs_exist_ok=True)
        (writer.path / "_version.json").unlink(missing_ok=True)
        writer.rows = version.rows
        writer.metadata.update(version.metadata, written=next(_numbers))
    return writer.committed


def _publish_again(project: Project) -> None:
    """Publish the same window, with what is fetched of it made again."""
    lake = project.lake
    for table in FETCHED:
        _move(lake, lake, lake.live(table, LAST_DAY))
    versions = {
        table: {p: lake.live(table, p) for p in partitions}
        for table in lake.tables()
        if (partitions := lake.partitions(table))
    }
    publish(
        lake,
        window=(date.fromisoformat(FIRST_DAY), date.fromisoformat(LAST_DAY)),
        versions=versions,
        event_model="flights",
        event_model_hash="",
        embedder_id=project.embedder.model_id,
        code_version="1",
    )


def _kept(lake: Lake) -> set[str]:
    """Return the names of the versions that are in the cache."""
    assert isinstance(lake, BucketLake)
    folders = [path for path in lake.cache.folder.iterdir() if path.is_dir()]
    return {path.name.rpartition("-")[0] for path in folders}


def _fetched(snapshot: Snapshot) -> set[str]:
    return {snapshot.window(table).address.replace("/", "-") for table in FETCHED}


def test_a_closed_readers_files_go_and_an_open_ones_stay(
    served: KeptSnapshots, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "CLOSING_PAUSE", 0)
    project = served.project
    lake = project.lake
    assert isinstance(lake, BucketLake)
    with ExitStack() as readers:
        served.refresh()
        first = readers.enter_context(served.use())
        of_first = _fetched(first.snapshot)
        lake.cache.most_bytes = int(1.5 * disk_bytes(lake.cache.folder))
        assert of_first <= _kept(lake)
        for _ in range(2):
            _publish_again(project)
            served.refresh()
        with served.use() as third:
            assert third.id != first.id and of_first | _fetched(third.snapshot) <= _kept(lake)
        assert first.neighbors("airport:JFK", limit=1).rows.height == 1
        assert first.search("storm", limit=1).height == 1
        edges = first._graph.open()
    # Nobody reads the first any more.
    _publish_again(project)
    served.refresh()
    with served.use() as last:
        assert _fetched(last.snapshot) <= _kept(lake)
        assert not of_first & _kept(lake)
        assert last.search("storm", limit=1).height == 1
    assert edges.weights.min() > 0, "what is mapped into memory outlives the files"
    served.close()
    assert lake.cache._used == {}


def test_a_look_is_one_request_while_nothing_changes(
    proxy: FaultyProxy, served: KeptSnapshots
) -> None:
    served.refresh()
    looks = proxy.set("none")
    for _ in range(3):
        served.refresh()
    assert [path.rpartition("/")[2] for _, path in looks.requests] == ["LEDGER.json"] * 3
    _publish_again(served.project)
    served.refresh()
    with served.use() as reader:
        assert reader.id == served.project.lake.ledger.published()
    looks = proxy.set("none")
    served.refresh()
    assert len(looks.requests) == 1
    served.close()
