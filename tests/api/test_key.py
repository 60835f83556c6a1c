"""The key, and who is let in without one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from stupid_dagster.api import create_app
from stupid_dagster.api.server import bound_socket, is_loopback
from stupid_dagster.errors import SettingsError
from stupid_dagster.project import Project
from stupid_dagster.settings import Settings
from tests.api.urls import OTHERS, POSTS, QUESTIONS, STREAMS, URLS

KEY = "schlüssel-7"
OPEN = {"/health", "/ready"}


@pytest.fixture(scope="module")
def locked(flights_project: Project) -> Iterator[TestClient]:
    project = Project.load(flights_project.settings.root, {"api_key": KEY})
    with TestClient(create_app(project), raise_server_exceptions=False) as client:
        yield client


def test_no_route_but_health_and_ready_answers_without_the_key(locked: TestClient) -> None:
    paths = set(locked.get("/openapi.json").json()["paths"])
    assert paths == set(URLS) | set(POSTS) | STREAMS | QUESTIONS | OTHERS
    for path, url in URLS.items():
        response = locked.get(url)
        assert response.status_code == (200 if path in OPEN else 401), path
        if path not in OPEN:
            assert response.headers["content-type"] == "application/problem+json"
            assert "X-API-Key" in response.json()["detail"]


@pytest.mark.parametrize("key", ["", "x", KEY[:-1], KEY + "x", KEY.upper(), "null"])
def test_wrong_keys_are_refused(locked: TestClient, key: str) -> None:
    response = locked.get("/snapshot", headers={b"X-API-Key": key.encode()})
    assert response.status_code == 401


def test_the_key_comes_before_all_else(locked: TestClient) -> None:
    for url in ("/documents?limit=x", "/documents?nonsense=1", "/graph/nodes/none"):
        assert locked.get(url).status_code == 401


def test_the_key_opens_every_route(locked: TestClient) -> None:
    for url in URLS.values():
        assert locked.get(url, headers={b"x-api-key": KEY.encode()}).status_code == 200


def test_the_page_asks_for_the_key(locked: TestClient) -> None:
    tree = locked.get("/openapi.json").json()
    assert tree["components"]["securitySchemes"]["APIKeyHeader"]["name"] == "X-API-Key"
    for path in URLS:
        assert ("security" in tree["paths"][path]["get"]) == (path not in OPEN)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com", ""])
def test_other_machines_are_let_in_with_a_key_only(host: str) -> None:
    for key in (None, ""):
        settings = Settings(api_host=host, api_key=key, api_port=0)
        with pytest.raises(SettingsError, match="api_key isn't set"):
            bound_socket(settings)


def test_loopback_needs_no_key_and_others_bind_with_one() -> None:
    for host, key in (("127.0.0.1", None), ("localhost", None), ("0.0.0.0", "k")):
        settings = Settings(api_host=host, api_key=key, api_port=0)
        with bound_socket(settings) as listener:
            assert listener.getsockname()[1] > 0


def test_what_cant_be_bound_is_said() -> None:
    with bound_socket(Settings(api_port=0)) as listener:
        listener.listen()
        with pytest.raises(SettingsError, match="another api_port"):
            bound_socket(Settings(api_port=listener.getsockname()[1]))
    with pytest.raises(SettingsError, match="api_host"):
        bound_socket(Settings(api_host="no.such.host.invalid", api_key="k"))
    with pytest.raises(SettingsError, match="api_port"):
        bound_socket(Settings(api_port=70_000))


def test_what_is_a_loopback_address() -> None:
    assert all(is_loopback(host) for host in ("127.0.0.1", "127.1.2.3", "::1", "localhost"))
    assert not any(
        is_loopback(host) for host in ("0.0.0.0", "::", "10.0.0.1", "localhost.evil", "")
    )
