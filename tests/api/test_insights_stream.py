"""Insights as they come, from a real server to real clients, while snapshots are published."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import polars as pl
import pytest
from fastapi.testclient import TestClient
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from stupid_dagster.api import create_app
from stupid_dagster.project import Project
from stupid_dagster.stages.publish import publish_window
from stupid_dagster.stores.snapshots import published_id
from tests.api.serving import copy_version, held_files, seconds_until, served
from tests.pipeline import write_window_table

LAST_DAY = "2013-02-09"
SOON = 6


@pytest.fixture
def project(flights_copy: Project) -> Project:
    return Project.load(flights_copy.settings.root, {"api_port": 0, "garbage_minutes": 0})


def insights(project: Project) -> pl.DataFrame:
    return project.lake.read("insights", LAST_DAY).sort("rank")


def publish(project: Project, rows: pl.DataFrame) -> str:
    write_window_table(project, "insights", LAST_DAY, rows)
    return publish_window(project, LAST_DAY).manifest.id


@contextmanager
def following(url: str, path: str = "/insights/stream", **headers: str) -> Iterator[Iterator[Any]]:
    """Yield the events of a stream as (event, id, data), comments left out."""

    def events(lines: Iterator[str]) -> Iterator[tuple[str, str | None, Any]]:
        event: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(": ")
            if name in ("event", "data", "id"):
                event[name] = value
            elif not line and event:
                yield event["event"], event.get("id"), json.loads(event["data"])
                event = {}

    with (
        httpx2.Client(base_url=url, timeout=30) as client,
        client.stream("GET", path, headers=headers) as response,
    ):
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        yield events(response.iter_lines())


def take(events: Iterator[Any], number: int) -> list[Any]:
    return [next(events) for _ in range(number)]


def changed(rows: pl.DataFrame) -> tuple[pl.DataFrame, list[tuple[str, str]]]:
    """Return other insights, and the events that tell of the difference."""
    ids = rows["insight_id"].to_list()
    other = pl.concat(
        [
            rows[:1].with_columns(title=pl.lit("Another title")),
            rows[1:2].with_columns(status=pl.lit("resolved"), severity=pl.lit("info")),
            rows[2:3].with_columns(status=pl.lit("ongoing")),
            rows[4:],
            rows[:1].with_columns(insight_id=pl.lit("trend/of/mine"), title=pl.lit("Mine")),
        ]
    ).with_columns(rank=pl.int_range(1, pl.len() + 1, dtype=pl.UInt32))
    return other, [
        ("changed", ids[0]),
        ("resolved", ids[1]),
        ("new", "trend/of/mine"),
        ("resolved", ids[3]),
    ]


def test_current_insights_then_what_changes(project: Project) -> None:
    rows = insights(project)
    other, told = changed(rows)
    first = published_id(project.lake)
    with served(project) as url, following(url) as events:
        event, _, head = next(events)
        assert event == "snapshot"
        assert head["snapshot"] == first
        assert head["window"] == {"first_day": "2013-01-11", "last_day": LAST_DAY, "days": 4}
        assert head["insights"] == rows["insight_id"].to_list()
        listed = take(events, rows.height)
        page = httpx2.get(f"{url}/knowledge/insights").json()["rows"]
        assert [data for _, _, data in listed] == page
        assert {name for name, _, _ in listed} == {"insight"}
        assert [id for _, id, _ in listed] == [f"{first}/{row['insight_id']}" for row in page]

        second = publish(project, other)
        started = time.monotonic()
        event, _, head = next(events)
        assert time.monotonic() - started < SOON
        assert (event, head["snapshot"]) == ("snapshot", second)
        found = take(events, len(told))
        assert [(event, data["insight_id"]) for event, _, data in found] == told
        assert [id for _, id, _ in found] == [f"{second}/{name}" for _, name in told]
        assert found[0][2]["title"] == "Another title"


def test_who_comes_back_hears_what_came_since(project: Project) -> None:
    rows = insights(project)
    ids = rows["insight_id"].to_list()
    other, told = changed(rows)
    first = published_id(project.lake)
    with served(project) as url:

        def events_after(last: str, number: int) -> list[tuple[str, str]]:
            with following(url, **{"Last-Event-ID": last}) as events:
                assert next(events)[0] == "snapshot"
                return [(event, data["insight_id"]) for event, _, data in take(events, number)]

        rest = [("insight", name) for name in ids[2:]]
        assert events_after(f"{first}/{ids[1]}", len(rest)) == rest
        publish(project, other)
        seconds_until(
            lambda: httpx2.get(f"{url}/ready").json()["snapshot"] == published_id(project.lake)
        )
        assert events_after(f"{first}/{ids[-1]}", len(told)) == told
        # Of the first snapshot only one insight had come: the others are new.
        early = events_after(f"{first}/{ids[0]}", other.height - 1)
        assert early[0] == told[0]
        assert (
            early[1:]
            == [
                ("resolved" if name == ids[1] else "new", name)
                for name in other["insight_id"].to_list()[1:]
            ][: len(early) - 1]
        )
        everything = [("insight", name) for name in other["insight_id"]]
        for unknown in ("", "x", f"{first}/x", "20200101T000000000-aaaaaa/x", "/"):
            assert events_after(unknown, other.height) == everything


def test_only_what_is_wanted(project: Project) -> None:
    rows = insights(project)
    kind = rows["kind"][0]
    of_kind = rows.filter(kind=kind)["insight_id"].to_list()
    critical = rows.filter(severity="critical")["insight_id"].to_list()
    with served(project) as url:
        with following(url, f"/insights/stream?kind={kind}") as events:
            assert next(events)[2]["insights"] == of_kind
            assert [data["insight_id"] for _, _, data in take(events, len(of_kind))] == of_kind
        with following(url, "/insights/stream?severity=critical") as events:
            assert next(events)[2]["insights"] == critical
            take(events, len(critical))
            publish(project, rows.with_columns(severity=pl.lit("info")))
            assert next(events)[2]["insights"] == []
            found = take(events, len(critical))
            assert {(event, data["severity"]) for event, _, data in found} == {("changed", "info")}
        assert httpx2.get(f"{url}/insights/stream?severity=bad").status_code == 422
        assert httpx2.get(f"{url}/insights/stream?kinds=x").status_code == 422


def test_an_idle_stream_holds_no_snapshot(project: Project) -> None:
    rows = insights(project)
    with served(project) as url, following(url) as events:
        first = next(events)[2]["snapshot"]
        take(events, rows.height)
        manifest = project.lake.root / "snapshots" / f"{first}.json"
        former = project.lake.version_path(project.lake.live("graph_database", LAST_DAY))
        assert httpx2.get(f"{url}/graph/nodes/airport:JFK").status_code == 200
        assert held_files(former)
        copy_version(project.lake, "graph_database", LAST_DAY)
        publish(project, rows)
        assert next(events)[2]["snapshot"] != first
        seconds_until(lambda: not held_files(former))
        assert manifest.exists()


def test_a_server_that_stops_ends_its_streams(project: Project) -> None:
    ended: list[float] = []
    ready = threading.Barrier(3)

    def stream(url: str) -> None:
        with following(url) as events:
            next(events)
            ready.wait(20)
            for _ in events:
                pass
        ended.append(time.monotonic())

    def socket(url: str) -> None:
        with connect(f"{url.replace('http', 'ws')}/ws/insights") as ws:
            ws.recv()
            ready.wait(20)
            with pytest.raises(ConnectionClosed):
                while True:
                    ws.recv()
        ended.append(time.monotonic())

    with served(project) as url:
        clients = [threading.Thread(target=run, args=(url,)) for run in (stream, socket)]
        for client in clients:
            client.start()
        ready.wait(20)
        stopping = time.monotonic()
    stopped = time.monotonic()
    for client in clients:
        client.join(20)
    assert len(ended) == 2
    assert stopped - stopping < SOON
    assert max(ended) - stopping < SOON


def messages(ws: ClientConnection, number: int) -> list[tuple[str, str | None, Any]]:
    found = [json.loads(ws.recv(timeout=20)) for _ in range(number)]
    return [(tree["event"], tree["id"], tree["data"]) for tree in found]


def test_a_socket_tells_what_the_stream_tells(project: Project) -> None:
    rows = insights(project)
    other, told = changed(rows)
    first = published_id(project.lake)
    with served(project) as url:
        address = f"{url.replace('http', 'ws')}/ws/insights"
        with connect(address) as ws, following(url) as events:
            assert messages(ws, rows.height + 1) == take(events, rows.height + 1)
            publish(project, other)
            assert messages(ws, len(told) + 1) == take(events, len(told) + 1)
        with connect(f"{address}?kind=none&last_event_id={first}/x") as ws:
            assert messages(ws, 1)[0][2]["insights"] == []
        last = f"{first}/{rows['insight_id'][-1]}"
        with connect(f"{address}?last_event_id={last}") as ws:
            assert messages(ws, 2)[1][0] == told[0][0]


def test_sockets_of_other_sites_and_without_the_key_are_refused(project: Project) -> None:
    key = "schlüssel-7"
    locked = Project.load(project.settings.root, {"api_port": 0, "api_key": key})
    with served(locked) as url:
        address, host = f"{url.replace('http', 'ws')}/ws/insights", url.removeprefix("http://")
        assert httpx2.get(f"{url}/insights/stream").status_code == 401

        foreign = ("http://evil.example", f"http://{host}.evil", "null", f"http://x@{host}")
        malformed = ("http://[", "http://[::1", "[", "http://a]b", "http://[x]:y", "://", "")
        for origin in (*foreign, *malformed):
            with pytest.raises(InvalidStatus) as refused:
                connect(address, additional_headers={"Origin": origin, "X-API-Key": key})
            assert refused.value.response.status_code == 403
        with pytest.raises(InvalidStatus) as refused:
            connect(address, additional_headers={"X-API-Key": "x"})
        assert refused.value.response.status_code == 401
        body = json.loads(refused.value.response.body)
        assert body["type"] == "urn:stupid-dagster:key-needed"

        given = {"X-API-Key": key.encode().decode("latin-1"), "Origin": url}
        for opened, first in (
            (connect(address, additional_headers=given), None),
            (connect(address), json.dumps({"key": key})),
        ):
            with opened as ws:
                if first:
                    ws.send(first)
                assert messages(ws, 1)[0][0] == "snapshot"
        for wrong in ("", "x", "[]", '{"key": "x"}', '{"key": null}', "[" * 100_000):
            with connect(address) as ws:
                ws.send(wrong)
                with pytest.raises(ConnectionClosed):
                    ws.recv(timeout=20)
                assert ws.close_code == 1008
        with connect(f"{address}?api_key={key}") as ws:
            ws.send("{}")
            with pytest.raises(ConnectionClosed):
                ws.recv(timeout=20)


def test_nothing_published_is_said(tmp_path: Path) -> None:
    with TestClient(create_app(Project.load(tmp_path)), raise_server_exceptions=False) as client:
        response = client.get("/insights/stream")
        assert response.status_code == 503
        assert "stupid-dagster run" in response.json()["detail"]
    with served(Project.load(tmp_path, {"api_port": 0})) as url:
        with pytest.raises(InvalidStatus) as refused:
            connect(f"{url.replace('http', 'ws')}/ws/insights")
        assert refused.value.response.status_code == 503


def spoilt(project: Project) -> None:
    """Publish a snapshot whose insights can't be read."""
    publish(project, insights(project).with_columns(title=pl.lit("Other")))
    version = project.lake.live("insights", LAST_DAY)
    for file in project.lake.version_path(version).glob("*.parquet"):
        file.write_bytes(b"no Parquet")


