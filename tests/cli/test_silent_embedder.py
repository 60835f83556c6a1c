"""A search at the console whose embedder's server is silent: an error in time."""

from __future__ import annotations

import time

import pytest

from stupid_dagster.cli.search import show_search
from stupid_dagster.errors import TimedOutError
from stupid_dagster.project import Project
from tests.api.test_silent_embedder import SECONDS, searched_by
from tests.embed.servers import Silence, embedding_server


def test_a_silent_embedder_keeps_nobody_waiting(
    flights_copy: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    with embedding_server("openai", lambda _: Silence(4 * SECONDS)) as served:
        project = searched_by(flights_copy, served.url)
        started = time.monotonic()
        with pytest.raises(TimedOutError, match=r"setting step_seconds.*mode=text"):
            show_search(project, "Honolulu")
        assert time.monotonic() - started < 2.5 * SECONDS
        show_search(project, "Honolulu", mode="text")
