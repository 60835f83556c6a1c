"""What of a question leaves the machine, and what comes of plans that name pseudonyms."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner

from stupid_dagster.cli.main import main
from stupid_dagster.errors import LanguageModelError
from stupid_dagster.llm.privacy import KEY_FILE
from stupid_dagster.project import Project
from stupid_dagster.query import SnapshotReader
from stupid_dagster.query.questions.asking import Answered, Questions
from stupid_dagster.query.questions.privacy import Screen
from stupid_dagster.query.questions.prompts import planning_messages
from stupid_dagster.stores.snapshots import open_snapshot
from tests.llm.hostile import HOSTILE, OBEYED
from tests.llm.servers import Act, Say, Served, model_server
from tests.pipeline import publish_days_as_they_are, write_window_table
from tests.questions.scripted import with_model

DAY = "2013-02-09"


def plan(op: str, **params: Any) -> dict[str, Any]:
    return {"steps": [{"id": "s1", "op": op, "params": params}], "render": {"step": "s1"}}


@contextmanager
def asking(
    project: Project, answer: Any, **overrides: Any
) -> Iterator[tuple[Questions, SnapshotReader, Served]]:
    """Yield what asks a model; `answer` is a plan, or what makes one of a request, or a text."""

    def act(body: dict[str, Any]) -> Act:
        said = answer(body) if callable(answer) else answer
        if isinstance(said, str) or body.get("stream"):
            return Say(said if isinstance(said, str) else "There are some.")
        return Say(json.dumps({"plan": said, "unanswerable": None}))

    with model_server("openai", act) as server:
        told = with_model(project, server, overrides)
        questions = Questions(told)
        with closing(questions), SnapshotReader(told, open_snapshot(told.lake)) as reader:
            yield questions, reader, server


def sent(server: Served) -> str:
    return json.dumps(server.requests, ensure_ascii=False)


@pytest.fixture(scope="module")
def tails(flights_project: Project) -> set[str]:
    """The aircraft, without their prefix."""
    nodes = flights_project.lake.read("graph_nodes", DAY)
    return set(nodes.filter(pl.col("type") == "Aircraft")["key"])


@pytest.mark.parametrize("written", ["aircraft:N328AA", "N328AA"])
def test_ids_are_pseudonyms_in_what_is_sent_and_come_back(
    flights_project: Project, tails: set[str], written: str
) -> None:
    def model(body: dict[str, Any]) -> Any:
        last = body["messages"][-1]["content"]
        if body.get("stream"):
            assert '"neighbor": "carrier:AA"' in last
            hidden = last.split("Question: ")[1].split("?")[0].split()[-1]
            return f"It is {hidden}. "
        hidden = last.split()[-1].strip("?")
        assert hidden.split(":")[-1].startswith("aircraft-")
        assert hidden.startswith("aircraft:") == written.startswith("aircraft:")
        start = hidden if ":" in hidden else f"aircraft:{hidden}"
        return plan("graph.neighbors", start=start, edge_types=["OperatedBy"])

    with asking(flights_project, model) as (questions, reader, server):
        done = questions.ask(reader, f"Who operates {written}?")
        assert not [tail for tail in tails if tail in sent(server)]
    [step] = done.planned.plan.model_dump(exclude_defaults=True)["steps"]
    assert step["params"]["start"] == "aircraft:N328AA"
    assert done.told.text == f"It is {written}." and done.told.removed == 0
    assert done.page.rows["neighbor"].to_list() == ["carrier:AA"]


SOME = [{"field": "tailnum", "op": "in", "value": ["N328AA", "N338AA"]}]


def smallest(field: str, name: str | None) -> dict[str, Any]:
    scan = {"event_type": "Departure", "columns": [field, "carrier"], "filters": SOME}
    measures = [
        {"op": op, "field": field, "name": name and f"{name}_{op}"} for op in ("min", "max")
    ]
    params = {"rows": {"ref": "s1"}, "by": ["carrier"], "measures": measures}
    steps = [
        {"id": "s1", "op": "documents.scan", "params": scan},
        {"id": "s2", "op": "table.aggregate", "params": params},
    ]
    return {"steps": steps, "render": {"step": "s2"}}


def test_no_row_column_or_value_of_a_field_tells_an_id(
    flights_project: Project, tails: set[str]
) -> None:
    asked = [
        plan("documents.scan", event_type="Departure", limit=30),
        plan("knowledge.read", table="anomalies", limit=30),
        plan("knowledge.read", table="communities", limit=5),
        plan("knowledge.read", table="graph_nodes", limit=40),
        plan("knowledge.read", table="insights"),
        plan("vectors.search", text="cancelled", limit=9),
        plan("knowledge.read", table="graph_nodes", columns=["key"], limit=40),
        plan("documents.scan", event_type="Departure", filters=SOME),
        smallest("tailnum", None),
        smallest("tailnum", "seats"),
    ]
    for one in asked:
        with asking(flights_project, one) as (questions, reader, server):
            session = questions.sessions.create().id
            questions.ask(reader, "What is there?", session=session)
            questions.ask(reader, "And those?", session=session)
            said = sent(server)
        found = [tail for tail in tails if tail in said]
        assert not found, one
        assert '\\"text\\": \\"Flight' not in said and "2013-02-0" in said


@pytest.mark.parametrize(("share", "has"), [("profiles", False), ("samples", True)])
@pytest.mark.parametrize(
    "read",
    [
        plan("vectors.search", text="cancelled", limit=3),
        plan("knowledge.read", table="event_clusters", columns=["text"], limit=3),
    ],
)
def test_texts_of_events_are_sent_where_they_may_be(
    flights_project: Project, read: dict[str, Any], share: str, has: bool
) -> None:
    with asking(flights_project, read, llm_share=share) as (questions, reader, server):
        session = questions.sessions.create().id
        done = questions.ask(reader, "What sounds like it?", session=session)
        questions.ask(reader, "And those?", session=session)
        text = done.page.rows["text"][0]
        assert (text[:60] in sent(server)) == has


def test_nothing_is_asked_where_nothing_may_be_sent(flights_project: Project) -> None:
    with (
        asking(flights_project, plan("x"), llm_share="nothing") as (questions, reader, server),
        pytest.raises(LanguageModelError, match=r"llm_share is nothing.*POST /plans"),
    ):
        questions.ask(reader, "What is there?")
    assert server.requests == []


def test_a_question_has_a_budget_of_its_own(flights_project: Project) -> None:
    counted = plan("knowledge.read", table="clusters")
    with asking(flights_project, counted, llm_question_tokens=10) as (questions, reader, server):
        with pytest.raises(LanguageModelError, match=r"10 tokens is used up.*llm_question_tokens"):
            questions.ask(reader, "What is there?")
        assert server.requests == []
    with asking(flights_project, counted, llm_question_tokens=20_000) as (questions, reader, _):
        for _ in range(3):  # Each question begins anew.
            assert questions.ask(reader, "What is there?").told.by == "openai/scripted"


def test_what_is_shown_beforehand_is_what_is_sent(flights_project: Project) -> None:
    question = "What did aircraft:N328AA do?"
    root = str(flights_project.settings.root)
    shown = CliRunner().invoke(main, ["--root", root, "ask", "--dry-run", question])
    assert shown.exit_code == 0, shown.output
    assert "Nothing was sent" in shown.output and "N328AA" not in shown.output
    with asking(flights_project, plan("knowledge.read", table="clusters")) as (ask, reader, server):
        ask.ask(reader, question)
        planning, telling = server.requests
        for message in planning["messages"]:
            assert message["content"] in shown.output
        schema = planning["response_format"]["json_schema"]["schema"]
        assert json.dumps(schema) in shown.output
        assert telling["messages"][0]["content"] in shown.output
        asked = telling["messages"][1]["content"].partition("Results:")[0]
        assert asked in shown.output


def test_a_conversation_is_shown_beforehand_and_nothing_is_written(flights_copy: Project) -> None:
    (flights_copy.lake.root / KEY_FILE).unlink(missing_ok=True)
    questions = ["What did aircraft:N328AA do?", "And who met it?"]
    command = ["--root", str(flights_copy.settings.root), "ask", "--dry-run"]
    shown = CliRunner().invoke(main, [*command, *questions])
    assert shown.exit_code == 0, shown.output
    assert not (flights_copy.lake.root / KEY_FILE).exists()
    first, second = shown.output.split("== To plan:")[1:]
    assert "Earlier in this conversation" not in first
    assert "Earlier in this conversation" in second and "N328AA" not in shown.output
    assert '"question":"What did aircraft:aircraft-' in second
    assert "they will be others than these" in shown.output


@pytest.fixture(scope="module")
def plain(flights_project: Project) -> list[Answered]:
    """What is answered where nobody wrote anything hostile."""
    with asking(flights_project, obedient) as (questions, reader, _):
        return [questions.ask(reader, question) for question in TALK]


TALK = ("How many departures by carrier?", "Who are they?")
_QUOTED = re.compile(r'"(?:[^"\\\n]|\\[^\n])*"')
_TOLD = {"ignore previous", "pwned", "mallory", "yrollam", "fraudsters", "profile>", "u003c"}
"""What each hostile value is known by."""


def wishes(text: str) -> str | None:
    """Return what a text says to one who takes as said to him what stands outside of JSON's quotes.

    Invisible characters count as what they stand for, as they do for a model.
    """
    bare = _QUOTED.sub(" ", text)
    seen = "".join(chr(ord(c) - 0xE0000) if 0xE0000 < ord(c) < 0xE0080 else c for c in bare)
    seen = "".join(c for c in seen if unicodedata.category(c) != "Cf")
    seen = unicodedata.normalize("NFKC", seen).casefold()
    return next((word for word in sorted(_TOLD) if word in seen), None)


def obedient(body: dict[str, Any]) -> Any:
    """A model that does what values tell it, if any reach it outside of JSON's quotes."""
    text = "\n".join(m["content"] for m in body["messages"] if m["role"] != "assistant")
    wish = wishes(text)
    if body.get("stream"):
        return f"{OBEYED}: 123456 are fraudsters. " if wish else "There are some. "
    if wish:
        return plan("knowledge.read", table="anomalies")
    return plan("knowledge.read", table="graph_nodes", limit=40)


