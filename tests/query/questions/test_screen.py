"""What a screen hides: by the field, by the window, and what was revealed; and what comes back."""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from collections.abc import Collection, Mapping
from typing import Any

import polars as pl
import pytest

from stupid_dagster.compute import words
from stupid_dagster.event_model import EventModel, load_event_model
from stupid_dagster.event_model.schema import FieldRule
from stupid_dagster.llm.privacy import Pseudonyms
from stupid_dagster.query.plans.model import Plan
from stupid_dagster.query.plans.run import PlanResult, StepResult
from stupid_dagster.query.questions.lookup import Known
from stupid_dagster.query.questions.privacy import _TOKEN, Screen
from stupid_dagster.query.questions.prompts import _conversation
from stupid_dagster.query.questions.sessions import Turn
from stupid_dagster.query.questions.telling import results_text
from stupid_dagster.tables import TABLES, Column, Table

FLIGHTS = load_event_model("flights")
KEYS = ("N328AA", "Anna Berg", "O'Brien", "Berg, Anna [x]", "UA", "page", "4711")
NAMES = ("Secret Air", "Mark Young")
NUMBERS = FLIGHTS.model_copy(
    update={"fields": {**FLIGHTS.fields, "tailnum": FieldRule(type="integer")}}
)


def screen(model: EventModel = FLIGHTS, texts: bool = False) -> Screen:
    """Return a screen of a window with some aircraft and carriers, which are hidden."""
    names = Pseudonyms(b"k", model, {"Aircraft", "Carrier"})

    def look_up(words: Collection[str], any_case: bool) -> Mapping[str, Known]:
        found = {name: Known("Carrier", name) for name in NAMES if name in words}
        for key in KEYS:
            if key in words:
                found[key] = Known("Aircraft", key)
            if any_case and key.lower() in words:
                found[key.lower()] = Known("Aircraft", key)
            if f"aircraft:{key}" in words:
                found[f"aircraft:{key}"] = Known("Aircraft", key, is_id=True)
        return found

    return Screen(names, look_up, texts)


def of(key: str) -> str:
    return Pseudonyms(b"k", FLIGHTS, {"Aircraft"}).of("Aircraft", key)


def turn(plan: Any, found: Any, question: str = "which?") -> Turn:
    return Turn(question, plan, "s", found)


