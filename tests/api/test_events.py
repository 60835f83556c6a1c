"""Events handed in over HTTP: kept whole or not at all, and made documents of."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx2
import polars as pl
import pytest
from fastapi.testclient import TestClient

from stupid_dagster.api import create_app, limits
from stupid_dagster.errors import SettingsError
from stupid_dagster.ingest import inbox
from stupid_dagster.ingest.arrivals import Waiting, look_for_arrivals
from stupid_dagster.project import Project
from stupid_dagster.stages.arrivals import StaleDays, find_stale_days
from stupid_dagster.stores.documents import scan_event_type
from tests.api.serving import seconds_until, served
from tests.pipeline import make_day

DAY = "2013-02-09"
EVENT = {
    **{"event_type": "Departure", "scheduled_at": f"{DAY}T17:45:00-05:00", "carrier": "ZZ"},
    **{"flight": 4711, "tailnum": "N0TEST", "origin": "JFK", "dest": "MCO", "dep_delay": 12.5},
}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project that nothing was made of yet."""
    (tmp_path / "landing").mkdir()
    given = {"landing": "landing", "data_root": "lake", "inbox": "inbox", "partitions_end": DAY}
    return Project.load(tmp_path, given)


@pytest.fixture
def client(project: Project) -> Iterator[TestClient]:
    with TestClient(create_app(project), raise_server_exceptions=False) as opened:
        yield opened


def files(project: Project) -> list[Path]:
    folder = project.settings.root / "inbox"
    return sorted(file.relative_to(folder) for file in folder.rglob("*") if file.is_file())


def mistakes(answer: Any) -> dict[str, str]:
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return {mistake["where"]: mistake["message"] for mistake in answer.json()["errors"]}


def look(
    project: Project, before: Mapping[str, Waiting], now: float
) -> tuple[StaleDays, Mapping[str, Waiting]]:
    """Look as the sensor does; returns what is stale, and what waits."""
    arrivals = look_for_arrivals(
        project.model,
        project.source,
        project.lake.root / "landing-index.json",
        before,
        now=now,
        stable_seconds=60,
    )
    return find_stale_days(project, arrivals), arrivals.waiting


def departures(project: Project) -> list[dict[str, Any]]:
    """Return the documents of the flight that is handed in."""
    version = project.lake.live("documents", DAY)
    found = scan_event_type(project.lake, version, "Departure")
    assert found is not None
    return found.filter(pl.col("tailnum") == EVENT["tailnum"]).collect().to_dicts()


def test_an_event_becomes_a_document(flights_copy: Project) -> None:
    project = Project.load(flights_copy.settings.root, {"inbox": "inbox"})
    landing = project.settings.root / "landing"
    before = {f: f.read_bytes() for f in landing.rglob("*") if f.is_file()}
    rows = project.lake.live("documents", DAY).rows
    # The landing files are new to the first look, and wait for a minute.
    _, waiting = look(project, {}, now=0)
    assert look(project, waiting, now=100)[0].days == ()

    with TestClient(create_app(project)) as client:
        answer = client.post("/events", json=EVENT)

    assert answer.status_code == 202
    tree = answer.json()
    assert tree["accepted"] == 1
    assert tree["parts"] == [{"event_type": "Departure", "day": DAY, "events": 1}]
    assert files(project) == [Path("Departure") / f"{DAY}-{tree['id']}.jsonl"]
    # Those of the inbox needn't wait.
    (found,) = look(project, {}, now=101)[0].days
    assert (found.day, found.reason) == (DAY, "files new or changed: 1")
    make_day(project, DAY)
    (document,) = departures(project)
    assert document["dep_delay"] == 12.5
    assert document["flight"] == "4711"
    assert f"{document['timestamp']:%Y-%m-%d %H:%M}" == f"{DAY} 22:45"
    assert project.lake.live("documents", DAY).rows == rows + 1
    assert look(project, {}, now=102)[0].days == ()
    assert {f: f.read_bytes() for f in landing.rglob("*") if f.is_file()} == before


