"""Actors' links, counted again with plain loops."""

from __future__ import annotations

import datetime as dt
from collections import Counter

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from stupid_dagster.compute.anomalies.signals.links import actor_links, by_relation, window_links
from stupid_dagster.tables import TABLES

START = dt.datetime(2025, 3, 9, 17, tzinfo=dt.UTC)
ENDS = st.sampled_from(["member:a", "member:b", "member:c", "game:x", "game:y"])
EDGES = st.lists(
    st.tuples(ENDS, ENDS, st.sampled_from(["Opened", "Invited"]), st.integers(0, 12 * 24)),
    unique_by=lambda edge: edge[:3],
    max_size=12,
)
ACTORS = pl.Series(["member:a", "member:b"])


def table(rows: list[tuple[str, str, str, int]]) -> pl.DataFrame:
    """`graph_edges` first seen so many hours before the end of the day after START."""
    return pl.DataFrame(
        [
            {
                "source": source,
                "target": target,
                "type": kind,
                "weight": 1,
                "days": 1,
                "first_seen": START + dt.timedelta(hours=23 - hours),
                "last_seen": START + dt.timedelta(hours=23),
            }
            for source, target, kind, hours in rows
        ],
        schema=TABLES["graph_edges"].schema,
    )


def far_ends(rows: list[tuple[str, str, str, int]]) -> list[tuple[str, str, str, int]]:
    """(actor, relation, entity, hours) of every end that is an actor's."""
    outgoing = [(s, kind, t, hours) for s, t, kind, hours in rows]
    incoming = [(t, f"{kind}:in", s, hours) for s, t, kind, hours in rows]
    return [link for link in outgoing + incoming if link[0] in ACTORS.to_list()]


@given(EDGES)
def test_links_are_the_edges_at_the_actors(rows: list[tuple[str, str, str, int]]) -> None:
    found = actor_links(table(rows).lazy(), ACTORS).collect()
    assert found.columns == ["actor", "entity_id", "relation"]
    expected = [(actor, entity, kind) for actor, kind, entity, _ in far_ends(rows)]
    assert sorted(found.rows()) == sorted(expected)


@given(EDGES)
def test_new_links_are_those_first_seen_on_the_day(rows: list[tuple[str, str, str, int]]) -> None:
    found = window_links(table(rows).lazy(), ACTORS, START, 7)
    links = far_ends(rows)
    wanted = (
        Counter(link[:2] for link in links),
        Counter(link[:2] for link in links if link[3] <= 23),
        Counter(link[:2] for link in links if 23 < link[3] <= 23 + 7 * 24),
    )
    for wide, counts in zip(found, wanted, strict=True):
        long = wide.unpivot(index="actor", variable_name="relation").drop_nulls()
        assert {row[:2]: row[2] for row in long.rows()} == {key: counts[key] for key in wanted[0]}


def test_relations_are_columns_in_their_order() -> None:
    rows = [("member:b", "Zoo", 2), ("member:a", "Ant", 1), ("member:b", "Ant", 3)]
    counts = pl.DataFrame(rows, schema=["actor", "relation", "n"], orient="row")
    wide = by_relation(counts, "n").sort("actor")
    assert wide.columns == ["actor", "Ant", "Zoo"]
    assert wide.rows() == [("member:a", 1.0, None), ("member:b", 3.0, 2.0)]
    assert by_relation(counts.clear(), "n").columns == ["actor"]
