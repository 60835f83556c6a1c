"""The noise signal: events whose texts are noise by DBSCAN."""

from __future__ import annotations

import numpy as np
import polars as pl

from stupid_dagster.compute.anomalies.signals.evidence import Evidence, columns_of, full_rarity
from stupid_dagster.compute.anomalies.signals.surprise import against_others
from stupid_dagster.compute.arrays import Floats

CONFIDENCE = 1.96
"""Normal quantile of a two-sided 95 % interval."""


def noise_evidence(actors: pl.Series, actor_noise: pl.DataFrame) -> Evidence:
    """Return how far the actors' noise events are above what is to be expected of so many events.

    `actor_noise` is the window's table. All events are expected to be noise as often as all
    actors' are. Where noise is rare, one such event is rare as well, and yet says little: the
    signal is at most the share of noise that the actor's events prove.
    """
    events, noise = columns_of(actors, actor_noise, ["events", "noise_events"]).T
    known = events > 0
    total = events[known].sum()
    share = noise[known].sum() / total if total else 0.0
    judged = against_others(noise, share * events)
    ratio = np.full_like(noise, np.nan)
    ratio[known] = noise[known] / events[known]
    proven = np.zeros_like(noise)
    proven[known] = proven_share(noise[known], events[known])
    rarity = np.minimum(judged.rarity, proven * full_rarity(len(actors)))
    usual = np.where(known, share, np.nan)
    return Evidence.of("noise", {"noise_ratio": (ratio, usual, judged.z, rarity)}, len(actors))


def proven_share(successes: Floats, trials: Floats) -> Floats:
    """Return the lower end of the 95 % interval of Wilson (1927) of each share; trials > 0."""
    square = CONFIDENCE**2
    share = successes / trials
    half = CONFIDENCE * np.sqrt(share * (1 - share) / trials + square / (4 * trials**2))
    return np.maximum(0.0, (share + square / (2 * trials) - half) / (1 + square / trials))
