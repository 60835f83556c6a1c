"""Timelines: days joined, silences where they belong, runs cut."""

from __future__ import annotations

import datetime as dt

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from stupid_dagster.compute.sequences.timelines import Timelines, join_timelines
from stupid_dagster.tables import TABLES
from tests.compute.graphs import shuffled
from tests.compute.sequences.made import START, Event, model, sequence_table, timelines

UNTIL = START + dt.timedelta(days=7)
SILENT = 48


def listed(lines: Timelines) -> dict[str, list[Event]]:
    """Return each actor's (hour, symbol)."""
    first = START.timestamp() * 1000
    return {
        actor: [
            ((lines.times[place] - first) / 3_600_000, lines.alphabet[lines.symbols[place]])
            for place in range(lines.starts[row], lines.starts[row + 1])
        ]
        for row, actor in enumerate(lines.actors)
    }


def with_silences(events: list[Event]) -> list[Event]:
    """Insert silences by their definition."""
    speaking = [hour for hour, symbol in events if symbol[0] in "BA"]
    silences = {
        hour + SILENT
        for hour in speaking
        if hour + SILENT <= 7 * 24 and not any(hour < other <= hour + SILENT for other in speaking)
    }
    ordered = [(hour, 1, symbol) for hour, symbol in events]
    ordered += [(hour, 0, "quiet") for hour in silences]
    return [(hour, symbol) for hour, _, symbol in sorted(ordered)]


events = st.lists(
    st.tuples(
        st.integers(0, 7 * 24 - 1).map(float), st.sampled_from(["V", "B", "B:x", "A", "F:y"])
    ),
    min_size=1,
    max_size=12,
    unique=True,
).map(sorted)


@given(
    st.dictionaries(st.sampled_from(["member:a", "member:b", "member:c"]), events), st.integers()
)
def test_days_are_joined_and_silences_inserted(actors: dict[str, list[Event]], seed: int) -> None:
    table = shuffled(sequence_table(actors), abs(seed) % 100)
    lines = join_timelines(model(), table, UNTIL)
    assert listed(lines) == {actor: with_silences(actors[actor]) for actor in sorted(actors)}


def test_a_silence_that_may_end_after_what_is_known_is_none() -> None:
    actors = {"member:a": [(120.0, "B")], "member:b": [(120.01, "B")]}
    lines = join_timelines(model(), sequence_table(actors), UNTIL)
    assert listed(lines)["member:a"] == [(120, "B"), (168, "quiet")]
    assert [symbol for _, symbol in listed(lines)["member:b"]] == ["B"]


def test_a_purchase_just_when_the_silence_would_be_breaks_it() -> None:
    actors = {"member:a": [(1.0, "B"), (49.0, "A:x")], "member:b": [(1.0, "B"), (49.0, "V")]}
    found = listed(join_timelines(model(), sequence_table(actors), UNTIL))
    assert found["member:a"] == [(1, "B"), (49, "A:x"), (97, "quiet")]
    assert found["member:b"] == [(1, "B"), (49, "quiet"), (49, "V")]


def test_no_rows_and_rows_without_symbols_give_no_actors() -> None:
    nothing = TABLES["sequences"].empty()
    silent = pl.DataFrame(
        {"actor": ["member:a"], "symbols": [[]], "times": [[]]}, schema=nothing.schema
    )
    for table in (nothing, silent):
        lines = join_timelines(model(), table, UNTIL)
        assert (lines.size, len(lines.symbols)) == (0, 0)
        assert lines.restricted(["V"]).size == 0


def test_runs_are_cut_to_two_and_other_symbols_left_out() -> None:
    lines = timelines({"member:a": "VVVBVVVF", "member:b": "FF", "member:c": "VFVFV"})
    cut = lines.restricted(["V", "B", "Z"])
    assert cut.alphabet == ["B", "V"]
    minutes = {a: [(round(h * 60), s) for h, s in found] for a, found in listed(cut).items()}
    assert minutes == {
        "member:a": [(0, "V"), (1, "V"), (3, "B"), (4, "V"), (5, "V")],
        "member:b": [],
        "member:c": [(0, "V"), (2, "V")],
    }


def test_reordered_timelines_keep_their_events() -> None:
    lines = timelines({"member:a": "VB", "member:b": "F", "member:c": "BBV"})
    turned = lines.ordered(pl.Series([2, 0]).to_numpy())
    assert list(listed(turned).items()) == [
        (actor, listed(lines)[actor]) for actor in ("member:c", "member:a")
    ]
