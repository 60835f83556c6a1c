"""History: what a window adds, and that nothing is lost while one partition is left."""

from __future__ import annotations

import datetime as dt
from itertools import permutations

import polars as pl

from stupid_dagster.compute.changes.history import merge_history, window_history
from stupid_dagster.compute.changes.trends import daily_trends
from stupid_dagster.tables import TABLES
from tests.compute.behaviour import metric_rows, shop

DAYS = [dt.date(2025, 3, n) for n in range(1, 10)]
LAST = DAYS[-1]
Row = tuple[dt.date, str, str, float]


def frame(table: str, *rows: dict[str, object]) -> pl.LazyFrame:
    return pl.DataFrame(list(rows), schema=TABLES[table].schema).lazy()


def history(*rows: Row) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=TABLES["history"].schema, orient="row")


def facts(table: pl.DataFrame) -> dict[tuple[dt.date, str, str], float]:
    return {(day, kind, name): value for day, kind, name, value in table.iter_rows()}


def test_nothing_is_an_empty_table() -> None:
    empty = TABLES["history"].empty()
    assert window_history(shop(), {}, LAST).equals(empty)
    assert merge_history(empty, LAST, []).equals(empty)


def test_a_windows_own_rows() -> None:
    rows = [(day, "visits", 100.0) for day in DAYS[:-1]] + [(LAST, "visits", 400.0)]
    rows += [(LAST, "faults", 40.0), (LAST, "visits", "platform", "member:7", 300.0)]
    trends = daily_trends(shop(), metric_rows(rows).lazy())
    tables = {
        "trends": trends.lazy(),
        "clusters": frame(
            "clusters", *({"cluster_id": f"cluster:{n}", "size": n} for n in range(60))
        ),
        "communities": frame(
            "communities",
            {"community_id": "community:3", "size": 9, "key_members": ["member:7"]},
        ),
        "graph_statistics": frame(
            "graph_statistics",
            {"statistic": "nodes", "type": "", "value": 12.0},
            {"statistic": "nodes", "type": "Member", "value": 7.0},
            {"statistic": "diameter", "type": "", "value": None},
        ),
        "anomalies": frame(
            "anomalies",
            {"actor": "member:0", "severity": "normal"},
            {"actor": "member:1", "severity": "notable"},
            {"actor": "member:2", "severity": "notable"},
        ),
        "patterns": frame(
            "patterns",
            {"category": "Churn", "status": "new", "examples": ["member:7"]},
            {"category": "Churn", "status": None},
            {"category": "Churn", "status": "vanished"},
            {"category": "Funnel", "status": "continued"},
        ),
        "event_clusters": frame(
            "event_clusters",
            {"event_cluster_id": "event_cluster:0", "events": 50},
            {"event_cluster_id": "event_cluster:1", "events": 30},
            {"event_cluster_id": "noise", "events": 4},
        ),
    }
    table = window_history(shop(), tables, LAST)
    found = facts(table)
    assert table.schema == TABLES["history"].schema
    assert len(found) == table.height
    assert [found[day, "metric", "visits"] for day in DAYS] == [100.0] * 8 + [400.0]
    assert found[LAST, "metric", "fault_rate"] == 0.1
    assert (LAST, "metric", "mean_amount") not in found
    sizes = {name: value for day, kind, name, value in table.iter_rows() if kind == "cluster"}
    assert sizes == {f"cluster:{n}": float(n) for n in range(10, 60)}
    rest = {
        (kind, name): value
        for day, kind, name, value in table.iter_rows()
        if kind not in ("metric", "cluster", "trends") and day == LAST
    }
    assert rest == {
        ("community", "community:3"): 9,
        ("graph", "nodes"): 12,
        ("graph", "nodes Member"): 7,
        ("anomalies", "notable"): 2,
        ("anomalies", "significant"): 0,
        ("anomalies", "critical"): 0,
        ("patterns", "Churn"): 2,
        ("patterns", "Funnel"): 1,
        ("event_clusters", "clusters"): 2,
        ("event_clusters", "events"): 80,
        ("event_clusters", "noise_events"): 4,
    }
    off = trends.filter(pl.col("time") == pl.col("time").max(), pl.col("severity") == "critical")
    assert found[LAST, "trends", "critical"] == off.height > 0
    assert not any("member:" in name for name in table["name"])


def test_metrics_are_the_latest_windows_and_findings_the_own_windows() -> None:
    one, two = DAYS[3], DAYS[4]
    own = history(
        (one, "metric", "visits", 2.0), (two, "metric", "visits", 3.0), (two, "cluster", "a", 5.0)
    )
    earlier = history(
        (one, "metric", "visits", 1.0),
        (DAYS[0], "metric", "visits", 9.0),
        (one, "cluster", "a", 4.0),
    )
    late = history(
        (DAYS[0], "metric", "visits", 8.0),
        (one, "cluster", "a", 99.0),
        (two, "cluster", "old", 1.0),
    )
    for others in permutations(
        [(one, earlier), (DAYS[8], late), (two, history((two, "cluster", "b", 7.0)))]
    ):
        found = facts(merge_history(own, two, others))
        assert found == {
            (DAYS[0], "metric", "visits"): 8.0,
            (one, "metric", "visits"): 2.0,
            (two, "metric", "visits"): 3.0,
            (one, "cluster", "a"): 4.0,
            (two, "cluster", "a"): 5.0,
        }


def test_new_actors_are_told_by_the_window_that_knew_most_days_before() -> None:
    day, next_day = DAYS[3], DAYS[4]
    own = history((day, "metric", "new_actors", 90.0), (next_day, "metric", "new_actors", 60.0))
    before = history((day, "metric", "new_actors", 70.0))
    found = facts(merge_history(own, next_day, [(day, before)]))
    assert list(found.values()) == [70.0, 60.0]


def test_nothing_is_lost_while_one_partition_is_left() -> None:
    own = {
        day: history(
            *((d, "metric", "visits", 1.0) for d in DAYS[n : n + 3]), (day, "graph", "nodes", n)
        )
        for n, day in enumerate(DAYS)
    }
    for order in ([0, 1, 2, 3, 4], [4, 2, 0, 3, 1], [1, 0, 1, 4, 3, 2]):
        kept: dict[dt.date, pl.DataFrame] = {}
        made: set[int] = set()
        for n in order:
            kept[DAYS[n]] = merge_history(own[DAYS[n]], DAYS[n], kept.items())
            kept = {DAYS[n]: kept[DAYS[n]]}  # All others are evicted.
            made.add(n)
            wanted = {key for m in made for key in facts(own[DAYS[m]])}
            assert set(facts(kept[DAYS[n]])) == wanted
