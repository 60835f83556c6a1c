"""The whole API, fuzzed by its own OpenAPI page, and the WebSocket, which it hasn't.

`FUZZ_CASES=2000 pytest tests/api/test_fuzz.py` makes so many cases of each route; `-rP` shows how
many there were in all. Cursors have a file of their own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from stupid_dagster.api import create_app
from stupid_dagster.project import Project
from stupid_dagster.settings import Settings
from tests.api.urls import STREAMS

CASES = int(os.environ.get("FUZZ_CASES", "20"))
CHECKS = [
    *(not_a_server_error, status_code_conformance, content_type_conformance),
    *(response_schema_conformance, response_headers_conformance),
]


@pytest.fixture(scope="session")
def page(
    flights_project: Project, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BaseSchema]:
    inbox = tmp_path_factory.mktemp("fuzz") / "inbox"
    project = Project.load(flights_project.settings.root, {"inbox": str(inbox), "rows_most": 500})
    app = create_app(project)
    # Opened, so that there is a snapshot to answer from.
    with TestClient(app):
        yield schemathesis.openapi.from_asgi("/openapi.json", app)


ROUTES = [
    (path, method)
    for path, operations in create_app(Project(Settings())).openapi()["paths"].items()
    for method in operations
    if path not in STREAMS | {"/query"}  # That needs a language model: test_query.py.
]


@pytest.mark.parametrize(("path", "method"), ROUTES)
def test_whatever_is_asked_is_answered_as_the_page_says(
    page: BaseSchema, path: str, method: str
) -> None:
    @given(page[path][method].as_strategy())
    @settings(
        max_examples=CASES,
        deadline=None,
        suppress_health_check=list(HealthCheck),  # pyright: ignore[reportArgumentType]
        # The same cases each time, unless many are asked for.
        derandomize=CASES <= 20,
        database=None,
    )
    def ask(case: Case) -> None:
        case.call_and_validate(checks=CHECKS)

    ask()
