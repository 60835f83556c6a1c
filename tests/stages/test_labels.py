"""The stage of labels with language models that answer, lie, obey, fail, or take their time."""

from __future__ import annotations

import json
import socket
import time
from dataclasses import replace
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner

from stupid_dagster.cli.main import main
from stupid_dagster.errors import SettingsError
from stupid_dagster.project import Project
from stupid_dagster.stages.labels import label_prompts, make_labels, window_profiles
from stupid_dagster.stages.window import open_window
from stupid_dagster.stages.written import Written
from tests.llm.hostile import HOSTILE, OBEYED
from tests.llm.servers import Act, Fail, Protocol, Raw, Say, Silence
from tests.llm.servers import model_server as served
from tests.pipeline import write_window_table

DAY = "2013-02-09"


@pytest.fixture(scope="module")
def rules(flights_project: Project) -> pl.DataFrame:
    """The labels that the rules make."""
    return flights_project.lake.read("labels", DAY)


def with_model(project: Project, protocol: Protocol, url: str, **settings: Any) -> Project:
    named = {f"llm_{protocol}_model": "m", f"llm_{protocol}_url": url, "llm": (protocol,)}
    return Project(replace(project.settings, **{**named, "llm_labels_most": 12, **settings}))


def prompt_of(body: dict[str, Any]) -> dict[str, Any]:
    """Return the profile that a request asks about."""
    texts = [message["content"] for message in body["messages"]]
    text = [text for text in texts if text.startswith("<profile>")][-1]
    return json.loads(text.removeprefix("<profile>\n").removesuffix("\n</profile>"))


def first_tries(requests: list[dict[str, Any]]) -> set[str]:
    """Return the conversations in which a profile was asked about, not those that ask again."""
    asked = [body["messages"] for body in requests]
    return {json.dumps(m) for m in asked if m[-1]["content"].startswith("<profile>")}


def say(label: str, description: str = "Flights of one kind.", *items: str) -> Say:
    return Say(json.dumps({"label": label, "description": description, "distinguishing": items}))


def better(body: dict[str, Any]) -> Act:
    """A model that says something else, and true, of each profile."""
    told = prompt_of(body)
    label = told["words of the rule"]["label"]
    return say(f"Mostly {label[0].lower()}{label[1:]}"[:90], f"{told['size']} of a kind.")


def made(project: Project) -> tuple[Written, pl.DataFrame]:
    (written,) = make_labels(project, DAY)
    return written, project.lake.read("labels", DAY)


def by_model(labels: pl.DataFrame) -> pl.DataFrame:
    return labels.filter(pl.col("provenance") != "rule")


def unchanged(labels: pl.DataFrame, rules: pl.DataFrame) -> bool:
    words = ["subject", "kind", "label", "description", "distinguishing", "provenance"]
    return labels.select(words).equals(rules.select(words))


