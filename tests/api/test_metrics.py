"""What Prometheus is told."""

from __future__ import annotations

import re
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from prometheus_client import Counter
from prometheus_client.parser import text_string_to_metric_families
from websockets.sync.client import connect

from stupid_dagster.api import create_app
from stupid_dagster.api.metrics import metrics_of
from stupid_dagster.errors import TimedOutError
from stupid_dagster.llm.spending import SPENT
from stupid_dagster.project import Project
from stupid_dagster.stages.publish import publish_window
from stupid_dagster.stages.window import open_window
from stupid_dagster.stores.snapshots import open_snapshot
from tests.api.serving import seconds_until, served
from tests.api.urls import URLS


def samples(client: TestClient | httpx2.Client) -> dict[str, float]:
    """Return the samples by name and labels."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    found = {}
    for family in text_string_to_metric_families(answer.text):
        assert family.documentation
        for sample in family.samples:
            labels = ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


@pytest.fixture
def app(flights_project: Project) -> FastAPI:
    return create_app(flights_project)


def test_requests_are_counted_by_their_route(app: FastAPI) -> None:
    @app.get("/late")
    def late() -> None:
        raise TimedOutError("too late")

    with TestClient(app, raise_server_exceptions=False) as client:
        for number in range(5):
            client.get(f"/documents/2013-02-08/Departure/{number}")
        client.get("/knowledge/pagerank?limit=7")
        client.get("/knowledge/pagerank?limit=3", headers={"Accept": "text/csv"})
        client.head("/knowledge/pagerank")
        for path in ("/a", "/b", "/c/d"):
            assert client.get(path).status_code == 404
        client.request("BREW", "/health")
        assert client.get("/late").status_code == 504
        found = samples(client)

    def requests(route: str, method: str, status: int) -> float:
        return found[f"stupid_requests_total{{method={method},route={route},status={status}}}"]

    assert requests("/documents/{doc_id}", "GET", 200) == 5
    assert requests("/knowledge/pagerank", "GET", 200) == 2
    assert requests("/knowledge/pagerank", "HEAD", 200) == 1
    assert requests("none", "GET", 404) == 3
    assert requests("/health", "other", 405) == 1
    assert found["stupid_request_seconds_count{route=/documents/{doc_id}}"] == 5
    assert found["stupid_request_seconds_bucket{le=30.0,route=/knowledge/pagerank}"] == 3
    assert not [name for name in found if "_created" in name]
    assert found["stupid_rows_served_total"] >= 10
    assert found["stupid_requests_in_flight"] == 1
    assert found["stupid_request_timeouts_total"] == 1
    assert found["stupid_uptime_seconds"] > 0


def test_the_snapshot_is_told(app: FastAPI, flights_project: Project) -> None:
    manifest = open_snapshot(flights_project.lake).manifest
    with TestClient(app) as client:
        found = samples(client)
    assert found["stupid_window_days"] == 4
    assert found["stupid_kept_windows"] == 1
    assert 0 < found["stupid_snapshot_age_seconds"] < 24 * 3600
    for table in ("documents", "graph_database", "search_index"):
        size = sum(version.bytes for version in manifest.of(table).values())
        assert found[f"stupid_store_bytes{{table={table}}}"] == size > 0


def test_the_page_has_each_metric_and_no_other(app: FastAPI) -> None:
    with TestClient(app) as client:
        text = client.get("/metrics").text
    told = set(re.findall(r"^# TYPE (stupid_\w+)", text, re.MULTILINE))
    page = Path(__file__).parents[2].joinpath("docs", "api.md").read_text(encoding="utf-8")
    assert set(re.findall(r"`(stupid_\w+)`", page)) == told
    assert "stupid_queries_abandoned" in told


def test_streams_are_counted_apart(flights_project: Project) -> None:
    project = Project.load(flights_project.settings.root, {"api_port": 0})
    with served(project) as url, httpx2.Client(base_url=url, timeout=30) as client:

        def told(name: str) -> float | None:
            return samples(client).get(name)

        with client.stream("GET", "/insights/stream") as stream:
            lines = stream.iter_lines()
            next(lines)
            with connect(f"{url.replace('http', 'ws')}/ws/insights") as ws:
                ws.recv(timeout=20)
                found = samples(client)
                for route in ("/insights/stream", "/ws/insights"):
                    assert found[f"stupid_streams_open{{route={route}}}"] == 1
                    assert found[f"stupid_streams_total{{route={route}}}"] == 1
                # The one that asks.
                assert found["stupid_requests_in_flight"] == 1
                asked = "stupid_requests_total{method=GET,route=/insights/stream,status=200}"
                assert found[asked] == 1
            seconds_until(lambda: told("stupid_streams_open{route=/ws/insights}") == 0)
        seconds_until(lambda: told("stupid_streams_open{route=/insights/stream}") == 0)
        client.head("/insights/stream")
        assert client.get("/insights/stream?severity=x").status_code == 422
        found = samples(client)
        assert found["stupid_streams_total{route=/insights/stream}"] == 1
        assert found["stupid_requests_in_flight"] == 1
        # HEAD, and what was refused, are over at once.
        assert found["stupid_request_seconds_count{route=/insights/stream}"] == 2
        assert "stupid_request_seconds_count{route=/ws/insights}" not in found


def test_a_scrape_is_short(app: FastAPI) -> None:
    with TestClient(app, raise_server_exceptions=False) as client:
        for url in URLS.values():
            client.get(url)
        # Of about 40 routes, 17 lines each.
        assert len(client.get("/metrics").content) < 45_000


def test_labels_stay_few_whatever_is_asked(app: FastAPI) -> None:
    with TestClient(app, raise_server_exceptions=False) as client:
        known = []
        for number in range(20):
            client.get(f"/nothing/{number}?x={number}")
            client.get(f"/graph/nodes/airport:{number}")
            client.request(f"METHOD{number}", "/health")
            known.append(len(samples(client)))
    assert len(set(known[1:])) == 1


def test_apps_count_apart_and_take_more_counters(flights_project: Project, tmp_path: Path) -> None:
    apps = create_app(flights_project), create_app(Project.load(tmp_path))
    for app in apps:
        Counter("tokens", "Tokens.", registry=metrics_of(app).registry).inc(3)
    # Nothing is published for the second, and it tells so.
    with TestClient(apps[0]) as first, TestClient(apps[1]) as second:
        first.get("/health")
        assert samples(first)["tokens_total"] == samples(second)["tokens_total"] == 3
        assert not [name for name in samples(second) if "/health" in name or "window_days" in name]


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_scrapers_need_the_key_elsewhere(tmp_path: Path, host: str) -> None:
    project = Project.load(tmp_path, {"api_key": "schlüssel", "api_host": host})
    with TestClient(create_app(project)) as client:
        bare = client.get("/metrics")
        assert bare.status_code == (200 if host == "127.0.0.1" else 401)
        for name, value in (("X-API-Key", "schlüssel"), ("Authorization", "Bearer schlüssel")):
            headers = {name.encode(): value.encode()}
            assert client.get("/metrics", headers=headers).status_code == 200
            wrong = client.get("/metrics", headers={name.encode(): value.encode() + b"x"})
            assert wrong.status_code == bare.status_code
        if host != "127.0.0.1":
            assert bare.headers["content-type"] == "application/problem+json"


def test_what_the_words_of_a_snapshot_took(flights_copy: Project) -> None:
    labels = flights_copy.lake.read("labels", "2013-02-09")
    took = {"requests": 2, "prompt_tokens": 2000, "completion_tokens": 150, "dollars": 0.05}
    spent = {"ollama/m:8b": took}
    stage = open_window(flights_copy, "2013-02-09").stage()
    stage.table("labels", labels, metadata={SPENT: spent})
    publish_window(flights_copy, "2013-02-09")
    with TestClient(create_app(flights_copy)) as client:
        found = samples(client)
    name = "stupid_snapshot_language_model_tokens"
    tokens = {key: value for key, value in found.items() if key.startswith(name)}
    label = "model=m:8b,provider=ollama,table=labels"
    kinds = {"completion": 150, "prompt": 2000}
    assert tokens == {f"{name}{{kind={kind},{label}}}": number for kind, number in kinds.items()}
    assert found[f"stupid_snapshot_language_model_dollars{{{label}}}"] == 0.05