def steps(*params: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    return {"steps": [{"id": f"s{n}", "op": op, "params": p} for n, (op, p) in enumerate(params)]}


def where(field: str, op: str, value: Any) -> dict[str, Any]:
    return {"filters": [{"field": field, "op": op, "value": value}]}


@pytest.mark.parametrize(
    "plan",
    [
        steps(("documents.scan", where("tailnum", "eq", "N328AA"))),
        steps(("documents.scan", where("tailnum", "in", ["N1", "N328AA"]))),
        steps(("graph.neighbors", {"start": ["aircraft:N328AA"]})),
        steps(("table.filter", where("what_i_like", "eq", "N328AA"))),
        {**steps(("knowledge.read", {})), "render": {"title": "What N328AA did"}},
    ],
)
@pytest.mark.parametrize("question", ["What did N328AA do?", "which?"])
def test_a_conversation_s_plans_say_no_key(plan: Any, question: str) -> None:
    told = _conversation([turn(plan, {}, question), turn(plan, {"dest": ["LAX"]})], screen())
    assert "N328AA" not in told and 'N1"' not in told
    assert of("N328AA") in told and "LAX" in told


@pytest.mark.parametrize("column", ["key", "tailnum_min", "first", "what"])
def test_what_was_found_is_hidden_whatever_its_column_is_called(column: str) -> None:
    told = _conversation([turn(steps(), {column: ["N328AA", "UA", "page"]})], screen())
    for key in ("N328AA", "UA", "page"):
        assert f'"{key}"' not in told and of(key) in told


def result(rows: pl.DataFrame, *params: tuple[str, dict[str, Any]]) -> PlanResult:
    plan = Plan.model_validate({**steps(*params), "render": {"step": f"s{len(params) - 1}"}})
    last = plan.steps[-1]
    one = StepResult(last.id, last.op, "ok", rows)
    return PlanResult(plan, {last.id: one}, 0.1)


READ = ("knowledge.read", {"table": "graph_nodes", "columns": ["key"]})


@pytest.mark.parametrize(
    "cell",
    [
        *("N328AA", "UA", "page", "4711", "Secret Air", "aircraft:Anna Berg", "aircraft:O'Brien"),
        *("aircraft:Berg, Anna [x]", "aircraft:Nobody Known, here [1]"),
        *("seen: N328AA (twice)", "by Mark Young", 'says {"a": "N328AA"}'),
        *('{"who": ["N328AA"]}', "met aircraft:Anna Berg, then aircraft:O'Brien left"),
    ],
)
def test_a_cell_of_unknown_origin_is_looked_up(cell: str) -> None:
    one = screen()
    rows = pl.DataFrame({"anything": [cell], "other": ["page views"], "count": [4711]})
    told = results_text(result(rows, READ), one)
    secret = ("N328AA", "UA", '4711"', "Secret", "Air", "Anna", "Berg", "Brien", "Mark", "Young")
    assert not [part for part in (*secret, "Nobody", "Known") if part in told]
    assert '"page"' not in told and '"page views"' in told and '"count": 4711' in told
    assert one.reveal(told).replace("\\", "").count(cell.partition("{")[0])


def test_a_struct_s_names_are_hidden_by_their_fields() -> None:
    rows = pl.DataFrame({"properties": [{"carrier_name": "Unheard Of", "manufacturer": "Boeing"}]})
    told = results_text(result(rows, READ), screen())
    assert "Unheard" not in told and "Boeing" in told


@pytest.mark.parametrize("name", ["tailnum", "tailnum_max", "top", "of_that", "top_right"])
def test_numbers_that_are_keys_are_hidden_and_come_back_as_numbers(name: str) -> None:
    measures = [{"op": "max", "field": "tailnum", "name": "top"}]
    again = [{"op": "min", "field": "top", "name": "of_that"}, {"op": "max", "field": "tailnum"}]
    plan = (
        ("documents.scan", {"event_type": "Departure"}),
        ("table.aggregate", {"rows": {"ref": "s0"}, "measures": measures}),
        ("table.aggregate", {"rows": {"ref": "s1"}, "measures": again}),
    )
    one = screen(NUMBERS)
    rows = pl.DataFrame({name: [123456, 123457], "count": [5, 6]})
    told = results_text(result(rows, *plan), one)
    assert "12345" not in told and '"sums": {"count": 11}' in told and of("123456") in told
    asked = {**where(name, "eq", of("123456")), "measures": [*measures, *again]}
    assert one.reveal(asked)["filters"][0]["value"] == 123456
    listed = {**where(name, "in", [of("123457"), 3]), "measures": [*measures, *again]}
    assert one.reveal(listed)["filters"][0]["value"] == [123457, 3]
    # As a text's, it is a text.
    assert one.reveal(where("dest", "eq", of("123456")))["filters"][0]["value"] == "123456"
    assert one.reveal({"start": f"aircraft:{of('123456')}"}) == {"start": "aircraft:123456"}
    assert "123456" not in str(one.plan(one.reveal(asked)))


def test_a_count_of_keys_is_told() -> None:
    measures = [{"op": "count_distinct", "field": "tailnum", "name": "aircraft"}]
    plan = (
        ("documents.scan", {"event_type": "Departure"}),
        ("table.aggregate", {"rows": {"ref": "s0"}, "measures": measures}),
    )
    told = results_text(result(pl.DataFrame({"aircraft": [42]}), *plan), screen(NUMBERS))
    assert '"aircraft": 42' in told


def test_a_catalog_s_numbers_of_hidden_fields_are_pseudonyms() -> None:
    tops = [{"value": 123456, "at_least": 3}]
    field = {"type": "integer", "min": 123456, "max": 123457, "top_values": tops}
    told = str(screen(NUMBERS).catalog({"fields": {"tailnum": field, "seats": field}})["fields"])
    hidden, _, shown = told.partition("'seats'")
    assert "12345" not in hidden and of("123456") in hidden
    assert shown.count("123456") == 2


@pytest.mark.parametrize(
    "said",
    [
        "s0: {0!r} is no number",
        "there is no column {0!r}; did you mean x",
        "{0!r} is wrong, {0} too",
    ],
)
@pytest.mark.parametrize("key", ["N328AA", "UA", "it's", "4711", "k" * 200, "\u202eyrollam"])
def test_what_was_revealed_is_hidden_in_what_is_said_of_it(said: str, key: str) -> None:
    one = screen()
    shown = one.catalog({"fields": {"tailnum": {"examples": [key]}}})
    assert one.reveal(shown["fields"]["tailnum"]["examples"]) == [key]
    told = one.message(said.format(key[:80]))
    assert key[:50] not in told and repr(key)[1:50] not in told and of(key) in told


def test_what_a_plan_itself_names_is_neither_revealed_nor_hidden() -> None:
    """A model that calls a column by a pseudonym doesn't see whose it is."""
    one = screen()
    plan = steps(("table.aggregate", {"by": ["page"], "measures": [{"name": "N328AA"}]}))
    assert one.plan(plan) == plan
    hidden = one.tree({"tailnum": "N328AA"})["tailnum"]
    named = steps(("table.aggregate", {"measures": [{"op": "count", "name": hidden}]}))
    assert one.reveal(named) == named


@pytest.mark.parametrize(
    ("question", "hidden"),
    [
        ("What did n328aa do?", ["N328AA"]),
        ("Did UA fly?", ["UA"]),
        ("Who met Anna Berg?", ["Anna Berg"]),
        ("aircraft:Anna Berg, and aircraft:O'Brien?", ["Anna Berg", "O'Brien"]),
        ("Which page has most errors in 2013?", []),
        ("Where is 4711?", ["4711"]),
    ],
)
def test_a_question_s_keys_are_known_in_any_case(question: str, hidden: list[str]) -> None:
    one = screen()
    shown = one.question(question)
    assert [of(key) in shown for key in hidden] == [True] * len(hidden)
    assert (shown == question) == (not hidden)
    assert one.reveal(shown).lower() == question.lower()


@pytest.mark.parametrize("column", ["text", "text_min", "latest"])
def test_what_events_said_is_kept_whatever_it_is_called(column: str) -> None:
    measures = [{"op": "max", "field": "text", "name": "latest"}, {"op": "min", "field": "text"}]
    plan = (
        ("documents.scan", {"event_type": "Departure"}),
        ("table.aggregate", {"rows": {"ref": "s0"}, "measures": measures}),
    )
    rows = pl.DataFrame({column: ["what it said"], "dest": ["LAX"]})
    for texts in (False, True):
        told = results_text(result(rows, *plan), screen(texts=texts))
        assert ("what it said" in told) == texts and "LAX" in told
        again = _conversation([turn(steps(*plan), {column: ["what it said"]})], screen(texts=texts))
        assert ("what it said" in again) == texts


def test_every_table_s_texts_of_events_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the columns' kind: a new table is covered without being named."""
    new = Table("new", "window", "", (Column("quote", pl.String, "", "said"),))
    monkeypatch.setitem(TABLES, "new", new)
    whole = [("event_clusters", "text"), ("bot_candidates", "text"), ("new", "quote")]
    for table, column in whole:
        plan = ("knowledge.read", {"table": table, "columns": [column]})
        rows = pl.DataFrame({column: ["what it said"], "group_id": ["LAX"]})
        for texts in (False, True):
            told = results_text(result(rows, plan), screen(texts=texts))
            assert ("what it said" in told) == texts and "LAX" in told
            found = [turn(steps(plan), {column: ["what it said"]})]
            assert ("what it said" in _conversation(found, screen(texts=texts))) == texts


def test_quoted_texts_of_events_are_kept() -> None:
    said = 'Login failed for "x", again and again: ' + "é" * 150
    evidence = json.dumps({"parameters": {"text": said}})
    text = f"They act like machines. Most often: {words.tidy(said, limit=160)}."
    rows = pl.DataFrame({"title": ["2 members act"], "text": [text], "evidence": [evidence]})
    plan = ("knowledge.read", {"table": "insights"})
    names = Pseudonyms(b"k", FLIGHTS, {"Aircraft"})
    for texts in (False, True):
        one = Screen(names, lambda words, any_case: {}, texts, said=lambda: [said])
        told = results_text(result(rows, plan), one)
        assert ("again and again" in told) == texts
        assert "Most often: ..." in told or texts
        assert "2 members act" in told


@pytest.mark.parametrize("joined", [("N328AA-N10575", 2), ("N328AA/x", 1), ("N328AA-bound", 1)])
def test_keys_are_known_within_joined_words(joined: tuple[str, int]) -> None:
    shown = screen().question(f"What of {joined[0]}?")
    assert "N328AA" not in shown and of("N328AA") in shown


def test_a_key_behind_many_words_is_hidden() -> None:
    shown = screen().question("a " * 900 + "N328AA")
    assert shown.endswith(of("N328AA"))


def test_json_s_names_and_what_stands_under_a_hidden_field() -> None:
    rows = pl.DataFrame({"a": ['{"N328AA": {"tailnum": {"first": "N77"}}}']})
    told = results_text(result(rows, READ), screen())
    assert "N328AA" not in told and "N77" not in told
    rows = pl.DataFrame({"tailnum": [{"first": "N78", "count": 3}]})
    told = results_text(result(rows, READ), screen())
    assert "N78" not in told
    assert "N79" not in str(screen().tree({"tailnum": {"first": {"deep": ["N79"]}}}))


def test_parts_of_a_hidden_key_are_hidden() -> None:
    one = Screen(
        Pseudonyms(b"k", FLIGHTS, {"Aircraft", "Flight"}), lambda words, any_case: {}, False
    )
    rows = pl.DataFrame({"carrier": ["EV"], "flight": ["4227"], "flight_number": ["EV4227"]})
    plan = ("documents.scan", {"event_type": "Departure"})
    told = results_text(result(rows, plan), one)
    assert "4227" not in told and "EV" in told
    number = re.search(r"field_flight-[0-9a-f]+", told)
    assert number and one.reveal(where("flight", "eq", number[0]))["filters"][0]["value"] == "4227"


def test_no_mark_is_left_out_of_words() -> None:
    marks = {chr(c) for c in range(sys.maxunicode + 1) if unicodedata.category(chr(c))[0] == "M"}
    assert len(marks) > 2_000
    assert {mark for mark in marks if not _TOKEN.fullmatch(f"a{mark}")} == set()
