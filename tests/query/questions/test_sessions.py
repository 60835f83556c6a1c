from __future__ import annotations

import polars as pl
import pytest

from stupid_dagster.errors import NotFoundError
from stupid_dagster.llm.protocol import Message
from stupid_dagster.query.plans.model import Plan
from stupid_dagster.query.questions.cache import PlanCache, cache_key
from stupid_dagster.query.questions.sessions import MOST_TURNS, MemorySessions, Turn, found_columns


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def turn(question: str, snapshot: str = "s1") -> Turn:
    return Turn(question, {}, snapshot, {"actor": ["member:1"]})


def plan(text: str) -> Plan:
    step = {"id": "s1", "op": "vectors.search", "params": {"text": text}}
    return Plan.model_validate({"steps": [step]})


def test_sessions_end_when_they_are_not_used() -> None:
    clock = Clock()
    sessions = MemorySessions(seconds=10, clock=clock)
    one, other = sessions.create(), sessions.create()
    assert len({one.id, other.id}) == 2
    assert len(one.id) >= 20
    clock.now = 8
    sessions.find(one.id)
    clock.now = 12
    assert len(sessions) == 1
    sessions.find(one.id)
    with pytest.raises(NotFoundError, match="begin a new one"):
        sessions.find(other.id)
    sessions.add(other.id, turn("too late"))


def test_sessions_are_bounded_in_number_and_length() -> None:
    clock = Clock()
    sessions = MemorySessions(most=2, clock=clock)
    made = []
    for clock.now in range(3):
        made.append(sessions.create().id)
    assert len(sessions) == 2
    with pytest.raises(NotFoundError):
        sessions.find(made[0])
    for n in range(MOST_TURNS + 3):
        sessions.add(made[1], turn(f"q{n}"))
    asked = [one.question for one in sessions.find(made[1]).turns]
    assert asked == [f"q{n}" for n in range(3, MOST_TURNS + 3)]


def test_what_was_found_in_other_snapshots_is_forgotten() -> None:
    sessions = MemorySessions()
    one = sessions.create()
    sessions.add(one.id, turn("old", "s1"))
    sessions.add(one.id, turn("new", "s2"))
    sessions.keep_only({"s2", "s3"})
    left = sessions.find(one.id)
    assert [kept.question for kept in left.turns] == ["new"]
    assert left.forgotten == 1


def test_a_session_that_was_lent_does_not_change() -> None:
    sessions = MemorySessions()
    one = sessions.create()
    lent = sessions.find(one.id)
    sessions.add(one.id, turn("q"))
    assert lent.turns == []


def test_found_columns_are_the_first_values_of_texts() -> None:
    rows = pl.DataFrame(
        {"n": range(100), "actor": [f"a:{n // 2}" for n in range(100)], "text": ["x" * 999] * 100}
    )
    found = found_columns(rows)
    assert found == {"actor": [f"a:{n}" for n in range(20)], "text": []}
    assert found_columns(pl.DataFrame()) == {}


def test_the_plan_used_longest_ago_goes() -> None:
    cache = PlanCache(most=2)
    for name in ("a", "b"):
        cache.keep(name, "s1", plan(name))
    assert cache.find("a") == plan("a")
    cache.keep("c", "s2", plan("c"))
    assert cache.find("b") is None
    cache.keep_only({"s2"})
    assert (cache.find("a"), cache.find("c")) == (None, plan("c"))


def test_a_plan_is_for_a_model_a_catalog_and_a_conversation() -> None:
    system, asked = Message("system", "catalog 1"), Message("user", "?")
    key = cache_key("m", [system, asked], "Which flights?")
    assert key == cache_key("m", [system, asked], " Which flights? ")
    others = {
        cache_key("m2", [system, asked], "Which flights?"),
        cache_key("m", [Message("system", "catalog 2"), asked], "Which flights?"),
        cache_key("m", [system, Message("user", "earlier"), asked], "Which flights?"),
        cache_key("m", [system, asked], "Which fights?"),
    }
    assert len(others | {key}) == 5


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What did member:ABC do?", "What did member:abc do?"),
        ("Who wrote 'a  b'?", "Who wrote 'a b'?"),
        ("Who is member:a.", "Who is member:a"),
    ],
)
def test_ids_and_values_are_told_apart_by_case_and_spaces(one: str, other: str) -> None:
    messages = [Message("system", "catalog"), Message("user", "?")]
    assert cache_key("m", messages, one) != cache_key("m", messages, other)
