"""What the documentation shows is run as it stands, against a real server."""

from __future__ import annotations

import re
import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from stupid_dagster.client import Client
from stupid_dagster.compute.plots.trends import trend_plot
from stupid_dagster.event_model import parse_event_model
from stupid_dagster.project import Project
from stupid_dagster.stores.snapshots import open_snapshot
from tests.api.serving import served

DOCS = Path(__file__).parents[2] / "docs"
SERVER = "http://127.0.0.1:8000"


def blocks(page: str, language: str) -> list[str]:
    """Return a page's blocks of code in a language."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def url(two_windows: Project) -> Iterator[str]:
    project = Project.load(two_windows.settings.root, {"api_port": 0})
    with served(project) as url:
        yield url


def test_the_python_of_the_api_page_runs(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = blocks("api.md", "python")
    assert len(found) == 3
    names: dict[str, object] = {}
    told = []
    for code in found:
        assert "..." not in code
        exec(compile(code.replace(SERVER, url), "docs/api.md", "exec"), names)
        told.append(capsys.readouterr().out)
    tables, plan, question = told
    assert "route:JFK-BOS" in tables and "airport:JFK" in tables
    assert "datetime[ms, UTC]" in plan
    assert "language model" in question


def test_the_plans_of_the_plans_page_run(url: str) -> None:
    found = blocks("plans.md", "yaml")
    assert found
    with Client(url) as api:
        for text in found:
            plan = yaml.safe_load(text)
            assert api.validate(plan)["problems"] == []
            answer = api.plan(plan)
            assert [step["status"] for step in answer.steps] == ["ok"] * len(plan["steps"])
            assert not answer.rows.is_empty()


def test_the_event_model_of_its_page_is_right() -> None:
    (text,) = blocks("event-model.md", "yaml")

    assert parse_event_model(text).actor == "Visitor"


def test_the_picture_of_the_readme_is_drawn(two_windows: Project, tmp_path: Path) -> None:
    draw = runpy.run_path(str(DOCS / "pictures.py"))["main"]
    trends = open_snapshot(two_windows.lake).scan("trends").collect()

    draw(two_windows.settings.root, tmp_path)

    drawn = (tmp_path / "cancellations.png").read_bytes()
    assert drawn == trend_plot(trends, "cancellations") != trend_plot(trends, "departures")
    kept = (DOCS / "images" / "cancellations.png").read_bytes()
    assert kept.startswith(b"\x89PNG") and len(kept) < 150_000
