"""An inbox in a bucket, which servers on several machines write to at once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from stupid_dagster.api import create_app
from stupid_dagster.errors import SettingsError, StoreError
from stupid_dagster.ingest.inbox import Inbox
from stupid_dagster.project import Project
from stupid_dagster.stores.files import StorageOptions, open_files
from tests.stores.faulty_proxy import FaultyProxy
from tests.stores.s3_server import SECRET, S3Server

DAY = "2013-02-09"
QUICK = StorageOptions(request_seconds=1, retries=1, retry_seconds=2)
EVENT = {
    **{"event_type": "Departure", "scheduled_at": f"{DAY}T17:45:00-05:00", "carrier": "ZZ"},
    **{"flight": 4711, "tailnum": "N0TEST", "origin": "JFK", "dest": "MCO", "dep_delay": 12.5},
}


@pytest.fixture
def inbox_url(bucket: str) -> str:
    return bucket.replace("/lake", "/inbox")


@pytest.fixture
def project(tmp_path: Path, inbox_url: str) -> Project:
    """A project that nothing was made of yet."""
    (tmp_path / "landing").mkdir()
    given = {"landing": "landing", "data_root": "lake", "inbox": inbox_url, "partitions_end": DAY}
    return Project.load(tmp_path, given)


@pytest.fixture
def proxy(s3_server: S3Server, inbox_url: str, monkeypatch) -> Iterator[FaultyProxy]:
    with FaultyProxy((s3_server.host, s3_server.port)) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
        yield proxy


def keys(url: str) -> list[str]:
    return sorted(entry.key for entry in open_files(url).below(""))


def test_two_servers_at_once_lose_nothing_and_keep_nothing_twice(
    project: Project, inbox_url: str
) -> None:
    boxes = [Inbox(open_files(inbox_url)) for _ in range(2)]

    def add(number: int) -> str:
        event = {**EVENT, "flight": number}
        return boxes[number % 2].add({("Departure", DAY): [json.dumps(event)]})

    with ThreadPoolExecutor(32) as pool:
        names = list(pool.map(add, range(400)))
    assert keys(inbox_url) == sorted({f"Departure/{DAY}-{name}.jsonl" for name in names})
    assert len(keys(inbox_url)) < 100, "those that come at once share files"
    index = project.landing_index()
    assert sum(file.rows for file in index.files) == 400
    assert {(*file.days, *file.event_types) for file in index.files} == {(DAY, "Departure")}
    store = open_files(inbox_url)
    lines = [line for key in keys(inbox_url) for line in store.read(key).data.splitlines()]
    assert Counter(json.loads(line)["flight"] for line in lines) == Counter(range(400))


def test_what_the_server_accepts_is_in_the_bucket(project: Project, inbox_url: str) -> None:
    assert project.landing_index().files == (), "it is there when the first events are"
    cancelled = {**EVENT, "event_type": "Cancellation"}
    with TestClient(create_app(project)) as client:
        answer = client.post("/events", json=[EVENT, cancelled, EVENT])
    assert answer.status_code == 202, answer.text
    name = answer.json()["id"]
    assert keys(inbox_url) == [
        f"{kind}/{DAY}-{name}.jsonl" for kind in ("Cancellation", "Departure")
    ]
    index = project.landing_index()
    assert {file.path: file.rows for file in index.files} == {
        f"_inbox/Cancellation/{DAY}-{name}.jsonl": 1,
        f"_inbox/Departure/{DAY}-{name}.jsonl": 2,
    }


def test_a_batch_of_which_a_part_fails_is_taken_back(inbox_url: str, proxy: FaultyProxy) -> None:
    box = Inbox(open_files(inbox_url, QUICK))
    box.add({("Login", DAY): ["{}"]})
    (kept,) = keys(inbox_url)
    faults = proxy.set(
        "drop request", 1000, lambda method, path: method == "PUT" and "Departure" in path
    )
    with pytest.raises(StoreError, match=r"can't be reached.*; nothing was kept") as caught:
        box.add({("Cancellation", DAY): ["{}"], ("Departure", DAY): ["{}"], ("Login", DAY): ["{}"]})
    assert inbox_url in str(caught.value)
    assert SECRET not in str(caught.value)
    assert ("PUT", True) in {(method, "Cancellation" in path) for method, path in faults.requests}
    proxy.set("none")
    assert keys(inbox_url) == [kept]


def test_what_may_be_kept_is_told(inbox_url: str, proxy: FaultyProxy) -> None:
    """Nothing can be taken back from a server that isn't reached any more."""
    box = Inbox(open_files(inbox_url, QUICK))
    box.add({("Login", DAY): ["{}"]})
    proxy.set("drop request", 1000, lambda method, path: "/Login/" not in path)
    with pytest.raises(StoreError, match="a part may be kept: send it again"):
        box.add({("Departure", DAY): ["{}"], ("Login", DAY): ["{}"]})


@pytest.mark.parametrize("fault", ["lost answer", "503", "drop request", "hang"])
def test_an_answer_that_is_lost_is_survived(inbox_url: str, proxy: FaultyProxy, fault: str) -> None:
    box = Inbox(open_files(inbox_url, StorageOptions(1, 4, 10)))
    box.add({("Login", DAY): ["{}"]})
    faults = proxy.set(fault, 1, lambda method, path: method == "PUT", after=2)
    box.add({("Departure", DAY): ["{}"]})
    assert faults.hits == 1
    assert len(keys(inbox_url)) == 2


def test_a_bucket_that_is_not_there_is_told_to_the_client(
    project: Project, proxy: FaultyProxy
) -> None:
    # SeaweedFS makes the buckets that it is asked for.
    proxy.set("no bucket", 1000)
    with TestClient(create_app(project), raise_server_exceptions=False) as client:
        answer = client.post("/events", json=EVENT)
    assert answer.status_code == 503
    assert "there is no such bucket" in answer.json()["detail"]


def test_settings_keep_it_apart(tmp_path: Path, bucket: str) -> None:
    landing = bucket.replace("/lake", "/landing")
    for inbox in (bucket, f"{bucket}/in", landing, f"{landing}/in/", bucket.removesuffix("/lake")):
        with pytest.raises(SettingsError, match="inbox = s3://"):
            Project.load(tmp_path, {"data_root": bucket, "landing": landing, "inbox": inbox})
    apart = bucket.replace("/lake", "/lake-inbox")
    given = {"data_root": bucket, "landing": landing, "inbox": apart}
    assert Project.load(tmp_path, given).settings.inbox_location == apart
