"""Scores, severities and evidence of actors."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stupid_dagster.compute.anomalies.scores import WEIGHTS, score_actors, with_documents
from stupid_dagster.compute.anomalies.signals.evidence import Evidence, full_rarity
from stupid_dagster.tables import TABLES, conform

FULL = full_rarity(10)
SIGNALS = ("statistical", "noise", "behaviour", "graph")
STRENGTHS = st.lists(st.tuples(*[st.floats(0, 1)] * 4), max_size=8)


def evidence(signal: str, strengths: list[float], items: int = 1) -> Evidence:
    """Evidence of one actor per strength; the last item is what makes it."""
    rarity = np.zeros((len(strengths), items))
    rarity[:, -1] = np.array(strengths) * FULL
    names = tuple(f"{signal}{n}" for n in range(items))
    return Evidence(signal, names, rarity + 1, rarity * 0, rarity * 2, rarity)


def scored(rows: list[tuple[float, ...]], names: list[str] | None = None) -> pl.DataFrame:
    actors = pl.Series(names or [f"member:{n}" for n in range(len(rows))], dtype=pl.String)
    columns = list(zip(*rows, strict=True)) or [()] * 4
    return score_actors(
        actors, [evidence(s, list(c)) for s, c in zip(SIGNALS, columns, strict=True)]
    )


@given(STRENGTHS)
def test_the_score_is_the_weighted_sum(rows: list[tuple[float, ...]]) -> None:
    table = scored(rows)
    assert dict(table.schema) == TABLES["anomalies"].schema
    assert table["rank"].to_list() == list(range(1, len(rows) + 1))
    assert table["score"].to_list() == sorted(table["score"], reverse=True)
    for row in table.iter_rows(named=True):
        statistical, noise, behaviour, graph = rows[int(row["actor"][7:])]
        score = 0.2 * statistical + 0.3 * noise + 0.3 * behaviour + 0.2 * graph
        assert row["score"] == pytest.approx(score, abs=1e-9)
        levels = [("critical", 0.7), ("significant", 0.5), ("notable", 0.3), ("normal", 0)]
        expected = next(name for name, least in levels if row["score"] >= least)
        assert row["severity"] == expected
        assert bool(row["features"]) == (expected != "normal")


@pytest.mark.parametrize(
    ("strengths", "severity"),
    [
        ((1, 1, 1, 1), "critical"),
        ((0, 1, 1, 0.5), "critical"),
        ((1, 1, 0, 0), "significant"),
        ((0.98, 1, 0, 0), "notable"),
        ((0, 0, 1, 0), "notable"),
        ((0, 0, 0.99, 0), "normal"),
        ((0, 0, 0, 0), "normal"),
    ],
)
def test_severity_begins_at_its_score(strengths: tuple[float, ...], severity: str) -> None:
    assert scored([strengths])["severity"][0] == severity


def test_ties_are_broken_by_actor() -> None:
    table = scored([(0.1, 0, 0, 0)] * 3, ["member:c", "member:a", "member:b"])
    assert table["actor"].to_list() == ["member:a", "member:b", "member:c"]


def test_signals_stand_in_the_order_of_what_they_add() -> None:
    table = scored([(0.9, 0.5, 0.9, 0.0), (0, 0, 0, 0), (1, 0.01, 0, 1)])
    by_actor = dict(table.select("actor", "signals").iter_rows())
    assert by_actor["member:0"] == ["behaviour", "statistical", "noise"]
    assert by_actor["member:1"] == []
    assert by_actor["member:2"] == ["graph", "statistical"]


def test_the_rarest_numbers_come_first_and_common_ones_not_at_all() -> None:
    rarity = np.array([[0.5, 3.0, 2.0, 9.0, 1.0, 7.0, 4.0]] * 2)
    rarity[1] = 0
    usual = np.full_like(rarity, np.nan)
    names = tuple("abcdefg")
    graph = Evidence("graph", names, rarity * 10, usual, rarity, rarity)
    others = [evidence(s, [1.0, 0.0]) for s in ("statistical", "noise")]
    behaviour = evidence("behaviour", [0.0, 0.0], items=3)
    table = score_actors(pl.Series(["member:0", "member:1"]), [*others, behaviour, graph])
    told = table["features"][0].to_list()
    assert [(t["signal"], t["name"]) for t in told] == [
        *(("graph", "d"), ("graph", "f"), ("noise", "noise0"), ("statistical", "statistical0")),
        ("graph", "g"),
    ]
    assert told[0]["value"] == 90 and told[0]["z"] == 9 and told[0]["usual"] is None
    assert table["features"][1].to_list() == []


def test_no_actors_give_an_empty_table() -> None:
    nothing = [Evidence.of(signal, {}, 0) for signal in WEIGHTS]
    table = score_actors(pl.Series([], dtype=pl.String), nothing)
    assert table.is_empty()
    assert dict(table.schema) == TABLES["anomalies"].schema


def test_documents_are_of_the_rarest_texts_of_notable_actors() -> None:
    anomalies = scored([(1, 1, 1, 1), (1, 1, 1, 1), (0, 0, 0, 0)])
    counts = [50, 2, 9, 2, 1]
    texts = pl.DataFrame(
        {
            "text_id": range(5),
            "event_type": ["Login", "API Error", "Login", "API Error", "Login"],
            "text": [""] * 5,
            "count": counts,
            "example": [""] * 5,
        }
    )
    rows = [("member:0", n, 1, 100 + n) for n in (0, 3, 2, 1)]
    rows += [("member:1", 0, 3, 7), ("member:2", 4, 1, 8)]
    schema = ["actor", "text_id", "count", "row"]
    actor_texts = pl.DataFrame(rows, schema=schema, orient="row")
    found = with_documents(
        anomalies,
        "2025-03-02",
        conform("actor_texts", actor_texts).lazy(),
        conform("texts", texts).lazy(),
    )
    assert found.drop("documents").equals(anomalies.drop("documents"))
    by_actor = dict(found.select("actor", "documents").iter_rows())
    assert by_actor["member:0"] == [
        *("2025-03-02/API Error/101", "2025-03-02/API Error/103", "2025-03-02/Login/102"),
    ]
    assert by_actor["member:1"] == ["2025-03-02/Login/7"]
    assert by_actor["member:2"] == []