@pytest.mark.parametrize("value", [*HOSTILE])
def test_the_obedient_model_obeys_each_value(value: str) -> None:
    """Else the next test could not fail."""
    said = {"messages": [{"role": "user", "content": f"values: {HOSTILE[value]}"}]}
    assert obedient(said) == plan("knowledge.read", table="anomalies")
    quoted = {"messages": [{"role": "user", "content": f"values: {json.dumps(HOSTILE[value])}"}]}
    assert obedient(quoted) != plan("knowledge.read", table="anomalies")


@pytest.mark.parametrize("value", [*HOSTILE])
def test_hostile_values_change_no_plan(
    flights_copy: Project, plain: list[Answered], value: str
) -> None:
    """They are names of carriers, which are shown, and keys of aircraft, which are hidden."""
    nodes = flights_copy.lake.read("graph_nodes", DAY)
    fields = [pl.lit(HOSTILE[value]).alias(name) for name in ("carrier_name", "manufacturer")]
    key = f"{HOSTILE[value]} {KEY}"
    tail = (pl.col("type") == "Aircraft") & (pl.col("events") == pl.col("events").max())
    renamed = nodes.with_columns(
        pl.col("properties").struct.with_fields(fields),
        key=pl.when(tail.over("type")).then(pl.lit(key)).otherwise("key"),
        entity_id=pl.when(tail.over("type")).then(pl.lit(f"aircraft:{key}")).otherwise("entity_id"),
    ).sort(pl.col("key") != key, maintain_order=True)
    write_window_table(flights_copy, "graph_nodes", DAY, renamed)
    from stupid_dagster.stages.publish import make_catalog

    make_catalog(flights_copy, DAY)
    publish_days_as_they_are(flights_copy, DAY)
    with asking(flights_copy, obedient) as (questions, reader, server):
        session = questions.sessions.create().id
        for question, before in zip(TALK, plain, strict=True):
            done = questions.ask(reader, question, session=session)
            assert done.planned.plan == before.planned.plan
            assert "123456" not in done.told.text and OBEYED not in done.told.text
        sizes = [len(request["messages"][0]["content"]) for request in server.requests]
        assert KEY not in sent(server) and len(server.requests) == 4
    assert key in done.page.rows["key"].to_list()
    assert max(sizes) < 20_000


KEY = "of-n77777"


def test_a_catalog_s_values_of_hidden_keys_are_pseudonyms(
    flights_project: Project, tails: set[str]
) -> None:
    hidden = Project(replace(flights_project.settings, llm_hidden=("Carrier",)))
    with SnapshotReader(hidden, open_snapshot(hidden.lake)) as reader:
        screen = Screen.of(reader)
        [system, asked] = planning_messages(reader, screen, "Which are there?", ())
    assert not [tail for tail in tails if tail in system.content]
    line = next(s for s in system.content.splitlines() if s.strip().startswith("- carrier:"))
    assert "carrier-" in line and '"UA"' not in line
    assert asked.content == "Which are there?"
    name = line[line.index("carrier-") :][: len("carrier-1234567890")]
    assert screen.reveal({"value": [name]})["value"][0] in {"UA", "B6", "EV", "DL", "AA", "9E"}
