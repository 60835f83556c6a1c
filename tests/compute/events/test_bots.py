from __future__ import annotations

import datetime as dt

import polars as pl

from stupid_dagster.compute.events.bots import find_bot_candidates
from stupid_dagster.tables import TABLES

DAY = "2025-03-01"
MIDNIGHT = dt.datetime(2025, 3, 1, tzinfo=dt.UTC)
TEXTS = pl.DataFrame(
    [(n, "Visit" if n < 5 else "Fault", f"text {n}", 1, "") for n in range(60)],
    schema=TABLES["texts"].schema,
    orient="row",
)


def found(actors: dict[str, tuple[dict[int, int], list[float]]]) -> pl.DataFrame:
    """Candidates among actors, given as counts by text and gaps in seconds."""
    actor_texts = pl.DataFrame(
        [
            (name, text, count, 100 + text)
            for name, (counts, _) in actors.items()
            for text, count in counts.items()
        ],
        schema=TABLES["actor_texts"].schema,
        orient="row",
    )
    rows = []
    for name, (_, gaps) in actors.items():
        times = [MIDNIGHT]
        for gap in gaps:
            times.append(times[-1] + dt.timedelta(seconds=gap))
        rows.append((name, ["S"] * len(times), times))
    sequences = pl.DataFrame(rows, schema=TABLES["sequences"].schema, orient="row")
    table = find_bot_candidates(actor_texts, sequences, TEXTS, DAY)
    again = find_bot_candidates(actor_texts.reverse(), sequences.reverse(), TEXTS.reverse(), DAY)
    assert table.equals(again)
    assert table.schema == TABLES["bot_candidates"].schema
    return table


BEAT = [60.0] * 29
BOT = ({1: 20, 2: 10}, BEAT)


def test_those_who_repeat_the_same_in_fixed_intervals_are_a_group() -> None:
    slow = ({5: 27, 2: 3}, [600.0 + n % 2 * 29 for n in range(20)] + [1.0] * 9)
    table = found({"b": BOT, "a": BOT, "c": BOT, "d": BOT, "x": slow, "y": slow, "z": slow})
    assert table["actor"].to_list() == ["a", "b", "c", "d", "x", "y", "z"]
    # Few of the second group's events are of text 2: it doesn't link the two.
    assert table["group_id"].to_list() == ["bots:0"] * 4 + ["bots:1"] * 3
    assert table.row(0, named=True) == {
        "group_id": "bots:0",
        "actor": "a",
        "events": 30,
        "texts": 2,
        "repetition": 28 / 30,
        "interval_seconds": 60.0,
        "regularity": 1.0,
        "text": "text 1",
        "example": f"{DAY}/Visit/101",
    }
    last = table.row(6, named=True)
    assert (last["interval_seconds"], last["regularity"]) == (600.0, 20 / 29)
    assert (last["text"], last["example"]) == ("text 5", f"{DAY}/Fault/105")


def test_ordinary_actors_are_not_named() -> None:
    irregular = [1.5**n for n in range(29)]
    for other in (
        ({n: 1 for n in range(30)}, BEAT),  # does something else each time
        ({1: 15, **{n: 1 for n in range(2, 17)}}, BEAT),  # repeats half of it
        ({1: 20, 2: 10}, irregular),  # has no beat
        ({1: 10, 2: 5}, BEAT[:14]),  # does too little
    ):
        assert found({"a": other, "b": other, "c": other}).is_empty()
    assert found({"a": BOT, "b": BOT}).is_empty()
    assert found({"a": BOT, "b": BOT, "c": ({1: 20, 2: 10}, irregular)}).is_empty()


def test_odd_days_have_no_candidates() -> None:
    assert found({}).is_empty()
    assert found({"a": ({1: 30}, [])}).is_empty()
    # All at one moment is a beat, too: no person does that.
    at_once = ({1: 30}, [0.0] * 29)
    assert found({"a": at_once, "b": at_once, "c": at_once}).height == 3
    none = TABLES["sequences"].empty()
    actor_texts = pl.DataFrame([("a", 1, 30, 0)], schema=TABLES["actor_texts"].schema, orient="row")
    assert find_bot_candidates(actor_texts, none, TEXTS, DAY).is_empty()
