"""New, vanished and strong patterns, as insights."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from stupid_dagster.compute.insights.patterns import _within
from stupid_dagster.event_model import load_event_model
from tests.compute.insights.made import findings, table, told

GAMING = load_event_model("gaming")


def pattern(name: str, symbols: str, category: str, support: float, **columns: Any) -> dict:
    return {
        "pattern_id": f"pattern:{name}",
        "symbols": symbols.split(),
        "length": len(symbols.split()),
        "category": category,
        "actors": int(1000 * support),
        "support": support,
        "lift": 2.0,
        "median_seconds": 5400.0,
        "examples": ["member:1"],
    } | columns


def patterns_told(*rows: dict[str, Any]) -> list[dict[str, Any]]:
    return told(findings(patterns=table("patterns", *rows)), GAMING)


def test_a_new_and_a_vanished_pattern_in_words() -> None:
    rows = patterns_told(
        pattern("a", "E:vip/progress no-game", "Churn", 0.04, status="new"),
        pattern("b", "L:true G", "Funnel", 0.009, status="vanished", previous_support=0.02),
        pattern("c", "G P:x", "Other", 0.02, status="continued", previous_support=0.02),
    )
    new, gone = rows
    assert new["insight_id"] == "pattern/pattern:a/new"
    assert new["title"] == (
        "New churn pattern: api error (stage vip/progress), then no game opened for 2 days"
    )
    assert new["text"] == (
        "40 members show it, 4% of those with a sequence; the last step follows 2 times as often "
        "as by chance. In the previous window too few did."
    )
    assert new["severity"] == "notable"
    assert new["series"] == [0.0, 0.04]
    assert gone["insight_id"] == "pattern/pattern:b/vanished"
    assert gone["title"] == (
        "Funnel pattern no longer frequent: login (success true), then game opened"
    )
    assert gone["text"].endswith("In the previous window 2% did.")
    assert gone["text"].startswith("9 members still show it")
    assert "; it takes 90 minutes (median)." in gone["text"]
    types = [s["params"]["event_type"] for s in gone["plan"]["steps"][1:]]
    assert types == ["Login", "GameOpened"]
    assert gone["plan"]["steps"][1]["params"]["first_day"] == "2025-03-08"


def test_small_changes_are_info() -> None:
    new, gone = patterns_told(
        pattern("a", "E E", "ErrorChain", 0.011, status="new"),
        pattern("b", "E G", "Other", 0.0098, status="vanished", previous_support=0.01),
        pattern("c", "G G", "Engagement", 0.01, status="continued", previous_support=0.01),
    )
    assert (new["severity"], gone["severity"]) == ("info", "info")


def test_first_categories_come_first_and_no_pattern_within_another() -> None:
    rows = patterns_told(
        pattern("o", "X Y", "Other", 0.9, status="new"),
        pattern("f", "L G", "Funnel", 0.5, status="new"),
        pattern("e1", "E:a E:b", "ErrorChain", 0.3, status="new"),
        pattern("e2", "E:a G E:b", "ErrorChain", 0.2, status="new"),
        pattern("c1", "E:a no-game", "Churn", 0.1, status="new"),
        pattern("c2", "L E:a no-game", "Churn", 0.09, status="new", lift=9.0),
        pattern("z", "G G", "Engagement", 0.05, status="continued", previous_support=0.05),
    )
    told_ids = [row["insight_id"] for row in rows]
    # c2 tells more (0.09 * log2 9 > 0.1 * log2 2), so that c1, which it contains, isn't told.
    assert told_ids == [f"pattern/pattern:{p}/new" for p in ("c2", "e1", "f")]


def test_in_the_first_window_the_strongest_of_two_categories_are_told() -> None:
    rows = patterns_told(
        pattern("c1", "E no-game", "Churn", 0.1),
        pattern("c2", "E E no-game", "Churn", 0.1, lift=3.0),
        pattern("o", "X Y", "Other", 0.9),
        pattern("g", "G G", "Engagement", 0.5, lift=None, median_seconds=None),
        pattern("f", "L G", "Funnel", 0.2),
    )
    assert [row["insight_id"] for row in rows] == ["pattern/pattern:c2", "pattern/pattern:f"]
    assert {row["severity"] for row in rows} == {"info"}
    assert rows[0]["title"].startswith("Strongest churn pattern: api error, then api error, then")


def test_without_patterns_or_categories_nothing_is_told() -> None:
    assert patterns_told() == []
    assert patterns_told(pattern("o", "X Y", "Other", 0.9)) == []
    odd = pattern("n", "Z:z ~", "Unknown", 0.0, lift=None, status="vanished", previous_support=0.1)
    assert patterns_told(odd)[0]["title"] == "Unknown pattern no longer frequent: Z:z, then ~"


@given(st.lists(st.sampled_from("ab"), max_size=6), st.lists(st.sampled_from("ab"), max_size=8))
def test_within_is_being_a_subsequence(part: list[str], whole: list[str]) -> None:
    subsets = (
        [s for n, s in enumerate(whole) if chosen >> n & 1] for chosen in range(2 ** len(whole))
    )
    assert _within(part, whole) == (part in list(subsets))


def test_the_order_of_rows_does_not_matter() -> None:
    rows = [pattern(str(n), f"A{n} B{n}", "Churn", 0.1, status="new") for n in range(9)]
    first = patterns_told(*rows)
    assert first == patterns_told(*rows[::-1])


def test_what_comes_less_often_than_by_chance_stands_behind_commonest_first() -> None:
    rows = patterns_told(
        pattern("a", "G no-game", "Churn", 0.05, lift=0.3),
        pattern("b", "P:x no-game", "Churn", 0.4, lift=0.5),
    )
    assert [row["subjects"][0] for row in rows][:1] == ["pattern:b"]
    rows = patterns_told(
        pattern("a", "G no-game", "Churn", 0.05, lift=1.1),
        pattern("b", "P:x no-game", "Churn", 0.4, lift=0.5),
    )
    assert [row["subjects"][0] for row in rows][:1] == ["pattern:a"]
