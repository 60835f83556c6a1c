"""The parameters' examples on the OpenAPI page: in the boxes, and answered when they are sent."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from stupid_dagster.api import create_app, routes
from stupid_dagster.project import Project
from stupid_dagster.settings import Settings
from tests.api.urls import OTHERS, POSTS, QUESTIONS, STREAMS, URLS

# Ids of what is computed depend on the window; `URLS` has those of the tests' sample.
_PATHS = sorted(set(URLS) - OTHERS)


def parameters(app: FastAPI, path: str, method: str = "get") -> list[dict[str, Any]]:
    return app.openapi()["paths"][path][method].get("parameters", [])


def filled(app: FastAPI, path: str, given: list[dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    """Return the URL with the examples of a path's parameters, and those of the query."""
    url = path
    for one in given:
        if one["in"] == "path":
            url = url.replace(f"{{{one['name']}}}", one["example"])
    return url, {one["name"]: one["example"] for one in given if one["in"] == "query"}


def test_examples_are_at_the_parameters_and_types_are_plain(app: FastAPI) -> None:
    seen = 0
    for path, operations in app.openapi()["paths"].items():
        for method in operations:
            for one in parameters(app, path, method):
                seen += 1
                assert "examples" not in one["schema"], (path, one)
                assert {"type": "null"} not in one["schema"].get("anyOf", ()), (path, one)
                assert one["schema"].get("type"), (path, one)
                if one["in"] == "path" or one["required"]:
                    assert "example" in one, (path, one)
    assert seen > 100


@pytest.mark.parametrize("path", _PATHS)
def test_each_example_is_answered(client: TestClient, app: FastAPI, path: str) -> None:
    given = [one for one in parameters(app, path) if "example" in one]
    needed = [one for one in given if one["required"]]
    for one in [None, *(one for one in given if not one["required"])]:
        url, query = filled(app, path, [*needed, one] if one else needed)
        if path == "/search" and "text" not in query:
            query["text"] = "snow"
        if path == "/knowledge/contrast":
            query["cluster"] = "cluster:0"
        answer = client.get(url, params=query)
        assert answer.status_code == 200, (url, query, answer.text)


@pytest.mark.parametrize("path", _PATHS)
def test_all_examples_at_once_are_answered(client: TestClient, app: FastAPI, path: str) -> None:
    """What Swagger sends when nothing is taken out of its boxes."""
    url, query = filled(app, path, [one for one in parameters(app, path) if "example" in one])
    answer = client.get(url, params=query)
    assert answer.status_code == 200, (url, query, answer.text)


def test_the_routes_of_the_page_are_those_that_are_tried(app: FastAPI) -> None:
    tried = set(_PATHS) | set(POSTS) | QUESTIONS | STREAMS | OTHERS
    assert set(app.openapi()["paths"]) == tried, "tests/api/urls.py names one of each route"


@pytest.mark.parametrize("module", [one.name for one in iter_modules(routes.__path__)])
def test_each_file_of_routes_is_served(module: str) -> None:
    router = import_module(f"{routes.__name__}.{module}").router
    served = create_app(Project(Settings())).openapi()["paths"]
    told = [route.path for route in router.routes if getattr(route, "include_in_schema", True)]
    missing = [path for path in told if path.replace(":path}", "}") not in served]
    assert not missing, f"create_app in api/app.py doesn't include {module}"
