"""Insights: episodes, ranking, words whose numbers are the tables', and groups."""

from __future__ import annotations

import datetime as dt
import json
import re
from typing import Any

import polars as pl
import pytest

from stupid_dagster.compute import words
from stupid_dagster.compute.episodes import recent_episodes
from stupid_dagster.compute.insights import build_insights
from stupid_dagster.compute.trends import daily_trends
from stupid_dagster.event_model import load_event_model
from stupid_dagster.tables import TABLES
from tests.compute.behaviour import flights_metrics, shop

FIRST, LAST = dt.date(2025, 3, 1), dt.date(2025, 3, 14)
BLIZZARD = dt.date(2013, 2, 9)
GROUPS = ("clusters", "communities", "labels")


def trend_rows(
    severities: str, metric: str = "visits", member: str = "", direction: str = "up"
) -> pl.DataFrame:
    """Return trends of 14 days: a letter each, n(otable), s(ignificant), c(ritical) or dot."""
    names = {".": "normal", "n": "notable", "s": "significant", "c": "critical"}
    sign = 1 if direction == "up" else -1
    rows = []
    for n, letter in enumerate(severities):
        z = sign * {".": 0.0, "n": 2.5, "s": 3.5, "c": 10.0 + n}[letter]
        day = FIRST + dt.timedelta(days=n)
        rows.append(
            {
                "grain": "day",
                "time": dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC)
                - dt.timedelta(hours=7),
                "metric": metric,
                "dimension": "platform" if member else "",
                "member": member,
                "value": 100.0 + 10 * z,
                "baseline": 100.0,
                "scale": 10.0,
                "z": z,
                "severity": names[letter],
                "direction": direction if z else "flat",
                "drivers": [{"dimension": "platform", "member": "web", "contribution": 0.7}]
                if letter != "."
                else [],
            }
        )
    return pl.DataFrame(rows, schema=TABLES["trends"].schema)


def insights_of(*trends: pl.DataFrame, **tables: pl.DataFrame) -> pl.DataFrame:
    rows = pl.concat([TABLES["trends"].empty(), *trends])
    groups = (tables.get(name, TABLES[name].empty()) for name in GROUPS)
    return build_insights(rows, *groups, model=shop(), window_last_day=LAST)


def test_nothing_to_tell_is_an_empty_table() -> None:
    assert insights_of().equals(TABLES["insights"].empty())
    assert insights_of(trend_rows("..............")).is_empty()


@pytest.mark.parametrize(
    ("severities", "days"),
    [
        ("............cc", 2),
        ("..........cc..", 1 + 1),
        (".......cc.....", 0),
        ("...ss...s.sc..", 3),
        ("............nn", 0),
    ],
)
def test_one_insight_per_episode_of_the_last_days(severities: str, days: int) -> None:
    table = insights_of(trend_rows(severities))
    assert len(table) == (1 if days else 0)
    if days:
        evidence = json.loads(table["evidence"][0])
        assert len(evidence["rows"]) == days
        assert len(table["series"][0]) == 14


def test_a_trend_in_words_and_evidence() -> None:
    row = insights_of(trend_rows("...........sc.")).row(0, named=True)
    assert row["insight_id"] == "trend/visits/up"
    assert (row["rank"], row["kind"], row["severity"]) == (1, "trend", "critical")
    assert row["title"] == "Visits above usual: 320 on Thursday 13 March, usually 100"
    assert row["text"] == (
        "Visits: 135 on Wednesday 12 March (usually 100, +35%) and 320 on Thursday 13 March "
        "(usually 100, 3.2 times that). Shares of the rise on Thursday 13 March: platform web 70%."
    )
    assert row["subjects"] == ["visits"]
    evidence = json.loads(row["evidence"])
    assert evidence["where"] == {"metric": "visits", "dimension": ""}
    assert [r["day"] for r in evidence["rows"]] == ["2025-03-12", "2025-03-13"]
    assert row["series"][-3:] == [135.0, 320.0, 100.0]


def test_directions_are_told_apart() -> None:
    both = insights_of(trend_rows(".............c"), trend_rows("............c.", direction="down"))
    assert set(both["insight_id"]) == {"trend/visits/up", "trend/visits/down"}


def test_members_are_told_together_and_only_where_the_whole_is_silent() -> None:
    app = trend_rows(".............c", member="app")
    web = trend_rows("............c.", member="web")
    mild = trend_rows(".............s", member="tv")
    table = insights_of(trend_rows(".............n"), app, web, mild)
    assert table["insight_id"].to_list() == ["trend/visits/platform/up"]
    assert table["title"][0] == "Visits above usual for platforms app and web"
    assert table["subjects"][0].to_list() == ["visits", "platform=app", "platform=web"]
    alone = insights_of(app)["title"][0]
    assert alone == "Visits for platform app above usual: 330 on Friday 14 March, usually 100"
    whole = insights_of(trend_rows(".............s"), app, web)
    assert whole["insight_id"].to_list() == ["trend/visits/up"]


