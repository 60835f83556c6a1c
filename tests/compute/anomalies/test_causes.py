"""What anomalous actors share, against chance."""

from __future__ import annotations

from collections import Counter

import numpy as np
import polars as pl
import pytest
from scipy.stats import hypergeom

from stupid_dagster.compute.anomalies.causes import anomalous_actors, anomaly_causes, with_causes
from stupid_dagster.tables import TABLES
from tests.compute.anomalies.test_scores import scored
from tests.compute.behaviour import shop

SIZE = 600
ANOMALOUS = 30


def anomalies() -> pl.DataFrame:
    """30 actors of a high score, of which lower numbers are higher, and 570 of none."""
    strengths = [(1 - n / 100,) * 4 for n in range(ANOMALOUS)]
    return scored([*strengths, *[(0.0,) * 4] * (SIZE - ANOMALOUS)])


def chance_links(seed: int = 1) -> pl.DataFrame:
    """Each actor's links to 1 to 20 of 50 items and to one of 400 platforms, all by chance."""
    generator = np.random.default_rng(seed)
    rows = [(f"member:{n}", f"platform:{generator.integers(400)}", "On") for n in range(SIZE)]
    for actor in range(SIZE):
        items = generator.choice(50, generator.integers(1, 21), replace=False)
        rows += [(f"member:{actor}", f"item:{item}", "Bought") for item in items]
    return links(rows)


def links(rows: list[tuple[str, str, str]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["actor", "entity_id", "relation"], orient="row")


def test_chance_is_no_cause() -> None:
    for seed in range(5):
        assert anomaly_causes(shop(), anomalies(), chance_links(seed)).is_empty()


def test_a_shared_entity_is_a_cause_with_the_figures_of_the_definition() -> None:
    rows = [(f"member:{n}", "platform:shared", "On") for n in (*range(12), 100, 200)]
    rows += [(f"member:{n}", "item:error", "Bought:in") for n in range(5, 20)]
    rows += [(f"member:{n}", f"item:{n % 100}", "Bought:in") for n in range(SIZE)]
    table = pl.concat([chance_links(), links(rows)])
    causes = anomaly_causes(shop(), anomalies(), table)
    assert dict(causes.schema) == TABLES["anomaly_causes"].schema
    assert causes["entity_id"].to_list() == ["item:error", "platform:shared"]
    cause = causes.row(by_predicate=pl.col("entity_id") == "platform:shared", named=True)
    assert cause["type"] == "Platform" and cause["relation"] == "On"
    assert (cause["anomalous"], cause["actors"]) == (12, 14)
    assert cause["share"] == pytest.approx(12 / ANOMALOUS)
    assert cause["lift"] == pytest.approx(12 / ANOMALOUS / (14 / SIZE))
    assert cause["examples"] == [f"member:{n}" for n in range(5)]
    assert p_value(table, "platform:shared", "On") == pytest.approx(cause["p_value"])
    incoming = causes.row(by_predicate=pl.col("entity_id") == "item:error", named=True)
    assert incoming["relation"] == "Bought"
    assert incoming["type"] == "Item"
    assert incoming["lift"] == pytest.approx(SIZE / ANOMALOUS)


def p_value(table: pl.DataFrame, entity: str, relation: str) -> float:
    """The tail of drawing the anomalous actors' links from all links, times the entities."""
    anomalous = {f"member:{n}" for n in range(ANOMALOUS)}
    of_relation = [row for row in table.rows() if row[2] == relation]
    drawn = [row for row in of_relation if row[0] in anomalous]
    holders = [row for row in of_relation if row[1] == entity]
    many = sum(row[1] == entity for row in drawn)
    tail = hypergeom.sf(many - 1, len(of_relation), len(holders), len(drawn))
    compared = sum(many >= 2 for many in Counter(row[1:] for row in table.rows()).values())
    return float(tail * compared)


def test_who_does_much_is_linked_to_much_and_that_is_no_cause() -> None:
    generator = np.random.default_rng(3)
    rows = []
    for actor in range(SIZE):
        many = 40 if actor < ANOMALOUS else 4
        items = generator.choice(50, many, replace=False)
        rows += [(f"member:{actor}", f"item:{item}", "Bought") for item in items]
    assert anomaly_causes(shop(), anomalies(), links(rows)).is_empty()


def test_what_one_actor_alone_has_is_no_cause() -> None:
    rows = [(f"member:{n}", f"platform:{n}", "On") for n in range(SIZE)]
    assert anomaly_causes(shop(), anomalies(), links(rows)).is_empty()


def test_a_strong_signal_is_enough_to_be_asked_for_causes() -> None:
    table = scored([(0.6, 0, 0, 0), (0.4, 0, 0, 0), (0.4, 0.45, 0.45, 0), (0, 0, 0, 0.51)])
    assert sorted(anomalous_actors(table)["actor"]) == ["member:0", "member:2", "member:3"]


def test_anomalous_actors_name_the_causes_they_are_linked_to() -> None:
    rows = [(f"member:{n}", "platform:shared", "On") for n in (*range(12), 100)]
    rows += [(f"member:{n}", "item:shared", "Bought:in") for n in range(10, 25)]
    rows += [(f"member:{n}", f"item:{n % 100}", "Bought:in") for n in range(SIZE)]
    table = pl.concat([chance_links(), links(rows)])
    scores = anomalies()
    causes = anomaly_causes(shop(), scores, table)
    found = with_causes(scores, causes, table)
    assert found.drop("shared").equals(scores.drop("shared"))
    shared = dict(found.select("actor", "shared").iter_rows())
    assert shared["member:0"] == ["platform:shared"]
    assert (
        shared["member:11"] == causes["entity_id"].to_list() == ["item:shared", "platform:shared"]
    )
    assert shared["member:100"] == []
    assert shared["member:29"] == []


def test_the_order_of_rows_does_not_matter() -> None:
    rows = [(f"member:{n}", f"platform:shared{n % 2}", "On") for n in range(24)]
    table = pl.concat([chance_links(), links(rows)])
    shuffled = table.sample(fraction=1, shuffle=True, seed=1)
    causes = anomaly_causes(shop(), anomalies(), table)
    assert causes.height == 2
    assert anomaly_causes(shop(), anomalies()[::-1], shuffled).equals(causes)


def test_no_anomalies_no_links_and_no_actors() -> None:
    calm = scored([(0.0,) * 4] * 5)
    for scores, table in (
        (calm, chance_links()),
        (anomalies(), chance_links().clear()),
        (calm.clear(), chance_links().clear()),
    ):
        causes = anomaly_causes(shop(), scores, table)
        assert causes.is_empty()
        assert with_causes(scores, causes, table).equals(scores)