@pytest.mark.parametrize("media", ["application/json", "application/x-ndjson"])
def test_many_events_of_several_types_and_days(
    client: TestClient, project: Project, media: str
) -> None:
    cancelled = {**EVENT, "event_type": "cancellation"}
    # Half past eleven at night there is the next day in UTC, but not in the model's timezone.
    late = {**EVENT, "scheduled_at": "2013-02-08T23:30:00-05:00", "note": {"nested": [1, None]}}
    events = [EVENT, cancelled, late, {**late, "event_type": None}]
    text = json.dumps(events)
    if media != "application/json":
        text = "\n\n".join(json.dumps(event) for event in events) + "\n"

    answer = client.post(
        "/events?event_type=departure", content=text, headers={"Content-Type": media}
    )

    assert [tuple(part.values()) for part in answer.json()["parts"]] == [
        ("Cancellation", DAY, 1),
        ("Departure", "2013-02-08", 2),
        ("Departure", DAY, 1),
    ]
    folder = project.settings.root / "inbox"
    texts = [(folder / file).read_text() for file in files(project)]
    kept = [json.loads(line) for text in texts for line in text.splitlines()]
    assert sorted(kept, key=str) == sorted(events, key=str)
    found = {file.path: file for file in project.landing_index().files}
    own = [file for path, file in found.items() if path.startswith("_inbox/")]
    assert sorted((file.date, *file.days, *file.event_types) for file in own) == [
        ("2013-02-08", "2013-02-08", "Departure"),
        (DAY, DAY, "Cancellation"),
        (DAY, DAY, "Departure"),
    ]
    assert not any(file.problem for file in own)


def test_all_mistakes_are_told_and_nothing_is_kept(client: TestClient, project: Project) -> None:
    events = [
        EVENT,
        {**EVENT, "event_type": "Depature"},
        {key: value for key, value in EVENT.items() if key != "event_type"},
        {**EVENT, "scheduled_at": "yesterday"},
        {**EVENT, "scheduled_at": None},
        {**EVENT, "scheduled_at": "2031-01-01T00:00:00Z"},
        {"event_type": 7},
    ]
    told = mistakes(client.post("/events", json=events))
    assert "did you mean 'Departure'" in told["body.1"]
    assert "it has no event type" in told["body.2"]
    assert "is no time" in told["body.3"]
    assert "is missing" in told["body.4"]
    assert "outside the partitions" in told["body.5"]
    assert {"body.6"} <= told.keys()
    assert "body.0" not in told
    assert files(project) == []


def test_events_of_too_many_days_are_refused_whole(project: Project) -> None:
    """Each day and event type is a file, written and synced while others wait."""
    project = Project(replace(project.settings, partitions_start=date(2012, 12, 1)))
    first = date.fromisoformat(DAY) - timedelta(days=60)
    days = [first + timedelta(days=number) for number in range(51)]
    events = [
        {**EVENT, "scheduled_at": f"{day}T17:45:00-05:00", "event_type": kind}
        for day in days
        for kind in ("Departure", "Cancellation")
    ]
    client = TestClient(create_app(project))
    told = mistakes(client.post("/events", json=events))
    assert "102 different pairs of event type and day; at most 100" in told["body"]
    assert files(project) == []
    assert client.post("/events", json=events[:100]).status_code == 202
    assert len(files(project)) == 100


