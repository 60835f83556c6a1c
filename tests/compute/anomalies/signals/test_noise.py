"""Noise events against those of so many events."""

from __future__ import annotations

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from stupid_dagster.compute.anomalies.signals.noise import noise_evidence, proven_share
from stupid_dagster.tables import TABLES


def table(events: list[int], noise: list[int]) -> tuple[pl.Series, pl.DataFrame]:
    actors = pl.Series([f"member:{n:04}" for n in range(len(events))], dtype=pl.String)
    return actors, pl.DataFrame(
        {
            "actor": actors,
            "events": events,
            "texts": events,
            "noise_events": noise,
            "noise_ratio": [n / max(1, e) for e, n in zip(events, noise, strict=True)],
        },
        schema=TABLES["actor_noise"].schema,
    )


@given(st.integers(0, 300), st.integers(0, 300))
def test_the_proven_share_is_wilsons(successes: int, more: int) -> None:
    trials = max(1, successes + more)
    found = proven_share(np.array([float(successes)]), np.array([float(trials)]))[0]
    interval = binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    np.testing.assert_allclose(found, interval.low, atol=1e-4)


def test_much_noise_counts_the_more_the_more_events_it_is_of() -> None:
    generator = np.random.default_rng(1)
    events = generator.integers(1, 60, 5_000)
    noise = generator.binomial(events, 0.02)
    for place, size in enumerate((1, 3, 10, 50)):
        events[place] = noise[place] = size
    events[4], noise[4] = 200, 4
    found = noise_evidence(*table(events.tolist(), noise.tolist()))
    strength = found.strength()
    assert strength[0] < 0.25
    assert (np.diff(strength[:4]) > 0).all()
    assert strength[3] > 0.9
    assert strength[4] < 0.1
    assert np.median(strength) == 0
    assert strength[5:].max() < 0.5
    assert found.value[3, 0] == 1
    np.testing.assert_allclose(found.usual[:, 0], noise.sum() / events.sum())


def test_what_is_common_is_no_signal() -> None:
    events = np.full(2_000, 10)
    noise = np.random.default_rng(2).binomial(events, 0.9)
    assert noise_evidence(*table(events.tolist(), noise.tolist())).strength().max() < 0.3


def test_the_only_noise_there_is_counts_as_much_as_it_proves() -> None:
    found = noise_evidence(*table([10] * 999 + [1], [0] * 999 + [1])).strength()
    assert 0 < found[-1] < 0.25
    assert not found[:-1].any()


def test_no_noise_no_events_no_row_and_no_actors() -> None:
    assert not noise_evidence(*table([5] * 20, [0] * 20)).strength().any()
    assert not noise_evidence(*table([0] * 20, [0] * 20)).strength().any()
    actors, rows = table([5, 5, 5], [1, 0, 5])
    assert not noise_evidence(actors, rows.clear()).strength().any()
    assert noise_evidence(actors.clear(), rows).strength().size == 0
    assert not noise_evidence(*table([5], [5])).strength()[0] > proven_share(
        *np.array([[5.0], [5.0]])
    )
