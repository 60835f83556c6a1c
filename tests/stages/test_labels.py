"""The stage of labels with language models that answer, lie, obey, fail, or take their time."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import replace
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner

from stupid_dagster.cli.main import main
from stupid_dagster.compute import quoting, words
from stupid_dagster.errors import SettingsError
from stupid_dagster.llm.privacy import KEY_FILE, pseudonym_key
from stupid_dagster.project import Project
from stupid_dagster.stages.labels import label_prompts, make_labels, window_profiles
from stupid_dagster.stages.window import open_window
from tests.llm.hostile import OBEYED, STATEMENTS
from tests.llm.servers import Act, Protocol, Say
from tests.llm.servers import model_server as served
from tests.pipeline import write_window_table
from tests.stages.labelled import (
    DAY,
    better,
    by_model,
    first_tries,
    made,
    prompt_of,
    say,
    unchanged,
    with_model,
)


@pytest.fixture(scope="module")
def rules(flights_project: Project) -> pl.DataFrame:
    """The labels that the rules make."""
    return flights_project.lake.read("labels", DAY)


def test_sums_are_of_the_days_that_there_are_and_no_week(rules: pl.DataFrame) -> None:
    of_segments = " ".join(rules.filter(pl.col("kind") == "cluster")["description"])
    assert "in 4 days" in of_segments and "a week" not in of_segments


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


def hostile_window(project: Project) -> None:
    """Put statements into the window's nodes: into each property in words, another one a row."""
    nodes = open_window(project, DAY).read("graph_nodes")
    values = [*STATEMENTS.values()]
    fields = [
        pl.Series([values[(n + at) % len(values)] for n in range(nodes.height)]).alias(name)
        for at, name in enumerate(("carrier_name", "manufacturer", "aircraft_model"))
    ]
    # Groups of one value, so that they stand out in a profile.
    known = [f.name for f in nodes.schema["properties"].fields]  # type: ignore[attr-defined]
    renamed = nodes.with_columns(
        pl.col("properties").struct.with_fields([f for f in fields if f.name in known])
    )
    write_window_table(project, "graph_nodes", DAY, renamed)


def test_a_hostile_member_changes_no_label(flights_copy: Project) -> None:
    """Names and properties say what to answer; the model says what they say, in many ways."""
    hostile_window(flights_copy)
    expected = made(flights_copy)[1]
    # 100% is a share of some profiles.
    tidied = {words.tidy(value) for value in STATEMENTS.values()} - {"", "100%"}
    seen: set[str] = set()
    forms = itertools.cycle(["{0}", "Aircraft: {0}", "{0} aircraft", "Members are {0}"])

    def obedient(body: dict[str, Any]) -> Act:
        for message in body["messages"]:
            if message["role"] == "user" and message["content"].startswith("<profile>"):
                assert message["content"].count("<") == message["content"].count(">") == 2
        told = json.dumps(prompt_of(body), ensure_ascii=False)
        found = [value for value in tidied if quoting.unquoted(value) in told.replace('\\"', "'")]
        seen.update(found)
        said = next(forms).format(found[len(seen) % len(found)] if found else OBEYED)
        return say(said[:90], said[:400], said[:140])

    with served("openai", obedient) as server:
        project = with_model(flights_copy, "openai", server.url, llm_labels_most=60)
        written, labels = made(project)
        assert all(len(json.dumps(body)) < 20_000 for body in server.requests)
    assert by_model(labels)["label"].to_list() == []
    assert len(seen) >= 5, "the values reached the model"
    assert unchanged(labels, expected)
    assert written.details["model: refused"] == written.details["model: asked"] == 60


def test_a_good_models_quotation_of_a_hostile_name_is_taken(flights_copy: Project) -> None:
    hostile_window(flights_copy)

    def good(body: dict[str, Any]) -> Act:
        told = prompt_of(body)
        label = told["words of the rule"]["label"]
        return say(f"Mostly {label[0].lower()}{label[1:]}"[:90], f"{told['size']} of a kind.")

    with served("openai", good) as server:
        project = with_model(flights_copy, "openai", server.url, llm_labels_most=60)
        _, labels = made(project)
    bare = [words.tidy(value) for value in STATEMENTS.values() if len(words.tidy(value)) > 4]
    for label in by_model(labels)["label"]:
        outside = re.sub("\u201c[^\u201d]*\u201d", "", label)
        assert not [value for value in bare if value in outside], label


def test_refusals_are_forgotten_with_the_model_and_what_it_may_see(flights_copy: Project) -> None:
    few = {"llm_labels_most": 400}
    with served("openai", lambda body: say(OBEYED)) as server:
        project = with_model(flights_copy, "openai", server.url, **few)
        refused = made(project)[0].details["model: refused"]
        asked = len(server.requests)
        assert refused and made(project)[0].details["model: asked"] == 0
        assert len(server.requests) == asked, "the same model isn't asked again"
        hidden = with_model(flights_copy, "openai", server.url, llm_hidden=("Airport",), **few)
        assert len(label_prompts(hidden, DAY)) > 0
        other = with_model(flights_copy, "openai", server.url, llm_openai_model="better", **few)
        assert len(label_prompts(other, DAY)) == refused
        assert made(other)[0].details["model: asked"] == refused


def test_dry_run_prints_the_very_prompts(flights_copy: Project) -> None:
    root = str(flights_copy.settings.root)
    lake = flights_copy.lake.root
    (lake / KEY_FILE).unlink(missing_ok=True)
    before = {*lake.rglob("*")}
    found = CliRunner().invoke(main, ["--root", root, "label", "--dry-run"])
    assert found.exit_code == 0, found.output
    assert {*lake.rglob("*")} == before
    assert "no key for pseudonyms yet" in found.output
    pseudonym_key(flights_copy.lake.files)
    found = CliRunner().invoke(main, ["--root", root, "label", "--dry-run"])
    assert "no key for pseudonyms yet" not in found.output
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


def test_dry_run_prints_the_schema_and_what_a_second_try_looks_like(flights_copy: Project) -> None:
    root = str(flights_copy.settings.root)
    found = CliRunner().invoke(main, ["--root", root, "label", "--dry-run", "--most", "1"])
    answers = iter([say("Lufthansa aircraft"), Say("Busy.")])
    with served("openai", lambda body: next(answers, say("Busy aircraft"))) as server:
        settings = {"llm_labels_most": 2, "llm_at_once": 1}
        made(with_model(flights_copy, "openai", server.url, **settings))
    held = server.requests[0]["response_format"]["json_schema"]["schema"]
    assert json.dumps(held, separators=(",", ":")) in found.output
    repairs = [body["messages"][-1]["content"] for body in server.requests]
    repairs = [text for text in repairs if not text.startswith("<profile>")]
    assert len(repairs) == 2
    for text in repairs:
        begin, _, end = text.partition(":")[0], 0, text.rpartition(". ")[2]
        assert begin in found.output and end in found.output
