"""The stage of labels with models that fail, take their time, or cost too much."""

from __future__ import annotations

import itertools
import threading
import time
from dataclasses import replace
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner

from stupid_dagster.cli.main import main
from stupid_dagster.llm.budget import expected
from stupid_dagster.llm.labelling.checks import LabelAnswer
from stupid_dagster.llm.privacy import KEY_FILE
from stupid_dagster.llm.protocol import Message
from stupid_dagster.llm.schemas import strict_schema
from stupid_dagster.project import Project
from stupid_dagster.stages.labels import label_prompts
from tests.llm.servers import Act, Fail, Raw, Say, Silence
from tests.llm.servers import model_server as served
from tests.stages.labelled import DAY, better, by_model, dead_port, made, say, unchanged, with_model


@pytest.fixture(scope="module")
def rules(flights_project: Project) -> pl.DataFrame:
    """The labels that the rules make."""
    return flights_project.lake.read("labels", DAY)


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
    # A request is expected to cost some 64 dollars, of which 0.81 are taken: 11 and 7 tokens.
    prices = {"openai/m": (10_000.0, 100_000.0)}
    with served("openai", better) as server:
        project = with_model(
            *(flights_copy, "openai", server.url),
            **{"llm_prices": prices, "llm_run_cost": 68.0, "llm_at_once": 3},
        )
        written, labels = made(project)
        asked = len(server.requests)
    assert 0 < asked < 12
    assert written.details["openai/m: dollars"] == pytest.approx(asked * 0.81)
    assert written.details["model: unanswered"] == 12 - asked
    assert written.details["model: stopped"] == (
        f"the budget of $68 is used up (setting llm_run_cost): {12 - asked} labels stayed the "
        "rule's"
    )
    refused = labels["refused"].drop_nulls()
    assert refused.str.contains("llm_run_cost").sum() == 12 - asked


def test_what_the_first_try_took_is_told_where_there_is_no_second(flights_copy: Project) -> None:
    [(profile, messages), *_] = label_prompts(flights_copy, DAY)
    enough = sum(vars(expected(messages, strict_schema(LabelAnswer))).values())
    with served("openai", lambda body: say("Lufthansa aircraft")) as server:
        settings = {"llm_labels_most": 1, "llm_run_tokens": enough}
        written, labels = made(with_model(flights_copy, "openai", server.url, **settings))
        assert len(server.requests) == 1
    [row] = labels.filter(pl.col("refused").is_not_null()).iter_rows(named=True)
    assert (row["kind"], row["subject"]) == (profile.kind, profile.subject)
    assert "llm_run_tokens" in row["refused"] and row["prompt"] is None, "asked again next time"
    assert (row["prompt_tokens"], row["completion_tokens"]) == (11, 7)
    assert written.details["openai/m: tokens"] == "11 sent, 7 received"
    assert written.details["model: unanswered"] == 1 and written.details["model: asked"] == 0


def test_when_time_is_up_nobody_else_is_asked_and_what_is_under_way_counts(
    flights_copy: Project, rules: pl.DataFrame
) -> None:
    ended = threading.Semaphore(0)

    def slow(body: dict[str, Any]) -> Act:
        time.sleep(1.5)
        ended.release()
        return Fail(500, "it broke")

    with served("openai", slow) as one, served("ollama", better) as two:
        settings = {"llm_run_seconds": 0.5, "llm_at_once": 3, "llm_seconds": 60}
        others = {"llm_ollama_model": "paid", "llm_ollama_url": two.url}
        project = with_model(flights_copy, "openai", one.url, **settings, **others)
        project = Project(replace(project.settings, llm=("openai", "ollama")))
        written, labels = made(project)
        asked = [*one.requests]
        for _ in asked:
            assert ended.acquire(timeout=10)
        time.sleep(0.3)
        assert len(one.requests) == len(asked) == 3 and not two.requests
    assert unchanged(labels, rules)
    [(model_id, spent)] = written.version.metadata["language_models"].items()
    sent = [[Message(m["role"], m["content"]) for m in body["messages"]] for body in asked]
    wanted = [expected(messages, strict_schema(LabelAnswer)) for messages in sent]
    assert (model_id, spent["requests"]) == ("openai/m", 3)
    assert spent["prompt_tokens"] == sum(usage.prompt_tokens for usage in wanted)
    assert spent["completion_tokens"] == 3 * 500
    assert written.details["model: unanswered"] == 12 and written.details["model: failed"] == 0