def test_what_can_not_be_told_is_an_error_as_an_answer_would_have_it(project: Project) -> None:
    rows = insights(project)
    with served(project) as url:
        address = f"{url.replace('http', 'ws')}/ws/insights"
        with connect(address) as ws, following(url) as events:
            take(events, rows.height + 1)
            messages(ws, rows.height + 1)
            spoilt(project)
            told = next(events), messages(ws, 1)[0]
            refused = httpx2.get(f"{url}/insights/stream")
            assert refused.status_code == 503
            for (event, _, data), path in zip(
                told, ("/insights/stream", "/ws/insights"), strict=True
            ):
                assert event == "error"
                assert data == refused.json() | {"instance": path}
            # They go on.
            publish(project, rows)
            assert next(events)[0] == messages(ws, 1)[0][0] == "snapshot"


def test_a_server_that_fails_says_so_at_the_end(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = insights(project)
    with (
        served(project) as url,
        connect(f"{url.replace('http', 'ws')}/ws/insights") as ws,
        following(url) as events,
    ):
        take(events, rows.height + 1)
        messages(ws, rows.height + 1)
        monkeypatch.setattr("stupid_dagster.api.feed.next_events", lambda *_: 1 / 0)
        publish(project, rows.with_columns(title=pl.lit("Other")))
        for event, _, data in (next(events), messages(ws, 1)[0]):
            assert event == "error"
            assert data["type"] == "urn:stupid-dagster:failure"
            assert (data["status"], data["title"]) == (500, "Internal Server Error")
            assert "its log has the reason under" in data["detail"]
        assert list(events) == []
        with pytest.raises(ConnectionClosed):
            ws.recv(timeout=20)


def test_what_is_no_number_is_null_in_all_answers(project: Project) -> None:
    rows = insights(project)
    evidence = pl.lit('{"z": NaN, "list": [Infinity, -Infinity, 1.5]}')
    publish(project, rows.with_columns(evidence=evidence, score=pl.lit(float("nan"))))
    name = rows["insight_id"][0]

    def no(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    with served(project) as url:
        for path in ("/knowledge/insights", f"/knowledge/insights/{name}"):
            tree = json.loads(httpx2.get(url + path).text, parse_constant=no)
            row = tree["rows"][0] if "rows" in tree else tree["item"]
            assert row["evidence"] == {"z": None, "list": [None, None, 1.5]}, path
            assert row["score"] is None
        with httpx2.stream("GET", f"{url}/insights/stream", timeout=30) as response:
            lines = (line for line in response.iter_lines() if line.startswith("data: "))
            next(lines)
            assert json.loads(next(lines)[6:], parse_constant=no) == row
        with connect(f"{url.replace('http', 'ws')}/ws/insights") as ws:
            ws.recv(timeout=20)
            assert json.loads(ws.recv(timeout=20), parse_constant=no)["data"] == row


def test_the_line_is_kept_open(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastapi.routing._PING_INTERVAL", 0.1)
    with (
        served(project) as url,
        httpx2.Client(base_url=url, timeout=30) as client,
        client.stream("GET", "/insights/stream?kind=none") as response,
    ):
        lines = response.iter_lines()
        assert sum(next(lines) == ": ping" for _ in range(12)) >= 2


def test_a_wrong_parameter_is_told_over_the_socket(project: Project) -> None:
    with (
        served(project) as url,
        connect(f"{url.replace('http', 'ws')}/ws/insights?severity=urgent") as ws,
    ):
        told = json.loads(ws.recv(timeout=20))
        assert (told["event"], told["id"]) == ("error", None)
        assert told["data"]["status"] == 422
        assert [one["where"] for one in told["data"]["errors"]] == ["query.severity.0"]
        with pytest.raises(ConnectionClosed) as closed:
            ws.recv(timeout=20)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008
        assert "query.severity" in closed.value.rcvd.reason
        plain = httpx2.get(f"{url}/ws/insights")
        assert plain.headers["upgrade"] == "websocket"