@pytest.mark.parametrize("protocol", ["openai", "anthropic", "ollama"])
def test_a_models_words_are_taken_and_kept(
    flights_copy: Project, rules: pl.DataFrame, protocol: Protocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    with served(protocol, better) as server:
        project = with_model(flights_copy, protocol, server.url)
        written, labels = made(project)
        details = written.details
        taken = by_model(labels)
        assert details["model: asked"] == len(server.requests) == 12
        assert details["model: accepted"] == taken.height > 8
        assert details["model: accepted"] + details["model: refused"] == 12
        assert set(taken["provenance"]) == {f"{protocol}/m"}
        assert set(taken["prompt_tokens"]) == {11} and set(taken["completion_tokens"]) == {7}
        assert details[f"{protocol}/m: tokens"] == "132 sent, 84 received"
        assert labels["subject"].equals(rules["subject"])
        assert labels.unique(["kind", "label"]).height == labels.height
        refused = labels.filter(pl.col("refused").is_not_null())
        assert refused.height == details["model: refused"]
        assert all(taken["label"].str.starts_with("Mostly "))

        again, same = made(project)
        assert again.details["model: kept"] == taken.height
        assert again.details["model: asked"] == len(server.requests) - 12 > 0
        assert set(taken["label"]) <= set(same["label"]), "those asked now were not asked before"
        assert "k" not in json.dumps([*map(str, details.values())]).split()


def test_what_the_models_took_is_told_and_kept(flights_copy: Project) -> None:
    prices = {"openai/m": (1000.0, 10_000.0)}
    with served("openai", better) as server:
        project = with_model(flights_copy, "openai", server.url, llm_prices=prices)
        written, _ = made(project)
        asked = len(server.requests)
    assert written.details["openai/m: requests"] == asked == 12
    assert written.details["openai/m: dollars"] == pytest.approx(12 * (0.011 + 0.07))
    spent = {"requests": 12, "prompt_tokens": 132, "completion_tokens": 84, "dollars": 0.972}
    assert written.version.metadata["language_models"] == {"openai/m": spent}


def test_a_budget_that_is_used_up_leaves_the_rest_to_the_rules(
    flights_copy: Project, rules: pl.DataFrame
) -> None:
    # A prompt is expected to have some 1,300 tokens, an answer 500; the server counts 18 for both.
    with served("openai", better) as server:
        project = with_model(
            flights_copy, "openai", server.url, llm_run_tokens=3_000, llm_at_once=4
        )
        written, labels = made(project)
        asked = len(server.requests)
        assert asked == 12, "reservations are given back"
        project = with_model(flights_copy, "openai", server.url, llm_run_tokens=50)
        written, labels = made(project)
        assert len(server.requests) == asked
    kept = by_model(labels).height
    left = 12 if rules.height - kept >= 12 else rules.height - kept
    assert written.details["model: unanswered"] == left
    assert written.details["model: stopped"] == (
        "the budget of 50 tokens is used up (setting llm_run_tokens): "
        f"{left} labels stayed the rule's"
    )
    refused = labels.filter(pl.col("refused").str.starts_with("the budget of 50 tokens"))
    assert refused.height == left and refused["prompt"].null_count() == left, "asked next time"


def test_money_ends_the_asking(flights_copy: Project) -> None:
    prices = {"openai/m": (10_000.0, 100_000.0)}  # An answer of 11 and 7 tokens: 0.81 dollars.
    with served("openai", better) as server:
        project = with_model(
            *(flights_copy, "openai", server.url),
            **{"llm_prices": prices, "llm_run_cost": 70.0, "llm_at_once": 3},
        )
        written, _ = made(project)
        assert 0 < len(server.requests) <= 12
    assert written.details["openai/m: dollars"] <= 70
    assert "llm_run_cost" in written.details.get("model: stopped", "llm_run_cost")


def test_unchanged_words_are_kept_in_the_next_window(two_windows_copy: Project) -> None:
    with served("openai", better) as server:
        project = with_model(two_windows_copy, "openai", server.url, llm_labels_most=400)
        make_labels(project, "2013-02-08")
        asked = len(first_tries(server.requests))
        first = by_model(project.lake.read("labels", "2013-02-08"))
        written, labels = made(project)
        kept = written.details["model: kept"]
        assert kept > first.height / 4
        assert len(first_tries(server.requests)) - asked == written.details["model: asked"]
        everything = window_profiles(open_window(project, DAY))
        assert written.details["model: asked"] <= len(everything) - kept
    assert by_model(labels).filter(pl.col("template").is_null()).is_empty()


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (say("Aircraft with 9,999,999 flights"), "9,999,999"),
        (say("Lufthansa aircraft"), "Lufthansa"),
        (say(OBEYED), "PWNED"),
        (say("Aircraft https://mallory.example"), "markup"),
        (say("Busy aircraft", "Call 555 now."), "555"),
    ],
)
def test_words_that_are_not_right_are_refused(
    flights_copy: Project, rules: pl.DataFrame, said: Say, reason: str
) -> None:
    with served("openai", lambda body: said) as server:
        written, labels = made(with_model(flights_copy, "openai", server.url, llm_labels_most=4))
        assert unchanged(labels, rules)
        assert written.details["model: refused"] == 4
        assert reason in written.details["model: why not"]
        assert len(server.requests) == 8, "each was asked once more"
        assert "can't be used" in server.requests[-1]["messages"][-1]["content"]
        refused = labels.filter(pl.col("refused").is_not_null())
        assert refused.height == 4 and all(refused["refused"].str.contains(reason, literal=True))

        made(with_model(flights_copy, "openai", server.url, llm_labels_most=4))
        before, now = first_tries(server.requests[:8]), first_tries(server.requests[8:])
        assert (len(before), len(now)) == (4, 4) and not before & now


