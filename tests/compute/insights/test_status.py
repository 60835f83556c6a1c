"""New, ongoing and resolved insights over several windows."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
import pytest

from stupid_dagster.compute.insights import Findings, Previous, build_insights
from stupid_dagster.tables import TABLES
from tests.compute.behaviour import shop
from tests.compute.insights.made import findings, rows_of, table
from tests.compute.insights.test_actors import anomalies, anomaly, bots, cause
from tests.compute.insights.test_groups import CLUSTERS
from tests.compute.insights.test_trends import hours
from tests.compute.trend_tables import LAST, trend_rows

DAYS = [LAST + dt.timedelta(days=n) for n in range(4)]


def windows(*tables: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """Return the insights of windows that end on days in a row, each after the one before."""
    previous, found = None, []
    for day, given in zip(DAYS, tables, strict=False):
        given_findings: Findings = findings(previous=previous, **given)
        insights = build_insights(given_findings, model=shop(), window_last_day=day)
        found.append(rows_of(insights))
        previous = Previous(day, insights.table, TABLES["labels"].empty())
    return found


def states(rows: list[dict[str, Any]]) -> dict[str, tuple[str, dt.date]]:
    return {row["insight_id"]: (row["status"], row["since"]) for row in rows}


def test_an_insight_is_new_then_ongoing_then_resolved_once() -> None:
    there, gone = {"anomalies": anomalies(0.8)}, {"anomalies": anomalies(0.2)}
    first, second, third, fourth = windows(there, there, gone, gone)
    assert states(first) == {"anomaly/member:1": ("new", DAYS[0])}
    assert states(second) == {"anomaly/member:1": ("ongoing", DAYS[0])}
    (end,) = third
    assert (end["status"], end["since"], end["severity"]) == ("resolved", DAYS[0], "info")
    assert end["title"] == "No more: Member 1 is unusual"
    assert end["text"] == (
        "It was told as critical from Friday 14 March until Saturday 15 March; on Sunday 16 March "
        "it no longer holds."
    )
    assert end["evidence"]["rows"][0]["since"] == DAYS[0].isoformat()
    assert fourth == []


def test_since_reaches_no_further_back_than_the_window() -> None:
    first = findings(anomalies=anomalies(0.8))
    made = build_insights(first, model=shop(), window_last_day=DAYS[0])
    previous = Previous(DAYS[1], made.table, TABLES["labels"].empty())

    later = findings(previous=previous, days=DAYS[1:3], anomalies=anomalies(0.8))
    rows = rows_of(build_insights(later, model=shop(), window_last_day=DAYS[2]))
    assert states(rows) == {"anomaly/member:1": ("ongoing", DAYS[1])}

    later = findings(previous=previous, days=DAYS[1:3], anomalies=anomalies(0.2))
    (end,) = rows_of(build_insights(later, model=shop(), window_last_day=DAYS[2]))
    assert end["since"] == DAYS[1]
    assert end["text"].startswith(
        "It was told as critical from Saturday 15 March or before until Saturday 15 March; on "
    )
    assert DAYS[0].isoformat() not in str(end)


@pytest.mark.parametrize("score", [0.8, 0.2])
def test_a_window_that_shares_no_day_with_the_one_before_tells_nothing_of_it(score: float) -> None:
    made = build_insights(findings(anomalies=anomalies(0.8)), model=shop(), window_last_day=DAYS[0])
    previous = Previous(DAYS[0], made.table, TABLES["labels"].empty())
    later = findings(previous=previous, days=DAYS[2:], anomalies=anomalies(score))

    rows = rows_of(build_insights(later, model=shop(), window_last_day=DAYS[3]))

    assert states(rows) == ({"anomaly/member:1": ("new", DAYS[3])} if score > 0.5 else {})


def test_what_comes_back_after_its_end_is_new() -> None:
    there, gone = {"anomalies": anomalies(0.8)}, {"anomalies": anomalies()}
    _, second, third = windows(there, gone, there)
    assert second[0]["text"].startswith("It was told as critical on Friday 14 March;")
    assert states(third) == {"anomaly/member:1": ("new", DAYS[2])}


@pytest.mark.parametrize(
    ("kind", "tables"),
    [
        ("trend", {"trends": trend_rows(".............c")}),
        ("cause", {"anomaly_causes": table("anomaly_causes", cause("item:9"))}),
        ("bots", {"bot_candidates": table("bot_candidates", *bots(0, 3, "Lamp"))}),
        ("anomaly", {"anomalies": anomalies(0.4)}),
        ("cluster", {"clusters": CLUSTERS}),
    ],
)
def test_the_end_of_what_is_wrong_is_told_and_of_segments_not(
    kind: str, tables: dict[str, pl.DataFrame]
) -> None:
    first, second = windows(tables, {})
    assert {row["kind"] for row in first} == {kind}
    expected = [] if kind == "cluster" else [row["insight_id"] for row in first]
    assert [row["insight_id"] for row in second] == expected
    assert all(row["title"].startswith("No more: ") for row in second)


def test_an_anomaly_that_others_push_out_is_not_resolved() -> None:
    first = {"anomalies": anomalies(0.4)}
    worse = [anomaly(n, 0.9) for n in range(2, 8)]
    second = {"anomalies": table("anomalies", *worse, anomaly(1, 0.4, rank=9))}
    rows = windows(first, second)[1]
    assert "anomaly/member:1" not in states(rows)
    assert {row["status"] for row in rows} == {"new"}


@pytest.mark.parametrize(
    "before",
    [
        hours({3: 30.0, 4: 0.0}),
        trend_rows(".............c", member="app"),
        hours({3: 30.0}, member="app"),
    ],
)
def test_what_a_trend_of_the_whole_day_says_too_is_not_resolved(before: pl.DataFrame) -> None:
    whole = {"trends": trend_rows(".............c")}
    _, second = windows({"trends": before}, whole)
    assert states(second) == {"trend/visits/up": ("new", DAYS[1])}
    _, other = windows({"trends": before}, {"trends": trend_rows(".............c", "spent")})
    assert "resolved" in {row["status"] for row in other}


def test_a_new_one_precedes_an_ongoing_of_its_severity_and_resolved_are_last() -> None:
    first = {
        "trends": trend_rows(".............c", "visits"),
        "bot_candidates": table("bot_candidates", *bots(0, 3, "Lamp")),
        "clusters": CLUSTERS,
    }
    second = {
        "trends": pl.concat(
            [trend_rows(".............c", "visits"), trend_rows("............c.", "spent")]
        ),
        "clusters": CLUSTERS,
    }
    _, rows = windows(first, second)
    assert [(row["kind"], row["status"]) for row in rows] == [
        ("trend", "new"),
        ("trend", "ongoing"),
        *[("cluster", "ongoing")] * 2,
        ("bots", "resolved"),
    ]
