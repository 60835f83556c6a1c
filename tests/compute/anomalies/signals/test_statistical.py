"""Features and degrees of actors against the other actors'."""

from __future__ import annotations

import numpy as np
import polars as pl

from stupid_dagster.compute.anomalies.signals.evidence import compared
from stupid_dagster.compute.anomalies.signals.statistical import statistical_evidence

ACTORS = pl.Series([f"member:{n:04}" for n in range(2_000)])


def population(seed: int = 1) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Features and degrees of ordinary actors: a heavy-tailed count, a share, a constant."""
    generator = np.random.default_rng(seed)
    features = pl.DataFrame(
        {
            "actor": ACTORS,
            "events": np.ones(len(ACTORS)),
            "games": generator.lognormal(2, 1.2, len(ACTORS)).round(),
            "share": generator.beta(8, 2, len(ACTORS)),
            "always": np.full(len(ACTORS), 7.0),
        }
    )
    devices = 1.0 + (generator.random(len(ACTORS)) < 0.08)
    return features, pl.DataFrame({"actor": ACTORS, "LoggedInFrom": devices})


def set_value(frame: pl.DataFrame, actor: str, column: str, value: float | None) -> pl.DataFrame:
    changed = pl.when(pl.col("actor") == actor).then(pl.lit(value)).otherwise(column)
    return frame.with_columns(changed.alias(column))


def test_each_number_is_compared_alone_and_constants_are_left_out() -> None:
    features, degrees = population()
    found = statistical_evidence(ACTORS, features, degrees)
    assert found.names == ("games", "share", "LoggedInFrom:degree")
    for place, column in enumerate((features["games"], features["share"])):
        usual, z, rarity = compared(column.to_numpy())
        np.testing.assert_array_equal(found.value[:, place], column)
        np.testing.assert_array_equal(found.usual[:, place], usual)
        np.testing.assert_array_equal(found.z[:, place], z)
        np.testing.assert_array_equal(found.rarity[:, place], rarity)


def test_many_devices_are_extreme_and_many_games_are_not() -> None:
    features, degrees = population()
    before = statistical_evidence(ACTORS, features, degrees).strength()
    assert before.max() < 0.5
    heaviest = str(features.sort("games")["actor"][-1])
    degrees = set_value(degrees, "member:0007", "LoggedInFrom", 30.0)
    after = statistical_evidence(ACTORS, features, degrees).strength()
    assert after[7] == after.max() > 0.9
    assert after[ACTORS.to_list().index(heaviest)] < 0.5


def test_unknown_features_and_missing_actors_are_no_evidence() -> None:
    features, degrees = population()
    features = set_value(features, "member:0003", "share", None)
    features = features.filter(pl.col("actor") != "member:0004")
    degrees = degrees.filter(pl.col("actor") != "member:0005")
    found = statistical_evidence(ACTORS, features, degrees)
    assert found.rarity[3, 1] == 0 and np.isnan(found.usual[3, 1])
    assert not found.rarity[4, :2].any()
    assert found.value[5, 2] == 0  # no link of the kind is none


def test_others_than_the_actors_do_not_count() -> None:
    features, degrees = population()
    some = ACTORS.head(500)
    found = statistical_evidence(some, features, degrees)
    alone = statistical_evidence(some, features.head(500), degrees.head(500))
    np.testing.assert_array_equal(found.rarity, alone.rarity)


def test_one_actor_and_none_are_not_unusual() -> None:
    features, degrees = population()
    for size in (0, 1):
        found = statistical_evidence(ACTORS.head(size), features, degrees)
        np.testing.assert_array_equal(found.strength(), np.zeros(size))
