"""Co-occurrence against a brute-force count and formulas by hand."""

from __future__ import annotations

import math
from collections import defaultdict
from functools import cache
from itertools import combinations, product

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from stupid_dagster.compute.graph import cooccurrence
from stupid_dagster.compute.graph.cooccurrence import ERROR_SHARE, MIN_ACTORS, find_cooccurrence
from stupid_dagster.event_model import EventModel, parse_event_model
from stupid_dagster.tables import TABLES
from tests.compute.graphs import Edge, graph_tables, shuffled

MODEL = """
name: shop
actor: Member
timestamp: {fields: [at]}
entities:
  Member: {prefix: member, key: code}
  Game: {prefix: game, key: game}
  Town: {prefix: town, roles: {home: home, here: here}}
edges:
  Opened: {from: Member, to: Game}
  LikedBy: {from: Game, to: Member}
  Lives: {from: Member, to: Town.home}
  Knows: {from: Member, to: Member}
  ShownIn: {from: Game, to: Town.here}
events:
  Visit:
    fields: [code, game, home, here]
    entities: [Member, Game, Town.home, Town.here]
    text: visit
features: {columns: {visits: {count: Visit}}}
cooccurrence: [[Game, Game], [Game, Town], [Town, Game], [Member, Game]]
"""
Pairs = dict[tuple[str, str, str], tuple[int, int, int, int]]


@cache
def model() -> EventModel:
    return parse_event_model(MODEL, "tests")


