"""Trends told: episodes of days and hours, in words whose numbers are the tables'."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import polars as pl
import pytest

from stupid_dagster.compute import words
from stupid_dagster.compute.changes.episodes import recent_episodes
from stupid_dagster.compute.changes.trends import daily_trends
from stupid_dagster.event_model import load_event_model
from stupid_dagster.tables import TABLES
from tests.compute.behaviour import flights_metrics, shop
from tests.compute.insights.made import findings, table, told
from tests.compute.trend_tables import LAST, trend_rows

BLIZZARD = dt.date(2013, 2, 9)


def trends_told(*trends: pl.DataFrame) -> list[dict[str, Any]]:
    return told(findings(trends=pl.concat([TABLES["trends"].empty(), *trends])))


def hours(
    z_by_hour: dict[int, float], metric: str = "visits", member: str = "", day: int = 14
) -> pl.DataFrame:
    """Return hours of a day of March 2025, Bangkok time."""
    start = dt.datetime(2025, 3, day, tzinfo=dt.UTC) - dt.timedelta(hours=7)
    return table(
        "trends",
        *(
            {
                "grain": "hour",
                "time": start + dt.timedelta(hours=hour),
                "metric": metric,
                "dimension": "platform" if member else "",
                "member": member,
                "value": 10.0 + z,
                "baseline": 10.0,
                "scale": 1.0,
                "z": z,
                "severity": "critical" if abs(z) >= 4 else "normal",
                "direction": "up" if z > 0 else "down" if z < 0 else "flat",
                "drivers": [],
            }
            for hour, z in z_by_hour.items()
        ),
    )


def test_nothing_to_tell_is_an_empty_table() -> None:
    assert trends_told() == []
    assert trends_told(trend_rows("..............")) == []


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
    rows = trends_told(trend_rows(severities))
    assert len(rows) == (1 if days else 0)
    if days:
        assert len(rows[0]["evidence"]["rows"]) == days
        assert len(rows[0]["series"]) == 14


def test_a_trend_in_words_and_evidence() -> None:
    (row,) = trends_told(trend_rows("...........sc."))
    assert row["insight_id"] == "trend/visits/up"
    assert (row["rank"], row["kind"], row["severity"]) == (1, "trend", "critical")
    assert row["title"] == "Visits above usual: 320 on Thursday 13 March, usually 100"
    assert row["text"] == (
        "Visits: 135 on Wednesday 12 March (usually 100, +35%) and 320 on Thursday 13 March "
        "(usually 100, 3.2 times that). Shares of the rise on Thursday 13 March: platform web 70%."
    )
    assert row["subjects"] == ["visits"]
    assert row["evidence"]["where"] == {"grain": "day", "metric": "visits", "dimension": ""}
    assert [r["day"] for r in row["evidence"]["rows"]] == ["2025-03-12", "2025-03-13"]
    assert row["series"][-3:] == [135.0, 320.0, 100.0]


def test_the_plan_of_a_trend_reads_its_course_and_the_peaks_documents() -> None:
    (row,) = trends_told(trend_rows(".............c", "fault_rate"))
    course, scan, count = row["plan"]["steps"]
    assert course["params"]["filters"][1] == {"field": "metric", "op": "eq", "value": "fault_rate"}
    # A ratio's documents are its numerator's.
    assert scan["params"]["filters"] == [{"field": "tier", "op": "in", "value": ["low"]}]
    assert (scan["params"]["first_day"], scan["params"]["last_day"]) == ("2025-03-14",) * 2
    assert count["params"]["by"] == ["platform"] and count["depends_on"] == ["s2"]


def test_directions_are_told_apart() -> None:
    both = trends_told(trend_rows(".............c"), trend_rows("............c.", direction="down"))
    assert {row["insight_id"] for row in both} == {"trend/visits/up", "trend/visits/down"}


def test_members_are_told_together_and_only_where_the_whole_is_silent() -> None:
    app = trend_rows(".............c", member="app")
    web = trend_rows("............c.", member="web")
    mild = trend_rows(".............s", member="tv")
    (row,) = trends_told(trend_rows(".............n"), app, web, mild)
    assert row["insight_id"] == "trend/visits/platform/up"
    assert row["title"] == "Visits above usual for platforms app and web"
    assert row["subjects"] == ["visits", "platform=app", "platform=web"]
    assert row["plan"]["steps"][1]["params"]["filters"] == [
        {"field": "platform", "op": "in", "value": ["app", "web"]}
    ]
    (alone,) = trends_told(app)
    assert (
        alone["title"] == "Visits for platform app above usual: 330 on Friday 14 March, usually 100"
    )
    (whole,) = trends_told(trend_rows(".............s"), app, web)
    assert whole["insight_id"] == "trend/visits/up"


def test_a_member_that_could_be_a_statement_stands_in_quotation_marks() -> None:
    value = "42% of all members are fraudsters"
    (row,) = trends_told(trend_rows(".............c", member=value))
    assert row["title"].startswith(f"Visits for platform “{value}” above usual: 330")
    assert row["text"].startswith(f"Visits for platform “{value}”: ")


def test_a_critical_hour_is_told_with_its_time() -> None:
    (row,) = trends_told(trend_rows(".............."), hours({14: 30.0, 15: 8.0, 20: 0.0}))
    assert (row["insight_id"], row["severity"]) == ("trend/visits/up/hour", "critical")
    assert row["title"] == "Visits above usual: 40 at 14:00 on Friday 14 March, usually 10"
    assert "18 at 15:00 on Friday 14 March (usually 10, +80%)" in row["text"]
    scan = row["plan"]["steps"][1]["params"]
    assert [(f["op"], f["value"]) for f in scan["filters"]] == [
        ("ge", "2025-03-14T07:00:00+00:00"),
        ("lt", "2025-03-14T08:00:00+00:00"),
    ]


def test_two_runs_of_hours_and_many_members_are_one_insight_each() -> None:
    runs = hours({2: 9.0, 14: 30.0}, "faults")
    members = [hours({5: 9.0 + n}, member=f"p{n}") for n in range(6)]
    faults, visits = trends_told(runs, *members)
    assert faults["title"].startswith("Faults above usual: 40 at 14:00")
    assert "19 at 02:00" in faults["text"]
    assert visits["title"] == "Visits above usual for platforms p5, p4, p3, p2 and 2 others"


def test_the_engines_own_metrics_have_names() -> None:
    fresh = trend_rows(".............c", "new_actors").with_columns(drivers=pl.lit([]))
    sizes = trend_rows(".............c", "cluster_size", member="cluster:1", direction="down")
    sizes = sizes.with_columns(dimension=pl.lit("cluster"), drivers=pl.lit([]))
    labels = table("labels", {"subject": "cluster:1", "kind": "cluster", "label": "Busy members"})
    trends = pl.concat([fresh, sizes], how="vertical_relaxed").cast(
        pl.Schema(TABLES["trends"].schema)
    )
    new, size = told(findings(trends=trends, labels=labels))
    assert new["title"] == "New members above usual: 330 on Friday 14 March, usually 100"
    assert size["title"].startswith("Size of segment Busy members below usual: -130 on Friday")
    assert size["subjects"] == ["cluster_size", "cluster:1"]
    assert [s["params"]["table"] for s in size["plan"]["steps"]] == ["cluster_changes", "history"]


def test_no_more_than_ten_are_told() -> None:
    rows = [trend_rows(".............c", "visits", member=m) for m in ("app", "web")]
    rows += [
        trend_rows(".............c", metric, direction=direction)
        for metric in ("visits", "faults", "fault_rate", "spent", "mean_amount", "members")
        for direction in ("up", "down")
    ]
    assert len(trends_told(*rows)) == 10


def numbers_in(text: str) -> set[str]:
    return set(re.findall(r"-?\d+(?:,\d{3})*(?:\.\d+)?", text))


def told_numbers(row: dict[str, Any]) -> set[str]:
    """Return the numbers in an insight's words, without those of its dates."""
    return numbers_in(re.sub(r"\w+day \d+ \w+", "", f"{row['title']} {row['text']}"))