def test_after_failures_in_a_row_nobody_else_is_asked(flights_copy: Project) -> None:
    """A request under way goes on, for it can't be cancelled; it is the last of its thread."""
    turn, ended = itertools.count(), threading.Event()

    def fails(body: dict[str, Any]) -> Act:
        if next(turn):
            return Fail(404, "no such model")
        time.sleep(2)
        ended.set()
        return say("Lufthansa aircraft")

    with served("openai", fails) as server:
        project = with_model(flights_copy, "openai", server.url, llm_at_once=2)
        written, _ = made(project)
        assert not ended.is_set()
        assert ended.wait(10)
        time.sleep(0.3)
        # The slow one isn't asked again; another may have been begun before the third was counted.
        assert len(server.requests) <= 5
    assert written.details["model: stopped"] == "after 3 failures in a row"
    assert written.details["openai/m: requests"] >= 4
    spent = written.version.metadata["language_models"]["openai/m"]
    assert spent["prompt_tokens"] > 0 and spent["completion_tokens"] >= 500


def test_a_key_that_cannot_be_kept_costs_no_labels(
    flights_copy: Project, rules: pl.DataFrame
) -> None:
    key = flights_copy.lake.root / KEY_FILE
    key.unlink(missing_ok=True)
    key.mkdir()
    with served("openai", better) as server:
        written, labels = made(with_model(flights_copy, "openai", server.url))
        assert server.requests == []
    assert unchanged(labels, rules)
    assert "key of the pseudonyms can't be kept" in written.details["model: stopped"]


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


@pytest.mark.parametrize("most", [4, 12])
def test_a_label_that_is_too_long_is_refused_and_others_are_asked(
    flights_copy: Project, rules: pl.DataFrame, most: int
) -> None:
    long = say("Busy aircraft " * 7)
    with served("openai", lambda body: long) as server:
        project = with_model(flights_copy, "openai", server.url, llm_labels_most=most)
        written, labels = made(project)
        assert len(server.requests) == 2 * most, "each was asked once more"
    assert unchanged(labels, rules)
    assert written.details["model: refused"] == written.details["model: asked"] == most
    assert "model: stopped" not in written.details
    assert "at most 90 may be" in written.details["model: why not"]


def test_what_ends_the_asking_early_leaves_words_of_every_kind(flights_copy: Project) -> None:
    asked = itertools.count()

    def stops(body: dict[str, Any]) -> Act:
        return better(body) if next(asked) < 8 else Fail(404, "no such model")

    with served("openai", stops) as server:
        settings = {"llm_labels_most": 60, "llm_at_once": 1}
        _, labels = made(with_model(flights_copy, "openai", server.url, **settings))
    assert {"event_cluster", "pattern", "community"} <= set(by_model(labels)["kind"])


def test_the_console_tells_why_labels_stayed_the_rule_s(
    flights_copy: Project, rules: pl.DataFrame
) -> None:
    def status() -> str:
        found = CliRunner().invoke(main, ["--root", str(flights_copy.settings.root), "status"])
        assert found.exit_code == 0, found.output
        return " ".join(found.output.split())

    assert "labels:" not in status(), "nobody was to be asked"
    with served("openai", lambda body: Fail(401, "wrong key")) as server:
        made(with_model(flights_copy, "openai", server.url, llm_at_once=1))
    told = f"labels: 0 of {rules.height} are a language model's, {rules.height} stayed the rule's"
    said = status()
    assert f"{told} (3 failed, 9 unanswered): after 3 failures in a row; 3x " in said
    assert "wrong key" in said
    with served("openai", better) as server:
        prices = {"openai/m": (1000.0, 10_000.0)}
        written, _ = made(with_model(flights_copy, "openai", server.url, llm_prices=prices))
    said, accepted = status(), written.details["model: accepted"]
    assert f"labels: {accepted} of {rules.height} are a language model's, " in said
    assert "openai/m took 132 tokens sent and 84 received in 12 requests, $0.972" in said
