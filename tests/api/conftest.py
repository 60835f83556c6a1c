from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from stupid_dagster.api import create_app
from stupid_dagster.project import Project


@pytest.fixture(scope="session")
def app(flights_project: Project) -> FastAPI:
    return create_app(flights_project)


@pytest.fixture(scope="session")
def client(app: FastAPI) -> Iterator[TestClient]:
    """A client that gets the server's errors as answers, as a real one does."""
    with TestClient(app, raise_server_exceptions=False) as opened:
        yield opened