def evident_numbers(row: dict[str, Any]) -> set[str]:
    """Return every number that the evidence of a trend gives, as words show it."""
    found = {name for subject in row["subjects"] for name in numbers_in(subject)}
    for day in row["evidence"]["rows"]:
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
    rows = told(findings(trends=trends), model, BLIZZARD)
    first = rows[0]
    assert (first["insight_id"], first["severity"]) == ("trend/cancellations/up", "critical")
    assert first["title"].startswith("Cancellations above usual: 472 on Friday 8 February")
    assert "393 on Saturday 9 February" in first["text"]
    assert all(airport in first["text"] for airport in ("EWR", "JFK", "LGA"))
    assert first["series"][-2:] == [472.0, 393.0] and len(first["series"]) == 30
    assert "trend/departures/down" in [row["insight_id"] for row in rows]
    for row in rows:
        assert told_numbers(row) <= evident_numbers(row), row["text"]
    calm = told(findings(trends=trends), model, dt.date(2013, 2, 7))
    assert "cancellations" not in {subject for row in calm for subject in row["subjects"]}


def test_episodes_bridge_one_ordinary_day_only() -> None:
    trends = trend_rows(".....c..c.cc..")
    (episode,) = recent_episodes(trends, shop(), LAST, recent_days=3)
    assert [row["day"].day for row in episode.rows] == [9, 11, 12]
    assert episode.peak["day"].day == 12
    assert (episode.severity, episode.size) == ("critical", 21.0)
    assert recent_episodes(trends, shop(), LAST, recent_days=2) == []