def test_who_asks_is_answered_while_many_hand_in(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk may be slow: that keeps none waiting but who hands in, and these not for ever."""
    over, write = threading.Event(), inbox._write_files

    def slow(*given: Any) -> None:
        over.wait(20)
        write(*given)

    monkeypatch.setattr(inbox, "_write_files", slow)
    monkeypatch.setattr(limits, "WAIT_SECONDS", 3)
    monkeypatch.setattr(limits, "MOST_WAITING", 20)
    project = Project(replace(project.settings, api_port=0))
    with (
        served(project) as url,
        httpx2.Client(base_url=url, timeout=30, limits=httpx2.Limits(max_connections=80)) as http,
        ThreadPoolExecutor(60) as pool,
    ):
        asked = [pool.submit(http.post, "/events", json=EVENT) for _ in range(60)]
        # 8 are worked on, 20 wait, the others are refused at once.
        seconds_until(lambda: sum(one.done() for one in asked) == 32, 2.5)
        started = time.monotonic()
        # It needs a thread of those that all share.
        assert http.get("/catalog").status_code == 503
        assert time.monotonic() - started < 1
        seconds_until(lambda: sum(one.done() for one in asked) == 52, 10)
        over.set()
        answers = [one.result() for one in asked]
        assert sorted(answer.status_code for answer in answers) == [202] * 8 + [503] * 52
        assert all("retry-after" in one.headers for one in answers if one.status_code == 503)
        assert http.post("/events", json=EVENT).status_code == 202


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", "body"),
        ("[]", "body"),
        ("{", "body"),
        ("7", "body.0"),
        ("[[]]", "body.0"),
        ('{"a": NaN}', "body"),
        ("[" * 100_000, "body"),
        ('{"a":' * 5_000 + "1" + "}" * 5_000, "body"),
        (b"\xff\xfe", "body"),
        (json.dumps({f"field {n}": n for n in range(2_001)}), "body"),
        ("{}", "body.0"),
    ],
)
def test_what_is_no_event(client: TestClient, text: str | bytes, where: str) -> None:
    for media in ("application/json", "application/jsonl"):
        answer = client.post("/events", content=text, headers={"Content-Type": media})
        assert where in {w if media[-1] == "n" else where for w in mistakes(answer)}


def test_odd_values_are_kept_as_they_are(client: TestClient, project: Project) -> None:
    odd = {"tailnum": "\ud800 \u2028 \n", "flight": 10**400, "é": "ü", "list": [{}]}
    body = json.dumps({**EVENT, **odd}).encode()
    headers = {"Content-Type": "application/json"}
    assert client.post("/events", content=body, headers=headers).status_code == 202
    (file,) = files(project)
    (line,) = (project.settings.root / "inbox" / file).read_text().splitlines()
    assert json.loads(line) == {**EVENT, **odd}
    assert project.landing_index().for_day(date.fromisoformat(DAY))[-1].rows == 1


def test_pages_from_elsewhere_cant_post(client: TestClient, project: Project) -> None:
    """What a form of another page can send without being allowed to is refused."""
    body = json.dumps(EVENT)
    for media in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        answer = client.post("/events", content=body, headers={"Content-Type": media})
        assert answer.status_code == 415
    preflight = client.options(
        "/events",
        headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"},
    )
    assert preflight.status_code == 405
    assert not [name for name in preflight.headers if name.startswith("access-control")]
    assert files(project) == []


def test_no_inbox_says_what_to_set(flights_project: Project) -> None:
    with TestClient(create_app(flights_project)) as client:
        answer = client.post("/events", json=EVENT)
    assert answer.status_code == 403
    assert "set `inbox`" in answer.json()["detail"]


def test_events_need_the_key(project: Project) -> None:
    project = Project(replace(project.settings, api_key="k"))
    with TestClient(create_app(project)) as client:
        assert client.post("/events", json=EVENT).status_code == 401
        assert files(project) == []
        headers = {"X-API-Key": "k"}
        assert client.post("/events", json=EVENT, headers=headers).status_code == 202


def test_an_inbox_that_cant_be_written_to(client: TestClient, project: Project) -> None:
    (project.settings.root / "inbox").write_text("a file")
    answer = client.post("/events", json=EVENT)
    assert answer.status_code == 503
    assert "nothing was kept" in answer.json()["detail"]


def test_settings_keep_the_inbox_apart(flights_project: Project) -> None:
    root = flights_project.settings.root
    for folder in ("landing", "landing/in", "lake/inbox", "."):
        with pytest.raises(SettingsError, match="inbox ="):
            Project.load(root, {"inbox": folder})
