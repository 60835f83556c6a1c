"""Names and numbers in words."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stupid_dagster.compute import words


@pytest.mark.parametrize(
    ("identifier", "said"),
    [
        ("mean_delay", "mean delay"),
        ("FlewTo", "flew to"),
        ("APIError", "api error"),
        ("VipGroup", "vip group"),
        ("departures", "departures"),
    ],
)
def test_identifiers_become_words(identifier: str, said: str) -> None:
    assert words.humanise(identifier) == said


@pytest.mark.parametrize(
    ("noun", "several"),
    [
        ("aircraft", "aircraft"),
        ("member", "members"),
        ("flight number", "flight numbers"),
        ("city", "cities"),
        ("day", "days"),
        ("box", "boxes"),
        ("class", "classes"),
        ("status", "statuses"),
        ("person", "people"),
        ("flights", "flights"),
        ("salesperson", "salespersons"),
        ("ticket opened", "ticket opened"),
        ("feed", "feeds"),
        ("seed bed", "seed beds"),
    ],
)
def test_plurals(noun: str, several: str) -> None:
    assert words.plural(noun) == several


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (5.678, "5.7"),
        (9.96, "10"),
        (38.4, "38"),
        (10107.9, "10,108"),
        (0.0432, "0.043"),
        (-2.5, "-2.5"),
        (1.0, "1"),
        (float("nan"), "unknown"),
    ],
)
def test_numbers(value: float, said: str) -> None:
    assert words.number(value) == said


@given(st.floats(-1e12, 1e12).filter(lambda x: x == 0 or abs(x) > 1e-6))
def test_numbers_are_near_what_they_stand_for(value: float) -> None:
    said = words.number(value)
    assert re.fullmatch(r"-?\d[\d,]*(\.\d+)?", said)
    assert float(said.replace(",", "")) == pytest.approx(value, rel=0.051)


def test_shares_periods_and_lists() -> None:
    assert [words.percent(share) for share in (0.4312, 0.0043, 1.0)] == ["43%", "0.43%", "100%"]
    assert [words.per_period(days) for days in (1, 7, 30)] == ["a day", "a week", "in 30 days"]
    assert words.listed([]) == ""
    assert words.listed(["a"]) == "a"
    assert words.listed(["a", "b"]) == "a and b"
    assert words.listed(["a", "b", "c"]) == "a, b and c"
    assert words.first_few("abcde") == "a, b, c, d, e"
    assert words.first_few("abcdef") == "a, b, c, d, e, ..."
    assert words.counted(1, "city") == "1 city"
    assert words.counted(1234, "city") == "1,234 cities"


@given(st.text(), st.integers(2, 50))
def test_tidy_values_are_one_short_visible_line(value: str, limit: int) -> None:
    said = words.tidy(value, limit)
    assert len(said) <= limit
    assert said == said.strip() and "  " not in said
    assert said.isprintable()
    assert words.tidy(said, limit) == said