def test_labels_stay_unique(flights_copy: Project, rules: pl.DataFrame) -> None:
    with served("openai", lambda body: say("Busy aircraft", "Aircraft.")) as server:
        written, labels = made(with_model(flights_copy, "openai", server.url))
    assert labels.unique(["kind", "label"]).height == labels.height
    taken = by_model(labels)
    assert taken.height == len(set(taken["kind"])), "one of each kind"
    assert written.details["model: accepted"] == taken.height
    assert "label is that of another" in written.details["model: why not"]


def dead_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.mark.parametrize(
    ("act", "why"),
    [
        (Fail(500, "it broke"), "it broke"),
        (Raw(b"<html>Welcome</html>", "text/html"), "openai/m"),
        (Say("I'd rather not."), "asked twice"),
        (Say("I may not", "refusal"), "refused to answer: I may not"),
    ],
)
def test_a_model_that_fails_costs_no_labels(
    flights_copy: Project, rules: pl.DataFrame, act: Act, why: str
) -> None:
    with served("openai", lambda body: act) as server:
        project = with_model(flights_copy, "openai", server.url, llm_at_once=1)
        written, labels = made(project)
    assert unchanged(labels, rules)
    details = written.details
    assert details["model: failed"] == details["model: asked"] == 3
    assert details["model: unanswered"] == 9
    assert details["model: stopped"] == "after 3 failures in a row"
    assert why in details["model: why not"]
    failed = labels.filter(pl.col("refused").is_not_null())
    assert failed.height == 3 and failed["prompt"].null_count() == 3, "asked again next time"


def test_a_dead_provider_costs_no_labels(flights_copy: Project, rules: pl.DataFrame) -> None:
    url = f"http://127.0.0.1:{dead_port()}/v1"
    written, labels = made(with_model(flights_copy, "openai", url))
    assert unchanged(labels, rules)
    assert written.details["model: accepted"] == 0
    assert "can't be reached" in written.details["model: why not"]


def test_a_model_that_takes_minutes_holds_nobody_up(
    flights_copy: Project, rules: pl.DataFrame
) -> None:
    with served("openai", lambda body: Silence(4)) as server:
        project = with_model(flights_copy, "openai", server.url, llm_run_seconds=0.7)
        started = time.monotonic()
        written, labels = made(project)
        assert time.monotonic() - started < 3
    assert unchanged(labels, rules)
    assert written.details["model: unanswered"] == 12
    assert written.details["model: stopped"] == "after 0.7 s (setting llm_run_seconds)"


def test_what_came_in_time_is_taken(flights_copy: Project) -> None:
    answers = iter(range(100))

    def some(body: dict[str, Any]) -> Act:
        return better(body) if next(answers) < 3 else Silence(4)

    with served("openai", some) as server:
        project = with_model(flights_copy, "openai", server.url, llm_run_seconds=1.5)
        written, labels = made(project)
    assert 0 < by_model(labels).height == written.details["model: accepted"] <= 3


def test_nothing_is_sent_where_nothing_may_be(flights_copy: Project, rules: pl.DataFrame) -> None:
    with served("openai", better) as server:
        project = with_model(flights_copy, "openai", server.url, llm_share="nothing")
        written, labels = made(project)
        assert label_prompts(project, DAY) == []
    assert server.requests == []
    assert unchanged(labels, rules) and "model: asked" not in written.details


