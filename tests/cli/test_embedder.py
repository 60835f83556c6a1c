"""`embedder`, and what other commands say when another one is set."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result

from stupid_dagster.cli import main
from stupid_dagster.ingest.arrivals import look_for_arrivals
from stupid_dagster.project import Project
from stupid_dagster.stages.arrivals import StaleDays, find_stale_days
from tests.embed.tiny import write_model


def call(project: Project, *arguments: str) -> Result:
    """Return what a command printed, and its exit code."""
    root = ["--root", str(project.settings.root)]
    return CliRunner().invoke(main, [*root, *arguments], catch_exceptions=False)


@pytest.fixture
def with_tiny(flights_copy: Project) -> Project:
    """A project whose days were made by the bundled embedder, and that has another now."""
    root = flights_copy.settings.root
    write_model(root / "tiny")
    with (root / "stupid.toml").open("a") as config:
        config.write("[embedder]\nbackend = 'onnx'\nmodel = 'tiny'\n")
    return Project.load(root)


def stale(project: Project) -> StaleDays:
    arrivals = look_for_arrivals(
        project.model,
        project.source,
        project.lake.root / "landing-index.json",
        {},
        now=2e9,
        stable_seconds=0,
    )
    return find_stale_days(project, arrivals)


def test_show(flights_project: Project, with_tiny: Project) -> None:
    shown = call(flights_project, "embedder", "show").output
    assert "minilm-static-256@" in shown and "256" in shown and "another" not in shown
    shown = call(with_tiny, "embedder", "show").output
    assert "tiny@" in shown and "minilm-static-256@" in shown
    assert "`stupid-dagster run --only-vectors --from 2013-02-06 --to 2013-02-09`" in shown


def test_compare_on_the_lake_and_on_files(with_tiny: Project, tmp_path: Path) -> None:
    result = call(with_tiny, "embedder", "compare", "bundled", "onnx:tiny", "--texts", "150")
    assert result.exit_code == 0, result.output
    assert "Embedders on 150 texts" in result.output
    assert "the 10 nearest of a text that both find" in result.output

    words = [f"red {n} blue {n % 7}" for n in range(60)]
    (tmp_path / "texts.txt").write_text("\n".join([*words, *words, " "]))
    pl.DataFrame({"text": [*words, None]}).write_parquet(tmp_path / "texts.parquet")
    pl.DataFrame({"words": words}).write_parquet(tmp_path / "other.parquet")
    for name in ("texts.txt", "texts.parquet"):
        file = str(tmp_path / name)
        result = call(with_tiny, "embedder", "compare", "bundled", "bundled", "--data", file)
        assert "Embedders on 60 texts" in result.output
        assert result.output.count("1.00") == 4
    other = str(tmp_path / "other.parquet")
    result = call(with_tiny, "embedder", "compare", "bundled", "bundled", "--data", other)
    assert result.exit_code == 1 and "no column `text` of texts; it has words" in result.output


def test_another_embedder_is_told_and_its_vectors_are_made_alone(with_tiny: Project) -> None:
    project = with_tiny
    documents = [project.lake.live("documents", f"2013-02-0{n}").name for n in range(6, 10)]
    days = "--only-vectors --from 2013-02-06 --to 2013-02-09"
    told = " ".join(call(project, "status").output.split())
    assert "4 days of the window have vectors of another embedder" in told
    assert f"run {days} --window 2013-02-09" in told
    found = stale(project).days
    assert [(day.day, day.tables) for day in found] == [
        (f"2013-02-0{n}", ("vectors",)) for n in range(9, 5, -1)
    ]

    # The events aren't read again: they may be gone.
    project.settings.path(project.settings.landing).rename(project.settings.root / "elsewhere")
    result = call(project, "run", *days.split(), "--no-window")
    assert result.exit_code == 0, result.output
    assert documents == [project.lake.live("documents", f"2013-02-0{n}").name for n in range(6, 10)]
    assert project.days_of_other_embedders(project.lake.partitions("vectors")) == []
    assert "another embedder" not in call(project, "status").output
    (project.settings.root / "elsewhere").rename(project.settings.path(project.settings.landing))
    assert stale(project).days == ()
    # A model that is gone stops no day from being asked for.
    (project.settings.root / "tiny" / "model.onnx").unlink()
    assert stale(Project.load(project.settings.root)).days == ()
