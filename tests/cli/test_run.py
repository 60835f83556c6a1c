"""`run --window`, and asking the window that it keeps beside the published one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stupid_dagster.project import Project
from stupid_dagster.stores.snapshots import kept_windows, published_id
from tests.arriving import arriving_project, drop
from tests.cli.test_commands import call, of
from tests.llm.servers import Fail, model_server


def test_a_past_window_is_kept_beside_the_published_one(
    flights_copy: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = flights_copy.lake
    before = published_id(lake)
    versions = {day: lake.live("documents", day).name for day in lake.partitions("documents")}
    lake.drop("documents", "2013-02-06")  # As if it had been evicted.

    made = call(*of(flights_copy), "run", "--window", "2013-02-08")

    assert made.exit_code == 0, made.output
    said = " ".join(made.output.split())
    assert (
        "the window ending on 2013-02-08: 2 of its 30 days are complete, 2013-02-07 to "
        "2013-02-08; those evicted or never made are left out"
    ) in said
    assert "kept beside the published window, which ends on 2013-02-09" in said
    assert "--as-of 2013-02-08" in said and "?as_of=2013-02-08" in said
    assert re.search(r"^days ", made.output, re.MULTILINE) is None, "no day is made"
    assert all(lake.live("documents", d).name == versions[d] for d in lake.partitions("documents"))
    assert published_id(lake) == before
    assert [*kept_windows(lake)] == ["2013-02-08", "2013-02-09"]

    assert "labels:" not in made.output
    with model_server("openai", lambda body: Fail(401, "wrong key")) as server:
        for name, value in {"": "openai", "_OPENAI_MODEL": "m", "_OPENAI_URL": server.url}.items():
            monkeypatch.setenv(f"STUPID_LLM{name}", value)
        again = call(*of(flights_copy), "run", "--window", "2013-02-09")
    assert "labels: 0 of " in again.output and "wrong key" in " ".join(again.output.split())
    assert "digest: stayed the rule's: " in again.output
    assert "published: the window ending on 2013-02-09 is what is served now" in again.output
    assert published_id(lake) != before


def test_earlier_windows_are_asked_by_as_of(two_windows: Project) -> None:
    def trend_days(*as_of: str) -> set[str]:
        where = ("--where", "grain:eq:day", "--columns", "time", "--limit", "1000")
        shown = call(*of(two_windows), "knowledge", "trends", *where, *as_of)
        return set(re.findall(r"^(2013-02-\d\d) ", shown.output, re.MULTILINE))

    assert max(trend_days()) == max(trend_days("--as-of", "2013-02-09")) == "2013-02-09"
    assert max(trend_days("--as-of", "2013-02-08")) == "2013-02-08"

    text = ("search", "Cancelled flight", "--type", "Cancellation", "--limit", "1000")
    events = [
        sum(int(n) for n in re.findall(r"^ *-?0\.\d+ +(\d+) ", shown.output, re.MULTILINE))
        for shown in (call(*of(two_windows), *text, *more) for more in ([], AS_OF))
    ]
    assert events[0] - events[1] == 393, "those of the last day"

    path = call(*of(two_windows), "path", "airport:JFK", "airport:EWR", *AS_OF)
    assert path.exit_code == 0
    tables = call(*of(two_windows), "knowledge", *AS_OF)
    assert "clusters" in tables.output


AS_OF = ["--as-of", "2013-02-08"]


@pytest.mark.parametrize(
    "command", [["search", "x"], ["knowledge"], ["knowledge", "trends"], ["path", "a:b", "c:d"]]
)
def test_a_window_that_isn_t_kept_is_refused(two_windows: Project, command: list[str]) -> None:
    refused = call(*of(two_windows), *command, "--as-of", "2013-02-07")
    assert refused.exit_code == 1
    said = " ".join((refused.output + refused.stderr).split())
    assert "those ending on 2013-02-08, 2013-02-09" in said
    assert "`stupid-dagster run --window 2013-02-07`" in said


def test_files_of_long_ago_end_a_bare_run_at_their_newest_day(tmp_path: Path) -> None:
    project = arriving_project(tmp_path / "project", partitions_end="2024-12-31")
    drop(project, "two", ["2013-02-06", "2013-02-08"])

    made = call(*of(project), "run", "--from", "2013-02-06", "--no-window")

    assert made.exit_code == 0, made.output
    assert project.lake.partitions("documents") == ["2013-02-06", "2013-02-07", "2013-02-08"]


def test_a_bare_run_without_files_of_its_days_makes_none(tmp_path: Path) -> None:
    project = arriving_project(tmp_path / "project")
    refused = call(*of(project), "run")
    assert refused.exit_code == 1
    assert (
        "(there are none)" in refused.stderr and project.settings.landing_location in refused.stderr
    )

    drop(project, "one", ["2013-02-04"])
    refused = call(*of(project), "run", "--from", "2013-02-05")
    assert "from 2013-02-05 to 2013-02-09 (those there are go from 2013-02-04 to 2013-02-04)" in (
        refused.stderr
    )
    assert not project.lake.tables()


def test_windows_that_can_t_be_made_are_refused(own_project: Project, tmp_path: Path) -> None:
    def refused(*arguments: str) -> str:
        result = call(*of(own_project), "run", *arguments)
        assert result.exit_code != 0
        return " ".join((result.output + result.stderr).split())

    assert "is not within the days that this project has, 2013-01-11 to 2013-02-09" in refused(
        "--window", "2013-02-10"
    )
    nothing = refused("--window", "2013-02-09")
    assert "would be made of nothing: no day from 2013-01-11 on is complete" in nothing
    assert "run --from 2013-01-11 --to 2013-02-09" in nothing
    # Days that are after the window don't help it.
    days = ("--from", "2013-02-09", "--to", "2013-02-09")
    assert "would be made of nothing" in refused(*days, "--window", "2013-02-08")
    assert "contradict" in refused("--window", "2013-02-08", "--no-window")
    assert not own_project.lake.tables()


def test_a_day_as_an_argument_is_told_how_days_are_given(own_project: Project) -> None:
    result = call(*of(own_project), "run", "1999-01-01")

    assert result.exit_code == 2
    assert "'1999-01-01' is one: give days by --from and --to" in result.stderr


def test_an_error_in_a_pipe_is_one_line(own_project: Project) -> None:
    result = call(*of(own_project), "run", "--from", "1999-01-01", "--to", "1999-01-01")

    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("error: 1999-01-01 is not within the days that this project")
