"""`evict`, as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from stupid_dagster.automation.runs import open_instance, run_partition
from stupid_dagster.cli import main
from stupid_dagster.project import Project
from stupid_dagster.stages.audit import audit
from stupid_dagster.stages.evict import plan_eviction
from stupid_dagster.tables import DAY_TABLES
from tests.pipeline import make_window

AS_OF, GONE = "2013-03-09", "2013-02-06"


@pytest.fixture
def project(flights_copy: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Return a project with its own Dagster home, and files that go at once."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.delenv("STUPID_ROOT", raising=False)
    config = flights_copy.settings.root / "stupid.toml"
    config.write_text(config.read_text() + "garbage_minutes = 0\n")
    return Project.load(flights_copy.settings.root)


def evict(project: Project, *arguments: str) -> Result:
    command = ["--root", str(project.settings.root), "evict", *arguments]
    return CliRunner().invoke(main, command, catch_exceptions=False)


def tree(root: Path) -> dict[str, tuple[int, int]]:
    """Return size and time of change of all files and folders, without Dagster's own."""
    return {
        str(path): (path.lstat().st_size, path.lstat().st_mtime_ns)
        for path in [root, *root.rglob("*")]
        if ".dagster_home" not in path.parts
    }


def test_a_dry_run_tells_what_would_go_and_changes_nothing(project: Project) -> None:
    root = project.settings.root
    before = tree(root)

    result = evict(project, "--as-of", AS_OF, "--dry-run")

    assert result.exit_code == 0
    assert "Before 2013-02-07" in result.output
    rows = project.lake.live("documents", GONE).rows
    size = project.lake.live("documents", GONE).bytes
    assert any(
        line.split() == ["documents", "1", GONE, GONE, f"{rows:,}", f"{size:,}"]
        for line in result.output.splitlines()
    )
    assert "records in Dagster: 0 partitions" in result.output
    assert f"bytes that leave at once: {sum(_bytes(project)):,} (" in result.output
    assert "windows that remain: 2013-02-09" in result.output
    assert "published window is made of 1 of the evicted days" in result.output
    # Not even a Dagster home is made.
    assert tree(root) == before
    assert not (root / ".dagster_home").exists()


def _bytes(project: Project) -> list[int]:
    return [
        file.stat().st_size
        for table in DAY_TABLES
        for file in (project.lake.root / table / GONE).glob("2*/*")
    ]


def test_what_waits_is_told_with_its_end(project: Project) -> None:
    config = project.settings.root / "stupid.toml"
    config.write_text(config.read_text().replace("garbage_minutes = 0", "garbage_minutes = 5"))

    result = evict(project, "--as-of", AS_OF, "--dry-run")

    assert "bytes that leave at once: 0 (0 versions)" in result.output
    assert f"bytes that wait for slow readers: {sum(_bytes(project)):,}, until 20" in result.output


def test_eviction_by_hand_is_audited_and_done_once(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUPID_ROOT", str(project.settings.root))
    with open_instance(project) as instance:
        assert run_partition("days", GONE, instance).error is None
    told = evict(project, "--as-of", AS_OF, "--dry-run").output
    assert f"records in Dagster: {len(DAY_TABLES)} partitions of {len(DAY_TABLES)} assets" in told
    with open_instance(project) as instance:
        assert "documents" in {key.to_user_string() for key in instance.all_asset_keys()}, (
            "a dry run wipes nothing"
        )

    done = evict(project, "--as-of", AS_OF)

    assert GONE not in project.lake.partitions("documents")
    assert not (project.lake.root / "documents" / GONE).exists()
    # What goes is shown once, then what was done.
    assert done.output.count("Before 2013-02-07") == done.output.count("\ndocuments ") == 1
    assert "bytes that leave at once" not in done.output and "\nevicted: " in done.output
    # What is served was made of it.
    assert done.exit_code == 1
    assert "published window ending on 2013-02-09 was made of days" in done.output
    # Once: the plan doesn't tell it before.
    assert " ".join(done.output.split()).count("the published window") == 0
    assert done.output.count("the same `evict`") == 0
    assert "kuzu" in done.output and "graph_database" in done.output
    again = evict(project, "--as-of", AS_OF)
    assert "nothing to do: nothing lies before the horizon, 2013-02-07" in again.output
    assert "evicted: " not in again.output
    dry = " ".join(evict(project, "--as-of", AS_OF, "--dry-run").output.split())
    assert "without them. Now `stupid-dagster run --window 2013-02-09`" in dry
    rejects = ["--root", str(project.settings.root), "rejects", GONE]
    gone = CliRunner().invoke(main, rejects, catch_exceptions=False)
    assert gone.exit_code == 1
    assert f"{GONE} was evicted with its rejects" in gone.stderr
    assert "kept the days from 2013-02-07 on" in gone.stderr

    # What the audit advises clears it: the snapshot that was served goes too.
    make_window(project, "2013-02-09")
    assert evict(project, "--as-of", AS_OF).exit_code == 0


def test_a_dry_run_needs_no_variable_of_dagster_s(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_instance(project):
        pass
    monkeypatch.delenv("DAGSTER_HOME")
    assert evict(project, "--dry-run").exit_code == 0


def test_a_variable_that_the_instance_misses_is_named(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {"postgres_url": {"env": "NO_SUCH_URL"}}
    storage = {
        "module": "stupid_dagster.instance.postgres",
        "class": "WipeablePostgresStorage",
        "config": config,
    }
    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text(json.dumps({"storage": {"custom": storage}}))
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    monkeypatch.delenv("NO_SUCH_URL", raising=False)

    done = evict(project, "--dry-run")

    assert done.exit_code == 1
    assert "takes NO_SUCH_URL from the environment" in done.output


def test_a_clean_project_ends_with_zero(project: Project) -> None:
    result = evict(project)

    assert result.exit_code == 0
    assert "nothing to do" in result.output
    assert "nothing speaks of a day before 2013-01-10, in any store" in result.output
    eviction = plan_eviction(project)
    assert eviction and audit(project, eviction).passed
