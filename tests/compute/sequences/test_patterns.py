"""Patterns by category: which are kept, what is said of them, and what the sample planted."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stupid_dagster.compute.sequences.patterns import Bounds, PatternResult, find_patterns
from stupid_dagster.compute.sequences.timelines import Timelines, join_timelines
from stupid_dagster.connect.sequences import build_sequences
from stupid_dagster.event_model import load_event_model
from stupid_dagster.ingest import build_documents, index_landing
from stupid_dagster.samples.gaming import write_gaming
from stupid_dagster.tables import TABLES
from tests.compute.sequences.made import PATTERNS, leftmost, model, patterns_in, timelines

BOUNDS = Bounds(min_support=0.0, min_actors=1, max_length=4, most=10_000)
RULES = PATTERNS
NO_SILENCE = PATTERNS.replace("silence: {code: quiet, of: [Buy, Gift], hours: 48}", "").replace(
    "[F, quiet]", "[F, V, F]"
)


def lines_of(drawn: dict[str, list[str]]) -> Timelines:
    return timelines(drawn, NO_SILENCE)


def found(drawn: dict[str, list[str]], bounds: Bounds = BOUNDS) -> PatternResult:
    return find_patterns(model(NO_SILENCE), lines_of(drawn), bounds)


def category(pattern: tuple[str, ...]) -> str:
    """Name a pattern by the rules above, written out."""
    codes = [symbol[0] for symbol in pattern]
    if leftmost(codes, "FVF"):
        return "Lost"
    if leftmost(codes, "FF"):
        return "Failing"
    if leftmost(codes, "VB"):
        return "Funnel"
    if leftmost(codes, "BB") and "F" not in codes:
        return "Keen"
    return "Other"


actors = st.lists(
    st.lists(st.sampled_from(["V", "B", "B:x", "F:1", "F:2", "A"]), min_size=1, max_size=7),
    min_size=1,
    max_size=6,
).map(lambda drawn: {f"member:{n}": symbols for n, symbols in enumerate(drawn)})


@given(actors)
def test_without_limits_every_pattern_is_there_with_its_category(
    drawn: dict[str, list[str]],
) -> None:
    table = found(drawn).patterns
    every = {p for symbols in drawn.values() for p in patterns_in(symbols, 4)}
    rows = {tuple(row["symbols"]): row for row in table.iter_rows(named=True)}
    assert rows.keys() == every and len(rows) == table.height
    assert table.schema == TABLES["patterns"].schema

    def having(pattern: tuple[str, ...]) -> list[str]:
        return [a for a, symbols in drawn.items() if leftmost(symbols, pattern)]

    for pattern, row in rows.items():
        shown = having(pattern)
        assert row["category"] == category(pattern)
        assert row["length"] == len(pattern)
        assert row["actors"] == len(shown)
        assert row["support"] == len(shown) / len(drawn)
        assert row["examples"] == sorted(shown)[:3]
        if len(pattern) > 1:
            alone = len(having(pattern[:-1])) * len([a for a in drawn.values() if pattern[-1] in a])
            assert row["lift"] == pytest.approx(len(shown) * len(drawn) / alone)
        assert row["status"] is None and row["previous_support"] is None
    assert table["pattern_id"].n_unique() == table.height
    order = [(-row["actors"], row["length"], row["symbols"]) for row in table.iter_rows(named=True)]
    assert order == sorted(order)


@given(actors, st.integers(1, 40), st.integers(1, 3))
def test_with_limits_none_above_its_category_s_mark_is_missing(
    drawn: dict[str, list[str]], most: int, minimum: int
) -> None:
    result = found(drawn, Bounds(0.0, minimum, 3, most))
    everything = found(drawn, Bounds(0.0, minimum, 3, 10_000)).patterns
    assert result.patterns.height <= most
    kept = set(result.patterns["pattern_id"])
    for row in everything.iter_rows(named=True):
        if row["actors"] >= result.complete_from[row["category"]]:
            assert row["pattern_id"] in kept
    assert kept <= set(everything["pattern_id"])


def test_common_events_do_not_crowd_out_what_a_category_is_about() -> None:
    # Nearly all fail and visit over and over; few fail twice in another way.
    drawn = {f"member:{n:03}": ["V", "F:1", "V", "A", "B", "F:1", "V"] for n in range(190)}
    drawn |= {f"member:{n:03}": ["F:2", "F:2"] for n in range(190, 200)}
    table = found(drawn, Bounds(0.01, 1, 6, 30)).patterns
    failing = table.filter(category="Failing")["symbols"].to_list()
    assert ["F:2", "F:2"] in failing


def test_the_minimum_is_the_larger_of_a_share_and_a_number() -> None:
    assert Bounds(0.07, 1, 5, 10).minimum(100) == 7
    assert Bounds(0.01, 1, 5, 10).minimum(101) == 2
    assert Bounds(0.01, 50, 5, 10).minimum(101) == 50
    assert Bounds(0.0, 1, 5, 10).minimum(0) == 1


def test_new_continued_and_vanished() -> None:
    before = {
        "member:a": ["V", "B"],
        "member:b": ["V", "B", "A"],
        "member:c": ["V", "B"],
        "member:d": ["A", "F:1"],
        "member:e": ["A", "F:1"],
    }
    after = before | {
        "member:a": ["B", "V"],
        "member:b": ["V", "B", "V", "A"],
        "member:d": ["A", "V"],
        "member:e": ["A", "F:1"],
    }
    bounds = Bounds(0.0, 2, 5, 100)
    first = find_patterns(model(NO_SILENCE), lines_of(before), bounds)
    assert first.patterns["status"].is_null().all()

    def follow(previous: pl.DataFrame) -> dict[tuple[str, ...], dict]:
        table = find_patterns(
            model(NO_SILENCE),
            lines_of(after),
            bounds,
            previous=previous,
            previous_timelines=lines_of(before),
        ).patterns
        return {tuple(row["symbols"]): row for row in table.iter_rows(named=True)}

    rows = follow(first.patterns)
    assert {p: (r["status"], r["actors"], r["previous_support"]) for p, r in rows.items()} == {
        ("V", "B"): ("continued", 2, 0.6),
        ("B", "V"): ("new", 2, None),
        ("A", "F:1"): ("vanished", 1, 0.4),
    }
    # One that the previous table only had no room for isn't new.
    rows = follow(first.patterns.filter(pl.col("symbols").list.first() != "V"))
    assert (rows["V", "B"]["status"], rows["V", "B"]["previous_support"]) == ("continued", 0.6)
    # What had vanished before doesn't vanish again.
    gone = first.patterns.with_columns(status=pl.lit("vanished"))
    assert ("A", "F:1") not in follow(gone)


def test_vanished_patterns_of_symbols_that_nobody_has_any_more() -> None:
    bounds = Bounds(0.0, 1, 5, 100)
    before, after = {"member:a": ["V", "Z:1"]}, {"member:a": ["V", "V"]}
    first = find_patterns(model(NO_SILENCE), lines_of(before), bounds)
    table = find_patterns(
        model(NO_SILENCE),
        lines_of(after),
        bounds,
        previous=first.patterns,
        previous_timelines=lines_of(before),
    ).patterns
    gone = table.filter(status="vanished").row(0, named=True)
    assert gone["symbols"] == ["V", "Z:1"] and gone["actors"] == 0 and gone["examples"] == []
    assert gone["lift"] is None and gone["median_seconds"] is None


def test_no_actors_and_no_categories_give_sensible_tables() -> None:
    nothing = find_patterns(model(), timelines({}), BOUNDS, previous=TABLES["patterns"].empty())
    assert nothing.patterns.equals(TABLES["patterns"].empty())
    plain = find_patterns(model("{}"), timelines({"member:a": ["V"] * 9}), BOUNDS).patterns
    assert plain.select("symbols", "category").rows() == [(["V", "V"], "Other")]


FIRST, DAYS, EVENTS = dt.date(2025, 3, 1), 7, 8_000


@pytest.fixture(scope="module")
def gaming(tmp_path_factory: pytest.TempPathFactory) -> Timelines:
    folder: Path = tmp_path_factory.mktemp("gaming")
    write_gaming(folder, FIRST, DAYS, EVENTS, seed=11)
    gaming = load_event_model("gaming")
    landing = index_landing(gaming, folder)
    days = [FIRST + dt.timedelta(days=n) for n in range(DAYS)]
    tables = [
        build_sequences(gaming, build_documents(gaming, landing, day, (FIRST, days[-1])).documents)
        for day in days
    ]
    until = dt.datetime.combine(days[-1], dt.time(), dt.UTC) + dt.timedelta(days=1)
    return join_timelines(gaming, pl.concat(tables), until)


def test_the_planted_churn_is_among_the_churn_patterns(gaming: Timelines) -> None:
    bounds = Bounds(min_support=0.01, min_actors=5, max_length=10, most=5_000)
    result = find_patterns(load_event_model("gaming"), gaming, bounds)
    planted = ["E:wallet/deposit", "E:wallet/deposit"]
    by_symbols = {tuple(row["symbols"]): row for row in result.patterns.iter_rows(named=True)}
    assert by_symbols[(*planted, "no-game")]["category"] == "Churn"
    assert by_symbols[tuple(planted)]["category"] == "ErrorChain"
    assert by_symbols[(*planted, "no-game")]["median_seconds"] >= 48 * 3_600 * 0.9
    assert set(result.patterns["category"]) == {
        *("Churn", "ErrorChain", "Funnel", "Engagement", "Other")
    }
