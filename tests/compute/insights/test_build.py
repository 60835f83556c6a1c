"""All kinds together: ranked, cut, and the same whatever the order of rows."""

from __future__ import annotations

import random
from dataclasses import fields, replace

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from stupid_dagster.compute.insights import Findings, build_insights
from stupid_dagster.tables import TABLES
from tests.compute.behaviour import shop
from tests.compute.insights.made import findings, table, told
from tests.compute.insights.test_actors import NODES, anomalies, bots, cause
from tests.compute.insights.test_groups import CLUSTERS, COMMUNITIES, change, labels, moves
from tests.compute.insights.test_patterns import pattern
from tests.compute.trend_tables import LAST, trend_rows

METRICS = ("visits", "faults", "fault_rate", "spent", "mean_amount", "members")


def everything() -> Findings:
    """Return findings with more of every kind than is told."""
    return findings(
        trends=pl.concat(
            [
                trend_rows(".............c", metric, member, direction)
                for metric in METRICS
                for member, direction in (("", "up"), ("app", "down"))
            ]
        ),
        anomalies=anomalies(0.9, 0.8, 0.6, 0.55, 0.4, 0.35, 0.31),
        anomaly_causes=table("anomaly_causes", *(cause(f"item:{n}") for n in range(5))),
        bot_candidates=table("bot_candidates", *(b for n in range(4) for b in bots(n, 3, f"t{n}"))),
        patterns=table(
            "patterns",
            *(pattern(f"{n}", f"A{n} B{n}", "Other", 0.1, status="new") for n in range(9)),
        ),
        clusters=CLUSTERS,
        communities=COMMUNITIES,
        labels=labels("cluster", c1="Busy members"),
        cluster_changes=table(
            "cluster_changes", *(change(n, "born", [], 100 + n) for n in range(10, 15))
        ),
        cluster_moves=moves((1, 2, 300), (2, 1, 300)),
        graph_nodes=NODES,
    )


def test_a_window_without_anything_gives_no_insights() -> None:
    insights = build_insights(findings(), model=shop(), window_last_day=LAST)
    assert insights.table.equals(TABLES["insights"].empty())
    assert insights.untold == {}


def test_the_worst_come_first_and_twenty_are_told() -> None:
    rows = told(everything())
    assert len(rows) == 20
    places = [("critical", "significant", "notable", "info").index(r["severity"]) for r in rows]
    assert places == sorted(places)
    kinds = [row["kind"] for row in rows if row["severity"] == "critical"]
    assert kinds == [*["trend"] * 10, *["cause"] * 3, *["anomaly"] * 3]
    assert [r["kind"] for r in rows if r["severity"] == "significant"] == [*["bots"] * 3, "anomaly"]
    wholes = [len(row["subjects"]) == 1 for row in rows[:10]]
    assert wholes == sorted(wholes, reverse=True)


def test_what_is_cut_is_counted() -> None:
    insights = build_insights(everything(), model=shop(), window_last_day=LAST)
    count = insights.table["kind"].value_counts()
    shown = dict(count.iter_rows())
    assert {kind: shown.get(kind, 0) + cut for kind, cut in insights.untold.items()} == {
        "trend": 12,
        "cause": 5,
        "bots": 4,
        # Seven actors, and one insight on them all.
        "anomaly": 8,
        "pattern": 9,
        "cluster": 7,
        "community": 2,
    }


def test_the_worst_comes_first_within_a_kind() -> None:
    trends = [
        trend_rows(".............s", "spent"),
        trend_rows(".............c", "fault_rate"),
        trend_rows(".............c", "visits"),
    ]
    rows = told(findings(trends=pl.concat(trends), clusters=CLUSTERS, communities=COMMUNITIES))
    assert [row["insight_id"] for row in rows] == [
        "trend/visits/up",
        "trend/fault_rate/up",
        "trend/spent/up",
        "cluster/cluster:0",
        "cluster/cluster:1",
        "community/community:0",
        "community/community:1",
    ]


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=5, deadline=None)
def test_the_order_of_rows_says_nothing(seed: int) -> None:
    found = everything()
    frames = {f.name: getattr(found, f.name) for f in fields(found)}
    rng = random.Random(seed)
    shuffled = {
        name: frame.sample(fraction=1.0, shuffle=True, seed=rng.randrange(2**31))
        for name, frame in frames.items()
        if isinstance(frame, pl.DataFrame) and frame.height
    }
    first, second = (
        build_insights(f, model=shop(), window_last_day=LAST)
        for f in (found, replace(found, **shuffled))
    )
    assert first.table.equals(second.table)
