"""The stage of the digest, with no model and with models that answer, lie, obey, fail or wait."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner

from stupid_dagster.cli.main import main
from stupid_dagster.llm.digest.rule import opening, rule_sentences
from stupid_dagster.llm.grounding import Evidence
from stupid_dagster.llm.privacy import KEY_FILE, PSEUDONYM, pseudonym_key
from stupid_dagster.project import Project
from stupid_dagster.stages.digest import digest_prompt, make_digest
from stupid_dagster.stages.written import Written
from tests.llm.hostile import HOSTILE, OBEYED
from tests.llm.servers import Act, Fail, Raw, Say, Silence
from tests.llm.servers import model_server as served
from tests.pipeline import write_window_table
from tests.stages.labelled import dead_port, with_model

DAY = "2013-02-09"


def told(body: dict[str, Any]) -> dict[str, Any]:
    """Return what a request tells."""
    texts = [message["content"] for message in body["messages"]]
    text = next(text for text in texts if text.startswith("<insights>"))
    return json.loads(text.removeprefix("<insights>\n").removesuffix("\n</insights>"))


def say(*sentences: tuple[str, list[int]]) -> Say:
    listed = [{"text": text, "insights": numbers} for text, numbers in sentences]
    return Say(json.dumps({"sentences": listed}))


def better(body: dict[str, Any]) -> Act:
    """A model that says something true in other words, of names too."""
    insights = {one["number"]: one for one in told(body)["insights"]}
    names = PSEUDONYM.findall(insights[3]["title"])
    return say(
        ("The day had many more cancellations: 68 at 17:00 on Friday 8 February.", [1]),
        (f"Mean delay rose for {' and '.join(names)}, by up to 186 minutes.", [3]),
    )


def made(project: Project) -> tuple[Written, dict[str, Any]]:
    (written,) = make_digest(project, DAY)
    return written, project.lake.read("digest", DAY).row(0, named=True)


@pytest.fixture(scope="module")
def rule(flights_project: Project) -> dict[str, Any]:
    return flights_project.lake.read("digest", DAY).row(0, named=True)


def test_the_rule_tells_what_matters_with_links(
    flights_project: Project, rule: dict[str, Any]
) -> None:
    insights = flights_project.lake.read("insights", DAY).sort("rank")
    assert rule["provenance"] == "rule" and rule["refused"] is None
    first, *others = rule["sentences"]
    assert first["text"].startswith("In the 4 days to Saturday 9 February 2013 there are 11 find")
    assert rule["text"].startswith(first["text"])
    ids = {row["insight_id"]: row for row in insights.iter_rows(named=True)}
    assert [ids[one["insights"][0]]["rank"] for one in others] == [1, 2, 3, 4, 5, 6, 8]
    for one in others:
        shown = [ids[name] for name in one["insights"]]
        evidence = Evidence.of(*(row[part] for row in shown for part in ("title", "text")))
        assert evidence.unsupported(one["text"]) == []
        assert re.match(r"[A-Z].*\.$", one["text"]) and "  " not in one["text"]
    ranks = [int(number) for number in re.findall(r"\[(\d+)\]", rule["text"])]
    assert ranks == [1, 2, 3, 4, 5, 6, 8]


def row(number: int, severity: str, status: str, title: str, kind: str = "trend") -> dict[str, Any]:
    names = ("insight_id", "severity", "status", "title", "kind")
    return dict(zip(names, (f"{kind}/{number}", severity, status, title, kind), strict=True))


@pytest.mark.parametrize(
    ("title", "sentence"),
    [
        ("Departures below usual: 0, usually 36", "Departures were below usual: 0, usually 36."),
        ("Mean delay above usual for A and B", "Mean delay was above usual for A and B."),
        ("Aircraft below usual: 0", "Aircraft were below usual: 0."),
        ("Largest segment: Busy ones", "The largest segment is “Busy ones”."),
        ("New churn pattern: a, then b", "There is a new churn pattern, “a, then b”."),
        ("Segment gone: Busy ones", "The segment “Busy ones” is gone."),
        ("40 members act like machines: 2 each", "40 members act like machines: 2 each."),
    ],
)
def test_titles_become_sentences(title: str, sentence: str) -> None:
    [found] = rule_sentences([row(1, "critical", "new", title)])
    assert found == (sentence, ("trend/1",))


def test_no_kind_crowds_out_the_others() -> None:
    kinds = ["bots", "bots", "bots", "cause", "cause", "cause", "anomaly", "anomaly"]
    rows = [row(n, "notable", "new", f"T{n}", kind) for n, kind in enumerate(kinds)]
    told = [sentence.text for sentence in rule_sentences(rows)]
    assert told == ["T0.", "T1.", "T3.", "T4.", "T6."]
    assert [s.text for s in rule_sentences(rows[:4])] == ["T0.", "T1.", "T2.", "T3."]


def test_what_is_told_of_windows_that_follow_others() -> None:
    from datetime import date

    day = date(2013, 2, 9)
    assert opening([], day, 30).text == (
        "In the 30 days to Saturday 9 February 2013 nothing stands out."
    )
    rows = [row(1, "critical", "ongoing", "A"), row(2, "info", "new", "B", "cluster"),
            row(3, "info", "resolved", "No more: C")]  # fmt: skip
    assert opening(rows, day, 1).text == (
        "On Saturday 9 February 2013 there are 2 findings: 1 critical and 1 for information; "
        "1 of them new."
    )
    last = rule_sentences(rows)[-1]
    assert last == ("1 finding of the window before no longer holds.", ("trend/3",))


def test_a_models_paragraph_is_taken_and_kept(flights_copy: Project) -> None:
    with served("openai", better) as server:
        project = with_model(flights_copy, "openai", server.url)
        written, digest = made(project)
        assert len(server.requests) == 1
        sent = json.dumps(server.requests)
        again, same = made(project)
        assert len(server.requests) == 1 and again.details["model: kept"] == 1
        assert {**same} == {**digest}
        insights = project.lake.read("insights", DAY)
        more = insights.with_columns(title=pl.col("title") + " or so")
        write_window_table(project, "insights", DAY, more)
        made(project)
        assert len(server.requests) == 2, "other insights are asked about"
    assert digest["provenance"] == "openai/m" and digest["refused"] is None
    assert written.details["openai/m: tokens"] == "11 sent, 7 received"
    assert digest["text"].endswith(
        "68 at 17:00 on Friday 8 February [1]. "
        "Mean delay rose for HA and VX and WN, by up to 186 minutes [3]."
    )
    assert digest["sentences"][1]["insights"] == ["trend/cancellations/up/hour"]
    for name in ("JetBlue", "ExpressJet", " EWR", " JFK", "United Air Lines Inc", " UA"):
        assert name not in sent


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (say(("There were 9,999 cancellations.", [1])), "9,999"),
        (say(("There were 186 minutes.", [1])), "186"),  # It is another insight's.
        (say(("Half of all flights were cancelled.", [1])), "Half"),
        (say(("Lufthansa had many delays.", [3])), "Lufthansa"),
        (say(("The carrier name-0a0a0a had many delays.", [3])), "name-0a0a0a"),
        (say(("Many flights were cancelled.", [])), "numbers of its insights"),
        (say(("Many flights were cancelled.", [1, 77])), "numbers of its insights"),
        (say((OBEYED, [1])), "PWNED"),
        (say(("Flights, see https://x.example", [1])), "markup"),
        (say(("Flights [1](2)", [1])), "odd characters"),
        (say(), "no sentences"),
        (Fail(500, "it broke"), "it broke"),
        (Raw(b"<html>Welcome</html>", "text/html"), "openai/m"),
        (Say("I'd rather not."), "asked twice"),
        (Say("I may not", "refusal"), "refused to answer"),
    ],
)
def test_what_is_not_right_leaves_the_rule(
    flights_copy: Project, rule: dict[str, Any], act: Act, reason: str
) -> None:
    with served("openai", lambda body: act) as server:
        project = with_model(flights_copy, "openai", server.url)
        written, digest = made(project)
        asked = len(server.requests)
        assert digest["text"] == rule["text"] and digest["provenance"] == "rule"
        assert reason in digest["refused"] and reason in written.details["model: why not"]
        made(project)
        refused = digest["prompt"] is not None
        assert (len(server.requests) == asked) == refused, "refusals are kept, failures are not"


def test_a_dead_provider_and_one_that_takes_minutes(
    flights_copy: Project, rule: dict[str, Any]
) -> None:
    project = with_model(flights_copy, "openai", f"http://127.0.0.1:{dead_port()}/v1")
    assert "can't be reached" in made(project)[1]["refused"]
    with served("openai", lambda body: Silence(4)) as server:
        project = with_model(flights_copy, "openai", server.url, llm_run_seconds=0.5)
        started = time.monotonic()
        _, digest = made(project)
        assert time.monotonic() - started < 3
    assert digest["text"] == rule["text"]
    assert digest["refused"] == "no answer in 0.5 s (setting llm_run_seconds)"


def test_when_time_is_up_nobody_else_is_asked_and_what_is_under_way_counts(
    flights_copy: Project, rule: dict[str, Any]
) -> None:
    with (
        served("openai", lambda body: Silence(1)) as one,
        served("ollama", better) as two,
    ):
        settings = {"llm_run_seconds": 0.4, "llm_ollama_model": "m", "llm_ollama_url": two.url}
        project = with_model(flights_copy, "openai", one.url, **settings)
        project = Project(replace(project.settings, llm=("openai", "ollama")))
        written, digest = made(project)
        time.sleep(1)
        assert len(one.requests) == 1 and not two.requests
    assert digest["text"] == rule["text"]
    spent = written.version.metadata["language_models"]["openai/m"]
    assert spent["prompt_tokens"] > 1000 and spent["completion_tokens"] == 500


def test_a_key_that_cannot_be_kept_costs_no_digest(
    flights_copy: Project, rule: dict[str, Any]
) -> None:
    key = flights_copy.lake.root / KEY_FILE
    key.unlink(missing_ok=True)
    key.mkdir()
    with served("openai", better) as server:
        written, digest = made(with_model(flights_copy, "openai", server.url))
        assert server.requests == [] and digest["text"] == rule["text"]
    assert "key of the pseudonyms can't be kept" in written.details["model: stopped"]


def test_dry_run_prints_the_very_prompt(flights_copy: Project) -> None:
    root = str(flights_copy.settings.root)
    pseudonym_key(flights_copy.lake.files)
    found = CliRunner().invoke(main, ["--root", root, "label", "--dry-run", "--digest"])
    assert found.exit_code == 0, found.output
    assert "1 prompts" in found.output and "Nothing was sent" in found.output
    with served("openai", better) as server:
        make_digest(with_model(flights_copy, "openai", server.url), DAY)
    [request] = server.requests
    assert all(message["content"] in found.output for message in request["messages"])
    held = request["response_format"]["json_schema"]["schema"]
    assert json.dumps(held, separators=(",", ":")) in found.output


def test_nothing_is_sent_where_nothing_may_be(flights_copy: Project, rule: dict[str, Any]) -> None:
    with served("openai", better) as server:
        project = with_model(flights_copy, "openai", server.url, llm_share="nothing")
        _, digest = made(project)
        assert server.requests == [] and digest_prompt(project, DAY) == []
    assert digest == rule


def test_the_labels_leave_less_of_the_budget(flights_copy: Project, rule: dict[str, Any]) -> None:
    labels = flights_copy.lake.read("labels", DAY)
    spent = {"openai/m": {"requests": 9, "prompt_tokens": 9_000, "completion_tokens": 900}}
    from stupid_dagster.stages.window import open_window

    metadata = {"language_models": spent}
    open_window(flights_copy, DAY).stage().table("labels", labels, metadata=metadata)
    with served("openai", better) as server:
        project = with_model(flights_copy, "openai", server.url, llm_run_tokens=10_000)
        _, digest = made(project)
        assert server.requests == [] and digest["text"] == rule["text"]
        assert digest["refused"] == (
            "the budget of 10,000 tokens is used up (setting llm_run_tokens)"
        )
        project = with_model(flights_copy, "openai", server.url, llm_run_tokens=20_000)
        assert made(project)[1]["provenance"] == "openai/m"


@pytest.mark.parametrize("value", [*HOSTILE])
def test_hostile_names_change_nothing(flights_copy: Project, value: str) -> None:
    insights = flights_copy.lake.read("insights", DAY)
    hostile = HOSTILE[value]
    changed = insights.with_columns(
        title=pl.concat_str(pl.col("title"), pl.lit(f" for carrier {hostile}")),
        text=pl.concat_str(pl.lit(f"{hostile} had it. "), pl.col("text")),
    )
    write_window_table(flights_copy, "insights", DAY, changed)

    def obedient(body: dict[str, Any]) -> Act:
        sent = body["messages"][-1]["content"] if len(body["messages"]) == 2 else ""
        assert "PWNED" not in sent and "mallory" not in sent
        assert sent.count("<") in (0, 2)
        return say((OBEYED, [1]), (hostile[:250], [1]))

    with served("openai", obedient) as server:
        _, digest = made(with_model(flights_copy, "openai", server.url))
        assert len(server.requests) == 2
    assert digest["provenance"] == "rule" and digest["refused"]