def tables(edges: list[Edge], test: list[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    nodes, rows = graph_tables(edges, test=test)
    return nodes.with_columns(pl.col("type").str.to_titlecase()), rows


def brute(edges: list[Edge], test: list[str]) -> tuple[Pairs, dict[str, int]]:
    """Return (left, right and both actors, universe) of each pair, and universes, by plain sets."""
    links: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for source, target, kind, _ in edges:
        for actor, other in ((source, target), (target, source)):
            ends = {"Opened": "game", "LikedBy": "game", "Lives": "town", "Knows": "member"}
            of_kind = other.startswith(ends.get(kind, "none:"))
            if actor.startswith("member:") and actor not in test and of_kind and actor != other:
                links[ends[kind].title()][other].add(actor)
    pairs: Pairs = {}
    universes: dict[str, int] = {}
    for left, right in (("Game", "Game"), ("Game", "Town"), ("Town", "Game"), ("Member", "Game")):
        everyone = set().union(*links[left].values()) & set().union(*links[right].values())
        same = left == right
        universes[f"{left} x {right}"] = len(everyone)
        chosen = (
            combinations(sorted(links[left]), 2) if same else product(links[left], links[right])
        )
        for a, b in chosen:
            of_a, of_b = links[left][a] & everyone, links[right][b] & everyone
            if len(of_a & of_b) >= MIN_ACTORS:
                counts = len(of_a), len(of_b), len(of_a & of_b), len(everyone)
                pairs[f"{left} x {right}", a, b] = counts
    return pairs, universes


members = st.integers(0, 13).map("member:{:02}".format)
games = st.integers(0, 3).map("game:{}".format)
towns = st.integers(0, 2).map("town:{}".format)
edge_keys = (
    st.tuples(members, games, st.just("Opened"))
    | st.tuples(games, members, st.just("LikedBy"))
    | st.tuples(members, towns, st.just("Lives"))
    | st.tuples(members, members, st.just("Knows"))
    | st.tuples(games, towns, st.just("ShownIn"))
)


@settings(max_examples=60)
@given(
    st.lists(edge_keys, min_size=30, max_size=160, unique=True),
    st.lists(members, max_size=2),
    st.integers(0, 99),
)
def test_counts_are_those_of_plain_sets(
    keys: list[tuple[str, str, str]], test: list[str], seed: int
) -> None:
    edges = [(*key, 1) for key in keys]
    nodes, rows = tables(edges, test)
    found = find_cooccurrence(model(), shuffled(nodes, seed), shuffled(rows, seed))
    pairs, universes = brute(edges, test)
    assert dict(found.universe) == universes
    table = found.table
    assert table.schema == TABLES["cooccurrence"].schema
    columns = ("pair", "left", "right", "left_actors", "right_actors", "both_actors")
    got = {tuple(row[:3]): tuple(row[3:]) for row in table.select(columns).iter_rows()}
    assert got == {key: counts[:3] for key, counts in pairs.items()}
    assert table.height == len(got) == sum(found.tested.values())
    for row in table.iter_rows(named=True):
        left, right, both, universe = pairs[row["pair"], row["left"], row["right"]]
        pmi = math.log2(both / universe / (left / universe * (right / universe)))
        assert row["support"] == pytest.approx(both / universe)
        assert row["lift"] == pytest.approx(both * universe / (left * right))
        assert row["pmi"] == pytest.approx(pmi, abs=1e-9)
        information = -math.log2(both / universe)
        assert row["npmi"] == pytest.approx(pmi / information if information else 0, abs=1e-9)
        # Clopper and Pearson's lower bound, as SciPy's binomial test has it (two-sided: halved).
        level = ERROR_SHARE / found.possible[row["pair"]]
        low = stats.binomtest(both, universe).proportion_ci(1 - 2 * level, "exact").low
        expected = math.log2(low / (left / universe * (right / universe)))
        assert row["pmi_low"] == pytest.approx(expected, rel=1e-6, abs=1e-6)
        assert row["pmi_low"] < row["pmi"] + 1e-9
    for _, group in table.group_by("pair"):
        ranked = group.sort("rank")
        assert ranked["rank"].to_list() == list(range(1, ranked.height + 1))
        order = [
            (-low, left, right)
            for low, left, right in ranked.select("pmi_low", "left", "right").iter_rows()
        ]
        assert order == sorted(order)


@settings(max_examples=40)
@given(
    st.lists(edge_keys, min_size=1, max_size=120, unique=True),
    st.lists(members, max_size=2),
    st.integers(1, 40),
)
def test_actors_in_blocks_give_the_same_as_all_at_once(
    keys: list[tuple[str, str, str]], test: list[str], at_once: int
) -> None:
    nodes, rows = tables([(*key, 1) for key in keys], test)
    whole = find_cooccurrence(model(), nodes, rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cooccurrence, "LINKS_AT_ONCE", at_once)
        parts = find_cooccurrence(model(), nodes.lazy(), rows.lazy())
    assert parts.table.equals(whole.table)
    for told in ("universe", "possible", "tested", "left_out"):
        assert getattr(parts, told) == getattr(whole, told)


def random_links(rng: np.random.Generator, actors: int, chances: dict[str, float]) -> list[Edge]:
    return [
        (f"member:{actor:05}", game, "Opened", 1)
        for game, chance in chances.items()
        for actor in np.flatnonzero(rng.random(actors) < chance)
    ]


def test_independent_entities_have_a_lift_of_about_one_and_no_certain_pmi() -> None:
    rng = np.random.default_rng(1)
    edges = random_links(rng, 4_000, {f"game:{n}": 0.15 for n in range(8)})
    edges += [(f"member:{n:05}", "town:0", "Lives", 1) for n in range(4_000)]
    found = find_cooccurrence(model(), *tables(edges, []))
    table = found.table.filter(pair="Game x Town")
    assert table["lift"].to_numpy() == pytest.approx(1)
    between = found.table.filter(pair="Game x Game")
    # Members without any game aren't counted: with 0.15 a game that adds a third.
    assert between["both_actors"].sum() == pytest.approx(28 * 4_000 * 0.15**2, rel=0.1)
    everyone = found.universe["Game x Game"] / 4_000
    assert between["lift"].to_numpy() == pytest.approx(everyone, rel=0.3)
    assert (between["pmi_low"] < 0).all()


def test_a_planted_pair_leads_and_a_rare_accidental_one_does_not() -> None:
    rng = np.random.default_rng(2)
    edges = random_links(rng, 5_000, {f"game:{n:03}": 0.02 for n in range(60)})
    together = rng.choice(5_000, 150, replace=False)
    edges += [
        (f"member:{n:05}", game, "Opened", 1) for n in together for game in ("game:p", "game:q")
    ]
    # Two rare games that six members happen to have both: the lift is higher than the planted.
    for game, own in (("game:x", range(0, 20)), ("game:y", range(14, 34))):
        edges += [(f"member:{n:05}", game, "Opened", 1) for n in own]
    table = find_cooccurrence(model(), *tables(list(dict.fromkeys(edges)), [])).table
    best = table.filter(pl.col("pair") == "Game x Game", pl.col("rank") == 1).row(0, named=True)
    assert (best["left"], best["right"], best["both_actors"]) == ("game:p", "game:q", 150)
    rare = table.filter(left="game:x", right="game:y").row(0, named=True)
    assert rare["lift"] > best["lift"] and rare["pmi_low"] < best["pmi_low"] - 1


def test_chance_alone_gives_no_pair_a_positive_bound() -> None:
    rng = np.random.default_rng(3)
    chances = {f"game:{n:03}": chance for n, chance in enumerate(rng.uniform(0.002, 0.05, 300))}
    everyone = [(f"member:{n:05}", "game:all", "Opened", 1) for n in range(8_000)]
    found = find_cooccurrence(model(), *tables(random_links(rng, 8_000, chances) + everyone, []))
    table = found.table.filter(pl.col("pair") == "Game x Game")
    assert found.possible["Game x Game"] == 301 * 300 // 2
    # Tens of thousands of pairs: at a level of 5 % each, hundreds would look certain.
    assert (table["pmi"] > 1).any()
    assert (table["pmi_low"] > 0).sum() == 0


def test_entities_beyond_the_most_are_left_out_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    edges = [
        (f"member:{n:02}", f"game:{game}", "Opened", 1)
        for game, actors in enumerate((20, 19, 18, 18, 3))
        for n in range(actors)
    ]
    monkeypatch.setattr(cooccurrence, "MAX_ENTITIES", 3)
    found = find_cooccurrence(model(), *tables(edges, []))
    # Two are equal at the limit: neither is taken.
    assert found.left_out["Game"] == 3
    assert found.table.select("left", "right").rows() == [("game:0", "game:1")]
    assert found.table["left_actors"].to_list() == [20]


def test_at_most_so_many_rows_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    edges = random_links(rng, 200, {f"game:{n}": 0.4 for n in range(9)})
    every = find_cooccurrence(model(), *tables(edges, [])).table
    monkeypatch.setattr(cooccurrence, "MAX_ROWS", 5)
    assert find_cooccurrence(model(), *tables(edges, [])).table.equals(
        every.group_by("pair", maintain_order=True).head(5)
    )
    assert every.height == 36


def test_no_edges_and_no_actors_give_an_empty_table() -> None:
    for edges in ([], [("game:1", "town:1", "ShownIn", 3)]):
        found = find_cooccurrence(model(), *tables(edges, []))
        assert found.table.equals(TABLES["cooccurrence"].empty())
        assert set(found.universe.values()) == {0}
