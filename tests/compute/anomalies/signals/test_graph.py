"""The actors' links of a day, each item against its definition."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from stupid_dagster.compute.anomalies.signals.evidence import Evidence, compared
from stupid_dagster.compute.anomalies.signals.graph import graph_evidence
from stupid_dagster.compute.anomalies.signals.links import WindowLinks
from stupid_dagster.compute.anomalies.signals.surprise import against_own_usual

SIZE = 2_000
ACTORS = pl.Series([f"member:{n:04}" for n in range(SIZE)])


class Day:
    """Ordinary actors: a device each, some games, and what the window knew before."""

    def __init__(self, seed: int = 1) -> None:
        generator = np.random.default_rng(seed)
        games = np.minimum(1 + generator.geometric(0.2, SIZE), 60)
        actors = np.repeat(np.arange(SIZE), games)
        first = np.repeat(generator.integers(0, 40, SIZE), games)
        place = np.arange(len(actors)) - np.repeat(np.cumsum(games) - games, games)
        self.links = pl.concat(
            [
                rows("LoggedInFrom", np.arange(SIZE), [f"device:{n}" for n in range(SIZE)]),
                rows("OpenedGame", actors, [f"game:{n}" for n in (first + place) % 100]),
            ]
        )
        self.days = generator.integers(1, 8, SIZE)
        self.new = {"LoggedInFrom": np.zeros(SIZE), "OpenedGame": generator.poisson(games / 4)}
        self.before = {
            "LoggedInFrom": generator.poisson(0.01 * self.days),
            "OpenedGame": generator.poisson(games / 4 * self.days),
        }
        # Ten games to a community; the devices belong to those of their actors' first games.
        self.communities = pl.concat(
            [
                pl.DataFrame({"entity_id": f"game:{n}", "community_id": f"c:{n // 10}"})
                for n in range(100)
            ]
        )

    def link(self, actor: int, relation: str, entities: list[str]) -> None:
        self.links = pl.concat(
            [self.links, rows(relation, np.full(len(entities), actor), entities)]
        )

    def found(self) -> Evidence:
        wide = [
            pl.DataFrame({"actor": ACTORS, **values}).cast({pl.Int64: pl.Float64})
            for values in (self.new, self.new, self.before)
        ]
        history = pl.DataFrame({"actor": ACTORS, "days": self.days.astype(np.float64)})
        return graph_evidence(ACTORS, WindowLinks(*wide), self.links, history, self.communities)


def rows(relation: str, actors: np.ndarray, entities: list[str]) -> pl.DataFrame:
    named = ACTORS.gather(actors)
    return pl.DataFrame({"actor": named, "entity_id": entities, "relation": relation}).select(
        "actor", "entity_id", "relation"
    )


def item(found: Evidence, name: str) -> tuple[np.ndarray, ...]:
    place = found.names.index(name)
    return tuple(array[:, place] for array in (found.value, found.usual, found.z, found.rarity))


def test_an_ordinary_day_has_no_strong_signal() -> None:
    found = Day().found()
    assert found.names == (
        *("LoggedInFrom:new", "OpenedGame:new", "LoggedInFrom:today", "OpenedGame:today"),
        *("LoggedInFrom:shared", "OpenedGame:shared", "communities"),
    )
    assert found.strength().max() < 0.6
    assert np.median(found.strength()) < 0.05


@pytest.mark.parametrize(("relation", "kind"), [("LoggedInFrom", "device"), ("OpenedGame", "game")])
def test_new_links_are_judged_by_the_own_rate(relation: str, kind: str) -> None:
    day = Day()
    day.days[3] = 7
    day.new[relation][3], day.before[relation][3] = 8, 0
    _, usual, _, rarity = item(day.found(), f"{relation}:new")
    expected = against_own_usual(
        day.new[relation].astype(np.float64),
        day.before[relation].astype(np.float64),
        day.days.astype(np.float64),
        both_ways=False,
    )
    np.testing.assert_array_equal(rarity, expected.rarity)
    np.testing.assert_array_equal(usual, expected.usual)
    assert rarity[3] > 5


def test_eight_devices_are_many_and_eight_games_are_not() -> None:
    day = Day()
    day.link(3, "LoggedInFrom", [f"device:x{n}" for n in range(7)])
    quiet = day.links.group_by("actor").len().filter(pl.col("len") == 9)["actor"][0]
    found = day.found()
    value, usual, _, rarity = item(found, "LoggedInFrom:today")
    assert value[3] == 8
    assert usual[3] == pytest.approx(1, abs=0.01)
    assert rarity[3] > 10
    assert found.strength()[3] == 1
    games = ACTORS.to_list().index(quiet)
    value, _, _, rarity = item(found, "OpenedGame:today")
    assert value[games] == 8
    assert rarity[games] < 1


def test_many_actors_on_one_device_share_it_and_those_of_one_game_do_not() -> None:
    day = Day()
    for actor in range(20, 35):
        day.link(actor, "LoggedInFrom", ["device:common"])
    day.link(50, "LoggedInFrom", ["device:51"])
    found = day.found()
    value, usual, _, rarity = item(found, "LoggedInFrom:shared")
    np.testing.assert_array_equal(value[20:35], 15)
    assert value[50] == value[51] == 2 and value[0] == 1
    assert (usual == 1).all()
    assert rarity[20:35].min() > 5 > rarity[50] >= rarity[0] == 0
    assert found.strength()[20:35].min() > 0.5
    counts = day.links.filter(pl.col("relation") == "OpenedGame").group_by("entity_id").len()
    value, _, _, rarity = item(found, "OpenedGame:shared")
    entities = dict(counts.iter_rows())
    games = day.links.filter(pl.col("relation") == "OpenedGame", pl.col("actor") == ACTORS[0])
    assert value[0] == max(entities[game] for game in games["entity_id"])
    every = compared(counts["len"].cast(pl.Float64).to_numpy())[2]
    assert rarity.max() <= every.max()
    assert np.median(rarity) == 0


def test_communities_are_judged_against_as_many_links() -> None:
    day = Day()
    day.links = day.links.filter(pl.col("actor") != ACTORS[7])
    day.link(7, "OpenedGame", [f"game:{10 * n}" for n in range(10)])
    value, usual, _, rarity = item(day.found(), "communities")
    by_actor = (
        day.links.join(day.communities, on="entity_id")
        .group_by("actor")
        .agg(links=pl.col("entity_id").n_unique(), touched=pl.col("community_id").n_unique())
    )
    like = [
        touched
        for _, links, touched in by_actor.iter_rows()
        if int(2 * np.log2(links)) == int(2 * np.log2(10))
    ]
    assert value[7] == 10
    assert usual[7] == pytest.approx(np.mean(like))
    assert rarity[7] == rarity.max() > 3


def test_less_than_usual_is_not_off() -> None:
    day = Day()
    day.days[4], day.before["OpenedGame"][4], day.new["OpenedGame"][4] = 7, 300, 0
    assert item(day.found(), "OpenedGame:new")[3][4] == 0


def test_the_order_of_links_does_not_matter() -> None:
    day = Day()
    found = day.found()
    day.links = day.links.sample(fraction=1, shuffle=True, seed=2)
    day.communities = day.communities[::-1]
    again = day.found()
    assert again.names == found.names
    np.testing.assert_array_equal(again.rarity, found.rarity)


def test_no_links_no_history_no_communities_and_no_actors() -> None:
    day = Day()
    empty = WindowLinks(*(pl.DataFrame({"actor": ACTORS.clear()}) for _ in range(3)))
    history = pl.DataFrame({"actor": ACTORS, "days": np.ones(SIZE)})
    nothing = day.links.clear(), history.clear(), day.communities.clear()
    assert not graph_evidence(ACTORS, empty, *nothing).strength().any()
    none = graph_evidence(ACTORS.clear(), empty, *nothing)
    assert none.strength().size == 0
    one = graph_evidence(ACTORS.head(1), empty, day.links.head(1), history, day.communities)
    assert one.strength().tolist() == [0]
