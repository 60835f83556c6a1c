"""What segments are linked to, against the definition written out."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from typing import Any

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from stupid_dagster.compute.segments.cluster_entities import cluster_entities
from stupid_dagster.event_model import parse_event_model
from stupid_dagster.tables import TABLES
from tests.compute.behaviour import MODEL
from tests.compute.graphs import graph_tables, shuffled, unhurried

# Actors at one end, at the other, at both, at neither; items have a role.
EDGE_TYPES = """edges:
  Bought: {from: Member, to: Item.sold}
  ServedBy: {from: Item.sold, to: Member}
  Invited: {from: Member, to: Member}
  SoldOn: {from: Item.sold, to: Platform}
"""
ENDS = {
    "Bought": ("member", "item"),
    "ServedBy": ("item", "member"),
    "Invited": ("member", "member"),
    "SoldOn": ("item", "platform"),
}
SHOP = parse_event_model(
    f"{MODEL[: MODEL.index('edges:')]}{EDGE_TYPES}{MODEL[MODEL.index('events:') :]}".replace(
        "key: item,", "roles: {sold: item},"
    ).replace("entities: [Member, Item,", "entities: [Member, Item.sold,"),
    "tests",
)


def members_of(clusters: dict[int, int]) -> pl.DataFrame:
    rows = [(f"member:{m}", f"cluster:{c}", 0.0) for m, c in sorted(clusters.items())]
    return pl.DataFrame(rows, schema=TABLES["cluster_members"].schema, orient="row")


def defined(
    clusters: dict[int, int], edges: list[tuple[str, str, str, int]]
) -> list[dict[str, Any]]:
    """Return the table's rows by the definition."""
    cluster_of = {f"member:{m}": f"cluster:{c}" for m, c in clusters.items()}
    weights: Counter[tuple[str, tuple[str, bool], str]] = Counter()
    actors = defaultdict(set)
    for source, target, kind, weight in edges:
        for near, far, incoming in ((source, target, False), (target, source, True)):
            if near in cluster_of:
                key = (cluster_of[near], (kind, incoming), far)
                weights[key] += weight
                actors[key].add(near)
    rows = []
    for (cluster, relation, entity), weight in weights.items():
        of_relation = {k: w for k, w in weights.items() if k[1] == relation}
        share = weight / sum(w for k, w in of_relation.items() if k[0] == cluster)
        everyone = sum(w for k, w in of_relation.items() if k[2] == entity)
        overall = everyone / sum(of_relation.values())
        linked = len(actors[cluster, relation, entity])
        if linked >= max(3, 0.05 * sum(c == cluster for c in cluster_of.values())):
            rows.append(
                {
                    "cluster_id": cluster,
                    "relation": relation[0],
                    "incoming": relation[1],
                    "type": entity.partition(":")[0].capitalize(),
                    "entity_id": entity,
                    "actors": linked,
                    "share": share,
                    "overall": overall,
                    "lift": share / overall,
                }
            )
    for name, by in (("lift_rank", by_lift), ("share_rank", by_share)):
        for row in rows:
            row[name] = 1 + sum(by(o) < by(row) for o in rows if relation_of(o) == relation_of(row))
    return [row for row in rows if row["lift_rank"] <= 10 or row["share_rank"] <= 10]


def relation_of(row: dict[str, Any]) -> tuple[str, str, bool]:
    return row["cluster_id"], row["relation"], row["incoming"]


def by_lift(row: dict[str, Any]) -> tuple[float, str]:
    return -row["share"] * math.log2(row["lift"]), row["entity_id"]


def by_share(row: dict[str, Any]) -> tuple[float, str]:
    return -row["share"], row["entity_id"]


@st.composite
def linked(draw: st.DrawFn) -> tuple[dict[int, int], list[tuple[str, str, str, int]]]:
    clusters = draw(st.dictionaries(st.integers(0, 30), st.integers(0, 2), max_size=30))
    kinds = st.sampled_from(sorted(ENDS))
    # Weights are powers of two, so that equal shares are equal floats in any order of adding.
    numbers = {"member": st.integers(0, 32), "item": st.integers(0, 13), "platform": st.just(0)}
    edges: dict[tuple[str, str, str], int] = {}
    for _ in range(draw(st.integers(0, 8))):
        kind = draw(kinds)
        source, target = ENDS[kind]
        for left in draw(st.sets(numbers[source], max_size=12)):
            for right in draw(st.sets(numbers[target], max_size=4)):
                ends = (f"{source}:{left}", f"{target}:{right}", kind)
                edges[ends] = draw(st.sampled_from([1, 2, 8]))
    return clusters, [(*key, weight) for key, weight in edges.items()]


@unhurried
@given(linked(), st.integers(0, 99))
def test_it_is_what_the_definition_says(drawn: Any, seed: int) -> None:
    clusters, edges = drawn
    _, table = graph_tables(edges)
    found = cluster_entities(members_of(clusters), table, SHOP)
    assert found.schema == TABLES["cluster_entities"].schema
    order = ["cluster_id", "relation", "incoming", "lift_rank"]
    expected = pl.DataFrame(
        defined(clusters, edges), schema=TABLES["cluster_entities"].schema, orient="row"
    ).sort(order)
    assert found.equals(expected), (found, expected)
    again = cluster_entities(
        shuffled(members_of(clusters), seed), shuffled(table, seed).lazy(), SHOP
    )
    assert again.equals(found)


def test_ten_of_each_are_kept() -> None:
    # The lower the number, the commoner; the rarer half is the first segment's alone.
    edges = [
        (f"member:{member}", f"item:{n:02}", "Bought", 40 - n)
        for member in range(6)
        for n in range(30)
        if member < 3 or n < 15
    ]
    clusters = {member: member // 3 for member in range(6)}
    found = cluster_entities(members_of(clusters), graph_tables(edges)[1], SHOP)
    own = found.filter(cluster_id="cluster:0")
    assert own.filter(pl.col("lift_rank") <= 10)["entity_id"].to_list() == [
        f"item:{n}" for n in range(15, 25)
    ]
    assert own.filter(pl.col("share_rank") <= 10).sort("share_rank")["entity_id"].to_list() == [
        f"item:{n:02}" for n in range(10)
    ]
    assert own.height == 20


def test_what_few_of_many_have_is_left_out() -> None:
    edges = [(f"member:{m}", f"item:{n}", "Bought", 1) for n in (4, 5) for m in range(n)]
    clusters = dict.fromkeys(range(100), 0)
    found = cluster_entities(members_of(clusters), graph_tables(edges)[1], SHOP)
    assert found["entity_id"].to_list() == ["item:5"]


def test_nobody_is_linked_to_nothing() -> None:
    table = TABLES["graph_edges"].empty()
    assert cluster_entities(members_of({}), table, SHOP).equals(TABLES["cluster_entities"].empty())
    assert cluster_entities(members_of({1: 0}), table, SHOP).is_empty()
