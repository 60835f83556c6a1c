"""Every request has the deadline of the setting `step_seconds`, in whatever thread it runs."""

from __future__ import annotations

import polars as pl
import pytest
from fastapi import APIRouter
from fastapi.responses import JSONResponse
from fastapi.testclient import TestClient

from stupid_dagster.api import create_app
from stupid_dagster.api.dependencies import PublishedAnswers, SnapshotAnswers
from stupid_dagster.deadline import remaining
from stupid_dagster.project import Project
from stupid_dagster.query.frames import collected
from tests.api.urls import URLS


def test_an_answer_that_takes_too_long_is_a_504(flights_project: Project) -> None:
    project = Project.load(flights_project.settings.root, {"step_seconds": 0.001})
    with TestClient(create_app(project), raise_server_exceptions=False) as client:
        answer = client.get(URLS["/documents"])
        assert answer.status_code == 504
        assert answer.json()["type"] == "urn:stupid-dagster:timed-out"
        assert "0.001 seconds" in answer.json()["detail"]
        assert client.get("/health").status_code == 200


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_route_and_what_it_reads_have_the_deadline(flights_project: Project, kind: str) -> None:
    project = Project.load(flights_project.settings.root, {"step_seconds": 7})
    app, router = create_app(project), APIRouter()

    def left() -> JSONResponse:
        assert collected(pl.LazyFrame({"a": [1]})).height == 1
        return JSONResponse(remaining())

    @router.get("/left/sync")
    def sync(answers: SnapshotAnswers) -> JSONResponse:
        return left()

    @router.get("/left/async")
    async def waiting(answers: PublishedAnswers) -> JSONResponse:
        return left()

    app.include_router(router)
    with TestClient(app) as client:
        assert 5 < client.get(f"/left/{kind}").json() <= 7
        assert 5 < client.get(f"/left/{kind}").json() <= 7
