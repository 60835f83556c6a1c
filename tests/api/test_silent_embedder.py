"""A search whose embedder's server is silent is answered in time, and holds no place after that."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from stupid_dagster.api import create_app
from stupid_dagster.project import Project
from stupid_dagster.stores.ledger import FOLDER
from stupid_dagster.stores.snapshots import published_id
from tests.embed.servers import Silence, embedding_server

SECONDS = 1.0


def searched_by(project: Project, url: str) -> Project:
    """Return the project with a server's embedder, as if that had made what is published."""
    changes = {"embedder_backend": "openai", "embedder_model": "m", "embedder_url": url}
    limits = {"step_seconds": SECONDS, "api_concurrency": 1}
    changed = Project.load(project.settings.root, changes | limits)
    manifest = Path(project.lake.root / FOLDER / f"{published_id(project.lake)}.json")
    told, own = manifest.read_text(), project.embedder.model_id
    assert own in told
    manifest.write_text(told.replace(own, changed.embedder.model_id))
    return changed


def test_a_silent_embedder_keeps_nobody_waiting(
    flights_copy: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    with embedding_server("openai", lambda _: Silence(4 * SECONDS)) as served:
        project = searched_by(flights_copy, served.url)
        with TestClient(create_app(project), raise_server_exceptions=False) as client:
            for params in ({}, {"mode": "hybrid"}, {"of": "events"}):
                started = time.monotonic()
                answer = client.get("/search", params={"text": "Honolulu", **params})
                assert time.monotonic() - started < 2 * SECONDS
                assert answer.status_code == 504, answer.text
                told = answer.json()["detail"]
                assert "openai/m" in told and "step_seconds" in told and "mode=text" in told
            # There is one place for all searches: it is free.
            started = time.monotonic()
            answer = client.get("/search", params={"text": "Honolulu", "mode": "text"})
            assert answer.status_code == 200 and answer.json()["rows"]
            assert time.monotonic() - started < SECONDS