def test_ids_are_pseudonyms_and_come_back(flights_copy: Project) -> None:
    profiles = window_profiles(open_window(flights_copy, DAY))
    members = {m.entity_id for p in profiles for m in p.key_members}
    hidden = {m.partition(":")[2] for m in members if m.startswith(("aircraft:", "flight:"))}
    assert hidden

    def central(body: dict[str, Any]) -> Act:
        told = prompt_of(body)
        if told["kind"] == "community":
            named = [n.split()[-1] for n in told["most central"] if "-" in n.split()[-1]]
            return say(f"Aircraft around {named[-1] if named else 'others'}", told["size"])
        return better(body)

    with served("openai", central) as server:
        project = with_model(flights_copy, "openai", server.url, llm_labels_most=500)
        _, labels = made(project)
        sent = json.dumps(server.requests)
    assert not [name for name in hidden if f" {name}" in sent or f":{name}" in sent]
    assert " aircraft-" in sent or " flight-" in sent
    named = by_model(labels).filter(pl.col("label").str.starts_with("Aircraft around"))
    assert any(label.split()[-1] in hidden for label in named["label"])
    assert not any("aircraft-" in label or "flight-" in label for label in named["label"])


@pytest.mark.parametrize(("share", "has"), [("profiles", False), ("samples", True)])
def test_example_texts_are_sent_where_they_may_be(
    flights_copy: Project, share: str, has: bool
) -> None:
    project = Project(replace(flights_copy.settings, llm_share=share))
    text = " ".join(m.content for _, sent in label_prompts(project, DAY) for m in sent)
    example = open_window(project, DAY).read("event_clusters")["text"][0]
    assert ("example texts" in text) == has
    assert example in text or not has


def test_an_unknown_type_to_hide(flights_copy: Project) -> None:
    project = Project(replace(flights_copy.settings, llm_hidden=("Aircrft",)))
    with pytest.raises(SettingsError, match="did you mean 'Aircraft'"):
        label_prompts(project, DAY)


@pytest.mark.parametrize("value", ["instruction", "json", "end of block", "link", "tags", "long"])
def test_a_hostile_member_changes_no_label(flights_copy: Project, value: str) -> None:
    """Names, properties and texts say what to answer, and the model does."""
    window = open_window(flights_copy, DAY)
    hostile = HOSTILE[value]
    nodes = window.read("graph_nodes")
    fields = [pl.lit(hostile).alias(n) for n in ("carrier_name", "manufacturer")]
    renamed = nodes.with_columns(pl.col("properties").struct.with_fields(fields))
    write_window_table(flights_copy, "graph_nodes", DAY, renamed)
    expected = made(flights_copy)[1]

    def obedient(body: dict[str, Any]) -> Act:
        assert body["messages"][0]["role"] == "system"
        for message in body["messages"]:
            if message["role"] == "user" and message["content"].startswith("<profile>"):
                assert message["content"].count("<") == message["content"].count(">") == 2
        return say(OBEYED, OBEYED, OBEYED)

    with served("openai", obedient) as server:
        written, labels = made(with_model(flights_copy, "openai", server.url, llm_labels_most=30))
        assert len(server.requests) == 60
        assert all(len(json.dumps(body)) < 20_000 for body in server.requests)
    assert unchanged(labels, expected)
    assert written.details["model: refused"] == 30
    assert not any(label == OBEYED for label in labels["label"])


def test_dry_run_prints_the_very_prompts(flights_copy: Project) -> None:
    root = str(flights_copy.settings.root)
    found = CliRunner().invoke(main, ["--root", root, "label", "--dry-run"])
    assert found.exit_code == 0, found.output
    prompts = label_prompts(flights_copy, DAY)
    assert f"{len(prompts)} prompts" in found.output and "Nothing was sent" in found.output
    for _, messages in prompts:
        assert all(message.content in found.output for message in messages)
    with served("openai", better) as server:
        project = with_model(flights_copy, "openai", server.url, llm_labels_most=100)
        make_labels(project, DAY)
    told = {
        json.dumps([{"role": m.role, "content": m.content} for m in messages])
        for _, messages in prompts
    }
    assert told == first_tries(server.requests)
    few = CliRunner().invoke(main, ["--root", root, "label", "--dry-run", "--most", "1"])
    assert few.output.count("\n== ") + few.output.startswith("== ") == 1
    assert CliRunner().invoke(main, ["--root", root, "label"]).exit_code == 2
