"""`stupid-dagster plan`, as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from stupid_dagster.api.examples.plans import PLAN_BODY
from stupid_dagster.cli import main
from stupid_dagster.project import Project

YAML = """
steps:
  - id: departures
    op: documents.scan
    params: {event_type: Departure, first_day: 2013-02-08, filters: [
      {field: timestamp, op: lt, value: 2013-02-09T00:00:00Z}]}
  - {id: airports, op: table.aggregate, params: {rows: {ref: departures}, by: [origin]}}
"""


def call(project: Project, *arguments: str, given: str | None = None) -> Result:
    root = ["--root", str(project.settings.root)]
    return CliRunner().invoke(main, [*root, "plan", *arguments], input=given)


def test_a_plan_of_yaml_prints_its_progress_and_its_table(
    flights_project: Project, tmp_path: Path
) -> None:
    file = tmp_path / "plan.yaml"
    file.write_text(f"{YAML}render: {{type: bar, step: airports, title: By airport}}\n")

    result = call(flights_project, str(file))

    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.output.splitlines()]
    assert lines[0][:3] == ["ok", "departures", "documents.scan"]
    assert lines[1][:4] == ["ok", "airports", "table.aggregate", "3"]
    assert lines[lines.index(["By", "airport"]) + 1] == ["origin", "count"]
    assert {"EWR", "JFK", "LGA"} <= {line[0] for line in lines if line}


def test_json_has_every_steps_rows(flights_project: Project) -> None:
    result = call(flights_project, "-", "--json", given=json.dumps(PLAN_BODY))

    tree = json.loads(result.output)
    assert [step["status"] for step in tree["steps"]] == ["ok"] * 3
    assert len(tree["steps"][0]["rows"]) == 20
    assert tree["render"]["step"] == "airports"


def test_explained_and_validated_it_is_not_run(flights_project: Project) -> None:
    explained = call(flights_project, "-", "--explain", given=YAML)
    assert explained.exit_code == 0
    assert "timestamp lt 2013-02-09T00:00:00Z" in " ".join(explained.output.split())
    tree = json.loads(call(flights_project, "-", "--explain", "--json", given=YAML).output)
    assert tree["steps"][0]["files"] == 2
    valid = call(flights_project, "-", "--validate", given=YAML)
    assert (valid.exit_code, valid.output) == (0, "valid: 2 steps\n")


def test_every_mistake_is_printed(flights_project: Project) -> None:
    wrong = YAML.replace("Departure", "Departur").replace("ref: departures", "ref: departure")
    result = call(flights_project, "-", given=wrong)

    assert result.exit_code == 1
    told = " ".join(result.output.split())
    assert "did you mean 'Departure'?" in told
    assert "did you mean 'departures'?" in told
    shown = f"{YAML}  - {{id: shown, op: render, params: {{step: airports}}}}\n"
    result = call(flights_project, "-", given=shown)
    assert "what is shown says `render`, beside `steps`" in " ".join(result.output.split())
    for text in ("{", "[" * 20_000, "- &a [*a]", "x: !!python/object:os.system {}", ""):
        assert call(flights_project, "-", given=text).exit_code == 1


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_plan_whose_shown_step_fails_ends_with_one(
    flights_project: Project, monkeypatch: pytest.MonkeyPatch, form: list[str]
) -> None:
    monkeypatch.setenv("STUPID_STEP_SECONDS", "0.000001")

    result = call(flights_project, "-", *form, given=YAML)

    assert result.exit_code == 1
    assert "step_seconds" in result.output
