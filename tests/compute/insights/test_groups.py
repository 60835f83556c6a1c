"""What happened to segments and communities, as insights."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl

from stupid_dagster.compute.insights import Previous
from stupid_dagster.tables import TABLES
from tests.compute.insights.made import findings, table, told
from tests.compute.trend_tables import LAST

CLUSTERS = pl.DataFrame(
    [
        (f"cluster:{n}", size, size / 1000, [{"feature": "visits", "z": z}], [z])
        for n, (size, z) in enumerate([(900, -0.2), (95, 2.5), (5, 25.0)])
    ],
    schema=TABLES["clusters"].schema,
    orient="row",
)
COMMUNITIES = pl.DataFrame(
    [(f"community:{n}", 9 - 4 * n, 1, 5.0, 1.0, ["item:1"], []) for n in range(3)],
    schema=TABLES["communities"].schema,
    orient="row",
)


def labels(kind: str, **names: str) -> pl.DataFrame:
    """Return labels of groups `c1`, `c2`, ...: `<kind>:1`, ..."""
    return table(
        "labels",
        *(
            {
                "subject": f"{kind}:{group[1:]}",
                "kind": kind,
                "label": label,
                "description": f"All about {label}.",
            }
            for group, label in names.items()
        ),
    )


def before(kind: str, **names: str) -> Previous:
    return Previous(LAST - dt.timedelta(days=1), TABLES["insights"].empty(), labels(kind, **names))


def change(number: int, what: str, came_from: list[int], size: int, previous: int = 0) -> dict:
    return {
        "group_id": f"cluster:{number}",
        "change": what,
        "previous_ids": [f"cluster:{n}" for n in came_from],
        "size": size,
        "previous_size": previous,
        "kept": 0,
        "overlap": 0.0,
    }


def moves(*rows: tuple[int | None, int | None, int]) -> pl.DataFrame:
    return pl.DataFrame(
        [(f and f"cluster:{f}", t and f"cluster:{t}", members) for f, t, members in rows],
        schema=TABLES["cluster_moves"].schema,
        orient="row",
    )


def titles(rows: list[dict[str, Any]]) -> dict[str, str]:
    return {row["insight_id"]: row["title"] for row in rows}


def test_where_nothing_changed_the_largest_are_told() -> None:
    named = labels("cluster", c1="Busy members")
    history = table(
        "history",
        *(
            {"day": LAST - dt.timedelta(days=n), "kind": kind, "name": "cluster:0", "value": v}
            for n, kind, v in [(1, "cluster", 8.0), (2, "cluster", 7.0), (1, "graph", 99.0)]
        ),
    )
    steady = table("cluster_changes", change(0, "continued", [0], 900, 880))
    rows = told(
        findings(
            clusters=CLUSTERS,
            communities=COMMUNITIES,
            labels=named,
            history=history,
            cluster_changes=steady,
        )
    )
    assert titles(rows) == {
        "cluster/cluster:0": "Largest segment: cluster:0",
        "cluster/cluster:1": "Most unusual segment: Busy members",
        "community/community:0": "Largest community: community:0",
        "community/community:1": "Second largest community: community:1",
    }
    assert {row["severity"] for row in rows} == {"info"}
    assert [row["series"] for row in rows[:2]] == [[7.0, 8.0, 900.0], [95.0]]
    assert rows[1]["text"] == "All about Busy members."


def test_changes_are_told_by_their_names_then_and_now() -> None:
    changes = table(
        "cluster_changes",
        change(7, "born", [], 60),
        change(5, "split", [1], 50),
        change(2, "died", [2], 0, 40),
        change(3, "merged", [3, 4], 300, 100),
        change(4, "died", [4], 0, 190),
        change(1, "continued", [1], 550, 810),
    )
    found = findings(
        clusters=CLUSTERS,
        cluster_changes=changes,
        cluster_moves=moves((2, 3, 25), (2, 1, 10), (2, None, 5), (None, 1, 99)),
        labels=labels("cluster", c1="One", c3="Three", c5="Five", c7="Seven"),
        previous=before("cluster", c1="Old one", c2="Old two", c3="Old three", c4="Old four"),
    )
    rows = told(found)
    assert titles(rows) == {
        "cluster/cluster:3/merged": "Segment merged into Three: Old four",
        "cluster/cluster:7/born": "New segment: Seven",
        "cluster/cluster:5/split": "Segment split: Five came off Old one",
    }, "the three largest"
    assert [row["severity"] for row in rows] == ["notable", "notable", "info"]
    assert rows[0]["subjects"] == ["cluster:3", "cluster:4"]
    died = table("cluster_changes", change(2, "died", [2], 0, 40))
    (row,) = told(
        findings(
            cluster_changes=died,
            cluster_moves=found.cluster_moves,
            labels=found.labels,
            previous=found.previous,
        )
    )
    assert row["title"] == "Segment gone: Old two"
    assert row["text"] == (
        "It had 40 members in the previous window. Most of those still here are now in Three (25) "
        "and One (10)."
    )
    assert row["series"] == [0.0]


def test_small_groups_may_come_and_go_unsaid() -> None:
    few = table("cluster_changes", change(7, "born", [], 19))
    small = table(
        "cluster_changes", change(7, "born", [], 30), change(1, "continued", [1], 10_000, 9_000)
    )
    for changes in (few, small):
        assert told(findings(cluster_changes=changes)) == []
    communities = table(
        "community_changes", {**change(1, "died", [1], 0, 400), "group_id": "community:1"}
    )
    (row,) = told(findings(community_changes=communities))
    assert row["insight_id"] == "community/community:1/died"


def test_large_moves_are_told_unless_a_change_tells_them() -> None:
    between = moves((1, 2, 30), (1, 1, 300), (2, 1, 19), (2, 2, 60), (3, 1, 25), (3, 3, 900))
    named = labels("cluster", c1="One", c2="Two")
    rows = told(findings(cluster_moves=between, labels=named, previous=before("cluster", c1="Uno")))
    assert titles(rows) == {"cluster/cluster:1/to/cluster:2": "30 members moved from Uno to Two"}
    assert rows[0]["text"] == ("That is 9.1% of the members that Uno had in the previous window.")
    split = table("cluster_changes", change(2, "split", [1], 70))
    assert len(told(findings(cluster_moves=between, cluster_changes=split))) == 1
    most = moves((1, 2, 30), (1, 1, 30))
    assert told(findings(cluster_moves=most))[0]["severity"] == "notable"
