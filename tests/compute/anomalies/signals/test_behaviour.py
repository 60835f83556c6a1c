"""An actor's last day against its own days before."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
from polars.testing import assert_frame_equal

from stupid_dagster.compute.anomalies.signals.behaviour import (
    behaviour_evidence,
    day_counters,
    own_history,
)
from tests.compute.behaviour import shop

AT = dt.datetime(2025, 3, 2, tzinfo=dt.UTC)
SESSION = {"start": AT, "end": AT, "events": 1}


def activity(rows: list[dict]) -> pl.LazyFrame:
    """Rows of the table `activity` of the model `shop`, as far as they are counted."""
    sessions = pl.List(pl.Struct({"start": pl.Datetime, "end": pl.Datetime, "events": pl.UInt32}))
    schema = {
        "actor": pl.String,
        "day": pl.Date,
        "events": pl.UInt32,
        "sessions": sessions,
        "visits": pl.UInt32,
        "items": pl.List(pl.String),
        "spent": pl.Float64,
        "mobile_ratio": pl.Float64,
    }
    return pl.LazyFrame(rows, schema=schema)


def test_counters_are_events_sessions_counts_and_distinct_values() -> None:
    rows = [
        {"actor": "a", "events": 4, "sessions": [SESSION] * 2, "visits": 3, "items": ["x", "y"]},
        {"actor": "b", "events": 1, "sessions": [SESSION], "visits": 0, "items": None, "spent": 9},
    ]
    found = day_counters(shop(), activity(rows)).drop("day").collect()
    expected = {"actor": ["a", "b"], "events": [4, 1], "sessions": [2, 1], "visits": [3, 0]}
    wanted = pl.DataFrame({**expected, "items": [2, 0]}).cast({pl.Int64: pl.Float64})
    assert_frame_equal(found, wanted)


def test_history_adds_up_the_days_there_are() -> None:
    rows = [
        {"actor": actor, "day": AT.date() - dt.timedelta(days=n), "events": n + 1, "visits": n}
        for actor, days in (("a", 3), ("b", 1))
        for n in range(days)
    ]
    found = own_history(day_counters(shop(), activity(rows))).collect().sort("actor")
    assert found.select("days", "events", "visits").rows() == [(3, 6, 3), (1, 1, 0)]


def counters(values: dict[str, np.ndarray], actors: pl.Series) -> pl.DataFrame:
    return pl.DataFrame({"actor": actors, **values}).cast({pl.Int64: pl.Float64})


def drawn(seed: int = 1, size: int = 3_000) -> tuple[pl.Series, pl.DataFrame, pl.DataFrame]:
    """Ordinary actors: today's counters, and the history over 1 to 7 days."""
    generator = np.random.default_rng(seed)
    actors = pl.Series([f"member:{n:04}" for n in range(size)])
    rates = generator.gamma(1, 10, (2, size))
    days = generator.integers(1, 8, size)
    today = generator.poisson(rates)
    before = generator.poisson(rates * days)
    return (
        actors,
        counters({"visits": today[0], "faults": today[1]}, actors),
        counters({"days": days, "visits": before[0], "faults": before[1]}, actors),
    )


def test_only_a_day_unlike_the_own_ones_is_off() -> None:
    actors, today, history = drawn()
    actor = pl.col("actor") == "member:0005"
    history = history.with_columns(
        days=pl.when(actor).then(7.0).otherwise("days"),
        faults=pl.when(actor).then(14.0).otherwise("faults"),
    )
    calm = behaviour_evidence(actors, today, history).strength()
    today = today.with_columns(faults=pl.when(actor).then(60.0).otherwise("faults"))
    found = behaviour_evidence(actors, today, history)
    strength = found.strength()
    assert found.names == ("visits", "faults")
    assert calm.max() < 0.75
    assert (calm > 0.5).mean() < 0.002
    assert strength[5] == strength.max() > 0.9
    assert found.value[5, 1] == 60
    assert 1.5 < found.usual[5, 1] < 2.5


def test_the_heaviest_actor_is_not_off_when_it_always_is() -> None:
    actors, today, history = drawn()
    actor = pl.col("actor") == "member:0006"
    today = today.with_columns(visits=pl.when(actor).then(900.0).otherwise("visits"))
    history = history.with_columns(
        days=pl.when(actor).then(7.0).otherwise("days"),
        visits=pl.when(actor).then(6_400.0).otherwise("visits"),
    )
    assert behaviour_evidence(actors, today, history).strength()[6] < 0.3


def test_actors_without_earlier_days_do_not_deviate() -> None:
    actors, today, history = drawn()
    found = behaviour_evidence(actors, today, history.filter(pl.col("actor") >= "member:0100"))
    assert not found.strength()[:100].any()
    assert np.isnan(found.usual[:100]).all()
    none = behaviour_evidence(actors, today, history.clear())
    assert not none.strength().any()
    assert behaviour_evidence(actors.clear(), today, history).strength().size == 0


def test_the_order_of_rows_does_not_matter() -> None:
    actors, today, history = drawn(size=500)
    found = behaviour_evidence(actors, today, history)
    again = behaviour_evidence(
        actors, today.sample(fraction=1, shuffle=True, seed=1), history[::-1]
    )
    np.testing.assert_array_equal(again.rarity, found.rarity)


def test_what_earlier_days_did_not_count_is_no_evidence() -> None:
    """A feature that the event model has got since: there is no usual to compare with."""
    rows = [{"actor": name, "events": 4, "sessions": [SESSION], "visits": 3} for name in "abc"]
    today = day_counters(shop(), activity(rows)).collect()
    earlier = own_history(day_counters(shop(), activity(rows).drop("items"))).collect()
    found = behaviour_evidence(pl.Series(list("abc")), today, earlier)
    assert found.names == ("events", "sessions", "visits")
