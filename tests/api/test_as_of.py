"""`as_of`: earlier windows answer while the newest is served, until they are evicted."""

from __future__ import annotations

import threading
from datetime import date
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient

from stupid_dagster.api import create_app
from stupid_dagster.project import Project
from stupid_dagster.query import SnapshotReader
from stupid_dagster.stages.evict import evict, plan_eviction
from stupid_dagster.stages.publish import publish_window
from stupid_dagster.stores.snapshots import kept_windows, open_window
from tests.api.serving import copy_version, held_files, seconds_until, served
from tests.api.urls import URLS

YESTERDAY, LAST_DAY = "2013-02-08", "2013-02-09"
STORES = ("graph_database", "search_index")
ASKED = {path: url for path, url in URLS.items() if path not in ("/health", "/ready")}
# The machine that runs the tests may be busy with others; alone it takes less than two seconds.
SOON = 6


def with_as_of(url: str, day: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}as_of={day}"


@pytest.fixture(scope="module")
def client(two_windows: Project):
    with TestClient(create_app(two_windows), raise_server_exceptions=False) as opened:
        yield opened


def get(client: TestClient | httpx2.Client, url: str) -> dict[str, Any]:
    response = client.get(url)
    assert response.status_code == 200, response.text
    return response.json()


@pytest.mark.parametrize("path", ASKED)
def test_every_route_answers_for_an_earlier_window(
    client: TestClient, two_windows: Project, path: str
) -> None:
    kept = kept_windows(two_windows.lake)
    answer = get(client, with_as_of(ASKED[path], YESTERDAY))
    assert answer["snapshot"] == kept[YESTERDAY]
    assert answer["window"] == {"first_day": "2013-01-10", "last_day": YESTERDAY, "days": 3}
    newest = get(client, ASKED[path])
    assert newest["snapshot"] == kept[LAST_DAY]
    assert get(client, with_as_of(ASKED[path], LAST_DAY)) == newest


def test_the_answers_are_that_window_s(client: TestClient, two_windows: Project) -> None:
    snapshot = open_window(two_windows.lake, YESTERDAY)
    with SnapshotReader(two_windows, snapshot) as reader:
        url = with_as_of("/graph/nodes/airport:EWR", YESTERDAY)
        events = get(client, url)["node"]["events"]
        assert events == reader.node("airport:EWR")["events"]
        assert events < get(client, "/graph/nodes/airport:EWR")["node"]["events"]
        url = with_as_of("/knowledge/pagerank?limit=50", YESTERDAY)
        assert get(client, url)["rows"] == reader.knowledge("pagerank", limit=50).rows.to_dicts()
    found = get(client, with_as_of("/search?text=cancelled&limit=50", YESTERDAY))["rows"]
    assert found
    assert {day for row in found for day in row["days"]} <= {"2013-02-06", "2013-02-07", YESTERDAY}
    days = "/documents?event_type=Departure&first_day=2013-02-09"
    assert client.get(with_as_of(days, YESTERDAY)).status_code == 422


def test_the_snapshot_lists_what_can_be_asked_for(client: TestClient, two_windows: Project) -> None:
    kept = kept_windows(two_windows.lake)
    wanted = [
        {"last_day": YESTERDAY, "snapshot": kept[YESTERDAY], "published": False},
        {"last_day": LAST_DAY, "snapshot": kept[LAST_DAY], "published": True},
    ]
    assert get(client, "/snapshot")["windows"] == wanted
    assert get(client, with_as_of("/snapshot", YESTERDAY))["windows"] == wanted


@pytest.mark.parametrize("path", ASKED)
def test_windows_that_are_not_kept_are_not_found(client: TestClient, path: str) -> None:
    response = client.get(with_as_of(ASKED[path], "2013-02-07"))
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
    assert f"those ending on {YESTERDAY}, {LAST_DAY}" in response.json()["detail"]
    for malformed in ("yesterday", "2013-02-30", "1360368000", "", "2013-02-08T00:00"):
        response = client.get(with_as_of(ASKED[path], malformed))
        assert response.status_code == 422
        assert "query.as_of" in response.json()["detail"]


def test_health_and_ready_speak_of_no_window(client: TestClient) -> None:
    for path in ("/health", "/ready"):
        response = client.get(with_as_of(path, YESTERDAY))
        assert response.status_code == 422
        assert "no parameter 'as_of'" in response.json()["detail"]


def test_the_page_has_as_of_with_an_example_that_is_kept(client: TestClient) -> None:
    page = client.get("/openapi.json").json()["paths"]
    for path in URLS:
        given = {p["name"]: p for p in page[path]["get"].get("parameters", [])}
        assert ("as_of" in given) == (path in ASKED)
        if path in ASKED:
            example = given["as_of"]["example"]
            assert client.get(with_as_of(ASKED[path], example)).status_code == 200


def test_an_evicted_window_is_gone_soon_and_its_files_are_let_go(
    two_windows_copy: Project,
) -> None:
    project = Project.load(
        two_windows_copy.settings.root, {"api_port": 0, "garbage_minutes": 0, "kept_windows": 1}
    )
    lake = project.lake
    folders = [lake.version_path(lake.live(table, YESTERDAY)) for table in STORES]
    with served(project) as url, httpx2.Client(base_url=url, timeout=60) as client:
        assert held_files(*folders) == []
        for path in ASKED.values():
            assert get(client, with_as_of(path, YESTERDAY))["window"]["last_day"] == YESTERDAY
        assert held_files(*folders)

        # The window that ends on 8 March begins on 7 February: yesterday's has a day before.
        eviction = plan_eviction(project, date(2013, 3, 8))
        assert eviction and YESTERDAY in eviction.stale["catalog"]
        thread = threading.Thread(target=evict, args=(project, eviction))
        thread.start()
        thread.join()
        gone = with_as_of("/snapshot", YESTERDAY)
        assert seconds_until(lambda: client.get(gone).status_code == 404) < SOON
        assert f"those ending on {LAST_DAY}." in client.get(gone).json()["detail"]
        assert seconds_until(lambda: held_files(*folders) == []) < SOON
        assert not any(folder.exists() for folder in folders)
        assert get(client, "/snapshot")["window"]["last_day"] == LAST_DAY


def test_the_move_to_a_new_snapshot_lets_go_of_the_old_one(two_windows_copy: Project) -> None:
    project = Project.load(two_windows_copy.settings.root, {"api_port": 0, "garbage_minutes": 0})
    with served(project) as url, httpx2.Client(base_url=url, timeout=60) as client:
        for day in (LAST_DAY, YESTERDAY):
            for path in ASKED.values():
                get(client, with_as_of(path, day))
            former = [copy_version(project.lake, table, day) for table in STORES]
            assert held_files(*former)
            snapshot = publish_window(project, day).manifest.id

            def moved(day: str = day, snapshot: str = snapshot) -> bool:
                return get(client, with_as_of("/snapshot", day))["snapshot"] == snapshot

            assert seconds_until(moved) < SOON
            assert seconds_until(lambda held=former: held_files(*held) == []) < SOON
            for path in ASKED.values():
                assert get(client, with_as_of(path, day))["snapshot"] == snapshot