def test_the_worst_comes_first() -> None:
    clusters = pl.DataFrame(
        [
            (f"cluster:{n}", size, size / 1000, [{"feature": "visits", "z": z}], [z])
            for n, (size, z) in enumerate([(900, -0.2), (95, 2.5), (5, 25.0)])
        ],
        schema=TABLES["clusters"].schema,
        orient="row",
    )
    communities = pl.DataFrame(
        [(f"community:{n}", 9 - 4 * n, 1, 5.0, 1.0, ["item:1"], []) for n in range(3)],
        schema=TABLES["communities"].schema,
        orient="row",
    )
    labels = pl.DataFrame(
        [("cluster:1", "cluster", "Busy members", "95 members.", [], "rule", "0")],
        schema=TABLES["labels"].schema,
        orient="row",
    )
    table = insights_of(
        trend_rows(".............s", "spent"),
        trend_rows(".............c", "fault_rate"),
        trend_rows(".............c", "visits"),
        clusters=clusters,
        communities=communities,
        labels=labels,
    )
    assert table["insight_id"].to_list() == [
        "trend/visits/up",
        "trend/fault_rate/up",
        "trend/spent/up",
        "cluster/cluster:0",
        "cluster/cluster:1",
        "community/community:0",
        "community/community:1",
    ]
    assert table["rank"].to_list() == list(range(1, 8))
    assert table["title"].to_list()[3:5] == [
        "Largest segment: cluster:0",
        "Most unusual segment: Busy members",
    ]
    assert table["text"][4] == "95 members."


def numbers_in(text: str) -> set[str]:
    return set(re.findall(r"-?\d+(?:,\d{3})*(?:\.\d+)?", text))


def told_numbers(row: dict[str, Any]) -> set[str]:
    """Return the numbers in an insight's words, without those of its dates."""
    return numbers_in(re.sub(r"\w+day \d+ \w+", "", f"{row['title']} {row['text']}"))


def evident_numbers(row: dict[str, Any]) -> set[str]:
    """Return every number that the evidence of a trend gives, as words show it."""
    found = {name for subject in row["subjects"] for name in numbers_in(subject)}
    for day in json.loads(row["evidence"])["rows"]:
        shares = [driver["contribution"] for driver in day["drivers"]]
        values = [day["value"], day["baseline"], *shares]
        if day["baseline"]:
            values += [day["value"] / day["baseline"], day["value"] / day["baseline"] - 1]
        found |= {words.number(v) for v in values}
        found.update(*(numbers_in(driver["member"]) for driver in day["drivers"]))
        found |= {words.percent(v).rstrip("%") for v in values}
    return found


def test_the_blizzard_leads_and_every_number_is_evident() -> None:
    model = load_event_model("flights")
    trends = daily_trends(model, flights_metrics(BLIZZARD - dt.timedelta(days=29), BLIZZARD).lazy())
    empty = [TABLES[name].empty() for name in GROUPS]
    table = build_insights(trends, *empty, model=model, window_last_day=BLIZZARD)
    first = table.row(0, named=True)
    assert (first["insight_id"], first["severity"]) == ("trend/cancellations/up", "critical")
    assert first["title"].startswith("Cancellations above usual: 472 on Friday 8 February")
    assert "393 on Saturday 9 February" in first["text"]
    assert all(airport in first["text"] for airport in ("EWR", "JFK", "LGA"))
    assert first["series"][-2:] == [472.0, 393.0] and len(first["series"]) == 30
    assert "trend/departures/down" in table["insight_id"].to_list()
    for row in table.iter_rows(named=True):
        assert told_numbers(row) <= evident_numbers(row), row["text"]
    calm = build_insights(trends, *empty, model=model, window_last_day=dt.date(2013, 2, 7))
    assert "cancellations" not in {subject for row in calm["subjects"] for subject in row}


def test_episodes_bridge_one_ordinary_day_only() -> None:
    trends = trend_rows(".....c..c.cc..")
    (episode,) = recent_episodes(trends, shop(), LAST, recent_days=3)
    assert [row["day"].day for row in episode.rows] == [9, 11, 12]
    assert episode.peak["day"].day == 12
    assert (episode.severity, episode.size) == ("critical", 21.0)
    assert recent_episodes(trends, shop(), LAST, recent_days=2) == []
