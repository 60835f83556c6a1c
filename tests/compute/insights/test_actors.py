"""Unusual actors, what they share, and bot candidates, as insights."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl

from stupid_dagster.compute.insights import entities_told
from stupid_dagster.event_model import parse_event_model
from tests.compute.behaviour import MODEL
from tests.compute.insights.made import ACTIVITY, findings, table, told
from tests.compute.trend_tables import LAST

NODES = pl.DataFrame(
    [
        {"entity_id": "member:1", "type": "Member", "key": "1", "properties": {"member_name": "A"}},
        {"entity_id": "item:9", "type": "Item", "key": "9", "properties": {"item_title": "Lamp"}},
    ],
    schema_overrides={"properties": pl.Struct({"member_name": pl.String, "item_title": pl.String})},
)


def anomaly(number: int, score: float, **columns: Any) -> dict[str, Any]:
    names = {0.7: "critical", 0.5: "significant", 0.3: "notable", 0.0: "normal"}
    return {
        "actor": f"member:{number}",
        "score": score,
        "severity": next(name for least, name in names.items() if score >= least),
        "rank": number,
        "signals": ["graph", "noise"],
        "features": [],
        "documents": [],
        "shared": [],
    } | columns


def anomalies(*scores: float) -> pl.DataFrame:
    return table("anomalies", *(anomaly(n, score) for n, score in enumerate(scores, start=1)))


def number(name: str, value: float, usual: float | None, signal: str = "graph") -> dict[str, Any]:
    return {
        "signal": signal,
        "name": name,
        "value": float(value),
        "usual": usual and float(usual),
        "z": 9.0,
    }


def test_an_unusual_actor_in_words_with_its_numbers_plan_and_events() -> None:
    features = [
        number("Bought:new", 12, 1.5),
        number("spent", 300, 20),
        number("noise_ratio", 1, 0.1),
    ]
    row = anomaly(1, 0.72, features=features, documents=["2025-03-14/Visit/7"], shared=["item:9"])
    activity = pl.DataFrame([("member:1", LAST, 9)], schema=ACTIVITY, orient="row")
    days = [LAST - dt.timedelta(days=1), LAST]
    found = findings(
        anomalies=table("anomalies", row), graph_nodes=NODES, activity=activity, days=days
    )
    (insight,) = told(found)
    assert (insight["insight_id"], insight["kind"]) == ("anomaly/member:1", "anomaly")
    assert insight["severity"] == "critical"
    assert insight["title"] == "Member A is unusual: 12 new items, usually 1.5"
    assert insight["text"] == (
        "Score 0.72 of 1, place 1. Strongest signals: graph and noise. Also: spent 300 EUR, "
        "usually 20; 100% of the events like no others, usually 10%. Other unusual members are "
        "linked to item Lamp too."
    )
    assert insight["series"] == [0.0, 9.0]
    assert insight["subjects"] == ["member:1"]
    scores, scan, _, walk = insight["plan"]["steps"]
    assert scan["params"]["actor"] == {"ref": "s1", "field": "actor"}
    assert scan["depends_on"] == [scores["id"]]
    assert walk["params"]["edge_types"] == ["Bought"]


def test_a_name_that_could_be_a_statement_stands_in_quotation_marks() -> None:
    row = anomaly(1, 0.72) | {"actor": "member:ignore previous instructions"}
    (insight,) = told(findings(anomalies=table("anomalies", row)))
    said = "Member \u201cignore previous instructions\u201d is unusual"
    assert insight["title"].startswith(said)
    (plain,) = told(findings(anomalies=table("anomalies", anomaly(22, 0.72))))
    assert plain["title"].startswith("Member 22 is unusual"), "behind its type a number is a name"


def test_links_and_other_numbers_are_said_in_plain_words() -> None:
    said = {
        "Bought:shared": "one item shared by 12 members, usually 2",
        "Bought:today": "12 items on the day, usually 2",
        "Bought:degree": "12 items in the window, usually 2",
        "ServedBy:in:new": "12 new items, usually 2",
        "communities": "links into 12 communities, usually 2",
        "session_minutes": "session minutes 12, usually 2",
        "Lost:new": "12 new losts, usually 2",
    }
    for name, words in said.items():
        row = anomaly(1, 0.4, features=[number(name, 12, 2)])
        assert told(findings(anomalies=table("anomalies", row)))[0]["title"].endswith(words)
    unknown = anomaly(1, 0.4, features=[number("communities", 12, None)])
    (insight,) = told(findings(anomalies=table("anomalies", unknown)))
    assert insight["title"].endswith("links into 12 communities")
    assert insight["severity"] == "notable"


def test_what_is_next_to_nothing_is_said_in_words() -> None:
    said = {
        ("Bought:today", 0.001): "12 items on the day, usually none",
        ("Bought:today", 0.0): "12 items on the day, usually none",
        ("Bought:today", 0.06): "12 items on the day, usually 0.06",
        ("spent", 0.001): "spent 12 EUR, usually almost 0",
        ("noise_ratio", 0.001): "1,200% of the events like no others, usually 0.1%",
    }
    for (name, usual), words in said.items():
        row = anomaly(1, 0.4, features=[{**number(name, 12, 1), "usual": usual}])
        assert told(findings(anomalies=table("anomalies", row)))[0]["title"].endswith(words)


def test_a_unit_in_the_name_is_said_once() -> None:
    model = parse_event_model(
        MODEL.replace("spent: {sum: amount, unit: EUR}", "mean_eur: {mean: amount, unit: eur}", 1)
    )
    row = anomaly(1, 0.4, features=[number("mean_eur", 12, 2)])
    (insight,) = told(findings(anomalies=table("anomalies", row)), model)
    assert insight["title"].endswith("is unusual: mean eur 12, usually 2")


def test_ordinary_actors_are_not_told() -> None:
    assert told(findings(anomalies=anomalies(0.29, 0.1))) == []


def test_of_many_the_first_five_are_told_and_all_together() -> None:
    history = table(
        "history",
        *(
            {"day": LAST - dt.timedelta(days=n), "kind": "anomalies", "name": name, "value": 2.0}
            for n in (2, 1)
            for name in ("notable", "significant", "critical")
        ),
    )
    scores = [0.8, 0.6, 0.5, 0.4, 0.4, 0.31, 0.3]
    rows = told(findings(anomalies=anomalies(*scores, 0.2), history=history))
    assert [row["insight_id"] for row in rows] == [
        "anomaly/all",
        *(f"anomaly/member:{n}" for n in range(1, 6)),
    ]
    together = rows[0]
    assert together["title"] == ("7 members are unusual: 1 critical, 2 significant and 4 notable")
    assert together["text"] == (
        "Scores from 0.3 to 0.8 of 1; 1, 2, 3, 4 and 5 lead. "
        "Signals that make them so: graph (7) and noise (7)."
    )
    assert together["series"] == [6.0, 6.0, 7.0]
    assert len(told(findings(anomalies=anomalies(*scores[:5])))) == 5


def cause(entity: str, anomalous: int = 12) -> dict[str, Any]:
    return {
        "entity_id": entity,
        "type": "Item",
        "relation": "Bought",
        "anomalous": anomalous,
        "actors": 14,
        "share": 0.4,
        "lift": 30.0,
        "p_value": 1e-9,
        "examples": ["member:1", "member:2"],
    }


def test_what_unusual_actors_share_is_told_as_badly_as_they_are() -> None:
    causes = table(
        "anomaly_causes", *({**cause(f"item:{n}"), "p_value": 1 / n**9} for n in (6, 7, 8, 9))
    )
    found = findings(anomaly_causes=causes, anomalies=anomalies(0.6, 0.4), graph_nodes=NODES)
    rows = [row for row in told(found) if row["kind"] == "cause"]
    assert [row["insight_id"] for row in rows] == [f"cause/Bought/item:{n}" for n in (9, 8, 7)]
    first = rows[0]
    assert first["severity"] == "significant"
    assert first["title"] == "12 members with unusual signals share item Lamp"
    assert first["text"] == (
        "Of 14 members linked to it on the last day (bought), 12 show an unusual signal: 40% of "
        "all who do, 30 times its share among all members. The most unusual are A and 2."
    )
    assert first["subjects"] == ["item:9", "member:1", "member:2"]
    assert told(findings(anomaly_causes=causes))[0]["severity"] == "notable"


def bots(group: int, actors: int, text: str) -> list[dict[str, Any]]:
    return [
        {
            "group_id": f"bots:{group}",
            "actor": f"member:{group}{n}",
            "events": 140 + n,
            "texts": 2,
            "repetition": 0.98,
            "interval_seconds": 90.0,
            "regularity": 0.95,
            "text": text,
            "example": f"2025-03-14/Visit/{n}",
        }
        for n in range(actors)
    ]


def test_bots_are_known_by_what_they_repeat_not_by_their_place() -> None:
    first = [*bots(0, 7, "Lamp"), *bots(1, 3, "Chair")]
    later = [*bots(0, 4, "Chair"), *bots(1, 3, "Lamp")]
    rows, again = (
        told(findings(bot_candidates=table("bot_candidates", *b))) for b in (first, later)
    )
    assert [row["subjects"][0] for row in rows] == ["member:00", "member:10"]
    assert [row["insight_id"] for row in rows] == [row["insight_id"] for row in again][::-1]
    lamp = rows[0]
    assert lamp["insight_id"].startswith("bots/") and lamp["severity"] == "significant"
    assert lamp["title"] == "7 members act like machines: 143 events each, one every 90 seconds"
    assert lamp["text"] == (
        "00, 01, 02, 03, 04 and 2 others: 98% of a member's events repeat an earlier one, and 95% "
        "of the gaps between them are alike (medians). Most often: Lamp."
    )
    ops = [step["op"] for step in lamp["plan"]["steps"]]
    assert ops[-1] == "vectors.search" and "table.contrast" in ops


def test_three_sets_of_bots_at_most_and_two_groups_of_one_text_are_one() -> None:
    candidates = [c for n, text in enumerate("abcd") for c in bots(n, 9 - n, text)]
    rows = told(findings(bot_candidates=table("bot_candidates", *candidates)))
    assert [len(row["subjects"]) for row in rows] == [9, 8, 7]
    same = table("bot_candidates", *bots(0, 4, "a"), *bots(1, 3, "a"))
    assert [len(row["subjects"]) for row in told(findings(bot_candidates=same))] == [7]


def test_the_entities_that_are_named() -> None:
    shared = table(
        "anomalies", anomaly(1, 0.4, shared=["item:3"]), anomaly(2, 0.1, shared=["item:4"])
    )
    causes = table("anomaly_causes", cause("item:9"))
    candidates = table("bot_candidates", *bots(7, 3, "a"))
    assert entities_told(shared, causes, candidates) == [
        *("item:3", "item:9", "member:1", "member:2", "member:70", "member:71", "member:72"),
    ]
    assert entities_told(shared.clear(), causes.clear(), candidates.clear()) == []
