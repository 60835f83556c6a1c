"""The commands, as a user types them."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from stupid_dagster.cli import main
from stupid_dagster.cli.knowledge import FIRST_COLUMNS
from stupid_dagster.event_model import load
from stupid_dagster.project import Project
from stupid_dagster.settings import SETTINGS
from stupid_dagster.stages.day import make_documents


def call(*arguments: str) -> Result:
    """Return what a command printed, and its exit code."""
    return CliRunner().invoke(main, list(arguments), catch_exceptions=False)


def of(project: Project) -> list[str]:
    return ["--root", str(project.settings.root)]


@pytest.mark.parametrize("command", [*main.commands])
def test_each_command_explains_itself(command: str) -> None:
    result = call(command, "--help")

    assert result.exit_code == 0
    explained = " ".join((main.commands[command].help or "no help").split())
    assert explained in " ".join(result.output.split())


@pytest.mark.parametrize("command", [*main.commands])
def test_each_command_stands_in_the_documentation(command: str) -> None:
    root = Path(__file__).parents[2]
    texts = [file.read_text() for file in (root / "README.md", *(root / "docs").glob("*.md"))]

    assert any(re.search(rf"(stupid-dagster|make|FOLDER) {command}\b", text) for text in texts)


def test_status_shows_the_snapshot_and_each_table(flights_project: Project) -> None:
    result = call(*of(flights_project), "status")

    assert result.exit_code == 0
    assert "published: the window 2013-01-11 to 2013-02-09 (4 days that were made)" in result.output
    assert "on disk besides" not in result.output
    for table in flights_project.lake.tables():
        assert f"\n{table} " in result.output


def test_status_shows_each_setting_and_where_it_came_from(flights_project: Project) -> None:
    result = call(*of(flights_project), "status", "--settings")

    for name in SETTINGS:
        assert f"\n{name} " in result.output
    assert "stupid.toml" in result.output
    assert "default" in result.output


def test_search_finds_cancelled_evening_flights_from_newark(flights_project: Project) -> None:
    text = "cancelled flight from Newark in the evening"

    result = call(*of(flights_project), "search", text, "--limit", "3")

    first = result.output.splitlines()[2]
    for word in ("Cancelled", "Newark", "evening"):
        assert word in first


def test_check_tells_what_it_would_extract(flights_project: Project) -> None:
    landing = flights_project.settings.path("landing")

    result = call("check", "flights", "--data", str(landing), "--days", "1")

    assert result.exit_code == 0
    assert "tried on 1 of 4 days: 2013-02-09" in result.output
    assert "nothing would be rejected" in result.output
    assert [
        line.split()[-1] for line in result.output.splitlines() if ": Cancellation" in line
    ] == ["393"]


def test_check_tells_what_is_kept_and_empty_and_what_isn_t_kept(
    flights_project: Project, tmp_path: Path
) -> None:
    text = (Path(load.__file__).parent / "models" / "flights.yaml").read_text()
    model = tmp_path / "model.yaml"
    model.write_text(text.replace("wind_dir, wind_speed", "banana, wind_speed"))

    result = call("check", str(model), "--data", str(flights_project.settings.path("landing")))

    assert "WeatherReport: fields without a value: banana" in result.output
    dropped = result.output.split("WeatherReport: columns not kept")[1].split("\n")[0]
    assert "wind_dir (" in dropped and "time_hour (" in dropped


def test_check_says_what_becomes_of_rows_without_a_usable_time(tmp_path: Path) -> None:
    model = tmp_path / "model.yaml"
    model.write_text(
        "name: web\nactor: Visitor\ntimestamp: {fields: time}\n"
        "entities: {Visitor: {prefix: visitor, key: ip}}\n"
        "events: {Request: {fields: [ip], entities: [Visitor], text: request}}\n"
        "features: {columns: {requests: {count: Request}}}\n"
    )
    folder = tmp_path / "landing" / "Request"
    folder.mkdir(parents=True)
    (folder / "2026-03-25.csv").write_text("time,ip\n2026-03-25T10:00:00Z,a\nnoon,b\n")
    (folder / "more.csv").write_text("time,ip\n2026-03-25T11:00:00Z,a\nnoon,b\n")

    result = call("check", str(model), "--data", str(tmp_path / "landing"))

    rows = [" ".join(line.split()) for line in result.output.splitlines()]
    assert "documents: Request 3" in rows and "rows rejected 1" in rows
    assert "Rejected, left empty or dated otherwise: 2 entries" in rows
    dated = "Request/2026-03-25.csv 1 1 value time: 'noon' is no known time: dated 2026-03-25"
    assert dated in rows
    assert any(row.startswith("Request/more.csv 1 1 row time: 'noon'") for row in rows)
    assert "midnight of the file's date as the time" in " ".join(rows)
    # All columns are kept, so that there is nothing to list.
    assert "columns not kept" not in result.output


def test_what_was_rejected_of_a_day_is_shown(own_project: Project) -> None:
    landing = Path(own_project.settings.landing_location)
    make_documents(own_project, "2013-02-09")
    assert "nothing of 2013-02-09 was" in call(*of(own_project), "rejects", "2013-02-09").output
    (landing / "Departure" / "2013-02-08.parquet").write_bytes(b"PAR1 but no more")
    make_documents(own_project, "2013-02-08")

    result = call(*of(own_project), "rejects", "2013-02-08")

    assert "Rejected, left empty or dated otherwise: 1 entry" in result.output
    assert "rows: how many" in result.output
    assert "Departure/2013-02-08.parquet" in result.output and "can't be read" in result.output
    assert "materialise it first" in call(*of(own_project), "rejects", "2013-02-05").output
    days = [line.split() for line in call(*of(own_project), "rejects").output.splitlines()]
    assert [line for line in days if line[:1] == ["2013-02-08"]] == [
        ["2013-02-08", "file", "1", "0"]
    ]
    assert not any(line[:1] == ["2013-02-09"] for line in days)


def test_days_of_an_older_event_model_are_told(flights_copy: Project) -> None:
    root = flights_copy.settings.root
    model = (Path(load.__file__).parent / "models" / "flights.yaml").read_text()
    (root / "changed.yaml").write_text(model.replace("window_days: 7", "window_days: 5"))
    config = (root / "stupid.toml").read_text()
    assert "another event model" not in call(*of(flights_copy), "status").output

    (root / "stupid.toml").write_text(config.replace('"flights"', '"changed.yaml"'))

    told = call(*of(flights_copy), "status").output
    assert "4 days of the window were made by another event model" in told


@pytest.mark.slow
def test_dev_starts_dagster_for_the_project_itself(own_project: Project) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    root = own_project.settings.root
    environment = {k: v for k, v in os.environ.items() if k not in ("DAGSTER_HOME", "STUPID_ROOT")}
    command = [sys.executable, "-m", "stupid_dagster.cli", "--root", str(root), "dev"]
    process = subprocess.Popen(
        [*command, "--port", str(port)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    nodes = "... on RepositoryConnection { nodes { location { name } } }"
    query = json.dumps({"query": f"{{ repositoriesOrError {{ {nodes} }} }}"}).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql", query, {"Content-Type": "application/json"}
    )
    try:
        deadline = time.monotonic() + 90
        answer = ""
        while "stupid_dagster" not in answer and time.monotonic() < deadline:
            assert process.poll() is None
            with suppress(OSError), urllib.request.urlopen(request, timeout=5) as reply:
                answer = reply.read().decode()
            time.sleep(0.5)
        assert '"name":"stupid_dagster"' in answer.replace(" ", "")
        assert (root / ".dagster_home" / "workspace.yaml").exists()
    finally:
        os.killpg(process.pid, signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_check_tells_all_mistakes_of_a_model_with_their_lines(tmp_path: Path) -> None:
    model = tmp_path / "model.yaml"
    model.write_text("name: shop\nactor: Customer\nevnts: {}\n")

    result = call("check", str(model))

    assert result.exit_code == 1
    assert "line 3: evnts: unknown key (did you mean 'events'?)" in result.output
    assert "entities: Field required" in result.output


def test_sample_writes_landing_files(tmp_path: Path) -> None:
    days = ["--from", "2013-02-08", "--to", "2013-02-08"]

    result = call("sample", "flights", "--out", str(tmp_path / "out"), *days)

    assert result.exit_code == 0
    assert [line.split() for line in result.output.splitlines()] == [
        ["458", "Departure"],
        ["472", "Cancellation"],
        ["72", "WeatherReport"],
    ]


def test_all_mistakes_in_conditions_are_told_at_once(flights_project: Project) -> None:
    wrong = ("--where", "nonsense", "--where", "rank:gx:3")
    result = call(*of(flights_project), "knowledge", "pagerank", *wrong)

    assert result.exit_code == 1
    assert "'nonsense' isn't field:operator:value" in result.output
    assert "no operator is named 'gx'" in result.output


def test_days_outside_the_partitions_are_refused(flights_project: Project) -> None:
    result = call(*of(flights_project), "run", "--from", "2012-01-01", "--to", "2012-01-02")

    assert result.exit_code == 1
    assert "2012-01-01 to 2012-01-02 are not within the days that this project has" in result.output


def test_a_project_with_nothing_published_says_what_to_do(own_project: Project) -> None:
    assert "nothing is published yet" in call(*of(own_project), "status").output
    result = call(*of(own_project), "search", "anything")
    assert result.exit_code == 1
    assert "stupid-dagster run" in result.output


def test_knowledge_lists_its_tables_and_shows_each(flights_project: Project) -> None:
    listed = call(*of(flights_project), "knowledge")

    assert listed.exit_code == 0
    for table in ("clusters", "communities", "trends", "cooccurrence"):
        assert re.search(rf"^{table} +[0-9,]+ ", listed.output, re.MULTILINE)

    shown = call(
        *of(flights_project),
        *("knowledge", "pagerank", "--where", "type:eq:Airport", "--limit", "2"),
        *("--columns", "entity_id,type_rank"),
    )
    assert re.search(r"^airport:\w+ +1$", shown.output, re.MULTILINE)
    assert "2 of " in shown.output


def test_knowledge_refuses_what_is_not_there(flights_project: Project) -> None:
    unknown = call(*of(flights_project), "knowledge", "cluster")
    assert unknown.exit_code == 1
    column = call(*of(flights_project), "knowledge", "pagerank", "--columns", "scor")
    assert "did you mean 'score'?" in column.output + column.stderr


def test_path_shows_the_edges_between_two_entities(flights_project: Project) -> None:
    found = call(*of(flights_project), "path", "airport:JFK", "airport:EWR")
    assert found.exit_code == 0
    assert re.match(r"airport:JFK to airport:EWR: \d hops", found.output)

    missing = call(*of(flights_project), "path", "airport:JFK", "airport:XXX")
    assert missing.exit_code == 1


def test_path_names_what_has_a_name_and_proposes_ids(flights_project: Project) -> None:
    found = call(*of(flights_project), "path", "carrier:HA", "route:JFK-HNL")
    assert "carrier:HA (Hawaiian Airlines Inc.)  route:JFK-HNL  FliesRoute" in found.output

    missing = call(*of(flights_project), "path", "HA", "route:JFK-HNL")
    assert missing.exit_code == 1
    assert "no entity 'HA' (did you mean 'carrier:HA'?)" in missing.stderr


def test_wide_tables_show_what_is_read_first_and_name_the_rest(flights_project: Project) -> None:
    for table, first in FIRST_COLUMNS.items():
        shown = call(*of(flights_project), "knowledge", table, "--limit", "1")
        assert shown.exit_code == 0, shown.output
        assert tuple(shown.output.splitlines()[1].split()) == first
        assert "; more columns (--columns, --all): " in shown.output
    whole = call(*of(flights_project), "knowledge", "insights", "--limit", "1", "--all").output
    assert {"insight_id", "series"} <= {*whole.splitlines()[1].split()}
    assert "more columns" not in whole


def test_a_table_that_is_no_window_s_is_told_where_to_look(flights_project: Project) -> None:
    audit = call(*of(flights_project), "knowledge", "audit")
    assert audit.exit_code == 1
    assert "Dagster's UI shows it; `stupid-dagster evict` tells of the newest" in audit.stderr
    assert "Dagster's UI shows it" in call(*of(flights_project), "knowledge", "texts").stderr


def test_days_that_lack_a_table_are_left_out_and_told(flights_copy: Project) -> None:
    lake = flights_copy.lake
    for day in ("2013-02-06", "2013-02-07"):
        lake.drop("actor_texts", day)

    told = call(*of(flights_copy), "status").output
    assert "2 days of the window have documents but not all tables" in told
    assert "(2013-02-06 to 2013-02-07): run them again" in told


def test_knowledge_of_words_is_readable(flights_project: Project) -> None:
    lake = flights_project.lake
    digest = call(*of(flights_project), "knowledge", "digest")
    [text] = lake.read("digest", "2013-02-09")["text"]
    assert " ".join(text.split()) in " ".join(digest.output.split()), "the whole paragraph"
    assert "written by: rule" in digest.output and "asked_hash" not in digest.output
    named = call(*of(flights_project), "knowledge", "digest", "--columns", "provenance,prompt")
    assert "prompt" in named.output and "written by" not in named.output
    labels = call(*of(flights_project), "knowledge", "labels", "--limit", "3").output
    head = labels.splitlines()[1].split()
    assert head == ["subject", "label", "description", "provenance"]
