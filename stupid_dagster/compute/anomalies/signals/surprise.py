"""How surprising a count is: Poisson tails mixed over rates, as dispersed as actors show."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import betainc, gammainc

from stupid_dagster.compute.anomalies.signals.evidence import tail_rarity
from stupid_dagster.compute.arrays import Floats

TRIMMED = 0.01
"""Share of the actors, those farthest off, that don't tell what is usual."""
UNTOLD = 0.1
"""Chance that an actor's day tells nothing of its others, at most."""
MOST_PRIOR_DAYS = 1.0
"""What the population counts as beside an actor's own days: else, where nearly all do the same,
who always did something else would be off every day."""
LEAST_SPREAD = 1e-6
"""Below, a negative binomial is a Poisson distribution."""
DOUBTFUL = 0.05
"""Chance below which a tail is looked at again."""
_TINY = 1e-300
_STEP = 0.125
_NORMAL = np.arange(-5.0, 9.0, _STEP)
"""Deviations of a standard normal variable that tails are integrated over."""


class Judged(NamedTuple):
    """Per actor: what was to be expected, how far off the count is, how rare that is."""

    usual: Floats
    z: Floats
    rarity: Floats


def against_own_usual(count: Floats, before: Floats, days: Floats, *, both_ways: bool) -> Judged:
    """Return how far each actor's `count` of a day is from that of its `days` before.

    `before` is the sum of those days. An actor without days before has no usual: NaN and 0. The
    actors' rates are taken as gamma distributed, with the moments that their days show, so that
    few days count little against the population (gamma-Poisson, empirical Bayes); all rates
    are moved by the one factor that the day has for everyone. Rates differ from day to day, too,
    by as much as the actors show. A day may tell nothing of its actor (a visit that began before
    midnight, a row that came late), and if all did, any actor's count would be as likely: n days
    make a count at most n decades rarer than it is in the population. With `both_ways` less
    than usual is off as well.
    """
    known = days > 0
    x, total, n = count[known], before[known], days[known]
    usual, z, rarity = (np.full_like(count, np.nan) for _ in range(3))
    if known.any() and total.sum() + x.sum() > 0:
        shape, prior_days = _prior(total / n, n)
        mean = (shape + total) / (prior_days + n)
        mean *= (1 + x.sum()) / (1 + mean.sum())
        own = 1 / (shape + total)
        times = 1 + 1 / n
        dispersion = _dispersion(x, mean, own, times)
        spread = own + times * dispersion
        chance = _tails(x, mean, spread) + UNTOLD**n * _shares(x)
        tail = 2 * chance.min(axis=0) if both_ways else chance[0]
        usual[known] = mean
        z[known] = (x - mean) / np.sqrt(mean + spread * mean**2)
        rarity[known] = _rarity(tail)
    return Judged(usual, z, np.nan_to_num(rarity))


def against_others(count: Floats, expected: Floats) -> Judged:
    """Return how far above the count that is expected of its like each actor's is.

    Both are [actors], NaN where there is nothing to count. Counts spread as much about what is
    expected as the actors show.
    """
    known = np.isfinite(count) & np.isfinite(expected) & (expected > 0)
    z, rarity = np.full_like(count, np.nan), np.zeros_like(count)
    if known.any():
        x, mean = count[known], expected[known]
        spread = np.full_like(x, _dispersion(x, mean, np.zeros_like(x), np.ones_like(x)))
        z[known] = (x - mean) / np.sqrt(mean + spread * mean**2)
        rarity[known] = _rarity(_tails(x, mean, spread)[0])
    return Judged(expected, z, rarity)


def _prior(rates: Floats, days: Floats) -> tuple[float, float]:
    """Return the shape of the rates' gamma distribution, and the days that it counts as."""
    kept = rates <= np.quantile(rates, 1 - TRIMMED)
    mean = max(float(rates[kept].mean()), 1 / (2 * len(rates)))
    # What the rates differ by beyond Poisson noise.
    between = float(rates[kept].var()) - mean * float(np.mean(1 / days[kept]))
    prior_days = min(mean / max(between, 1e-9), MOST_PRIOR_DAYS)
    return mean * prior_days, prior_days


def _tails(x: Floats, mean: Floats, spread: Floats) -> Floats:
    """Return the chances of at least and of at most x, [2, actors].

    The variance is mean + spread * mean^2. Rates may be gamma distributed, which makes the
    counts negative binomial, or lognormal, whose upper tail is heavier: where it matters, the
    larger chance of the two is taken, since nothing says which of them holds.
    """
    size = 1 / np.maximum(spread, LEAST_SPREAD)
    above = np.where(x > 0, betainc(np.maximum(x, 1), size, mean / (mean + size)), 1.0)
    far = above < DOUBTFUL
    above[far] = np.maximum(above[far], _poisson_lognormal(x[far], mean[far], spread[far]))
    return np.stack([above, betainc(size, x + 1, size / (mean + size))])


def _poisson_lognormal(x: Floats, mean: Floats, spread: Floats) -> Floats:
    """Return the chance of at least x > 0 events of a rate whose logarithm is normal."""
    deviation = np.sqrt(np.log1p(spread))[:, None]
    rates = mean[:, None] * np.exp(deviation * _NORMAL - deviation**2 / 2)
    weights = np.exp(-(_NORMAL**2) / 2) * _STEP / np.sqrt(2 * np.pi)
    return gammainc(x[:, None], rates) @ weights


def _shares(x: Floats) -> Floats:
    """Return the shares of actors with at least and at most x, [2, actors], by smooth tails."""
    off = np.log1p(x) - np.median(np.log1p(x))
    return 10.0 ** -np.stack([tail_rarity(np.maximum(off, 0)), tail_rarity(np.maximum(-off, 0))])


def _rarity(tail: Floats) -> Floats:
    return tail_rarity(-np.log10(np.clip(tail, _TINY, 1.0)), least=1.0)


def _dispersion(x: Floats, mean: Floats, own: Floats, times: Floats) -> float:
    """Return the part of the relative variance that `own` and Poisson noise don't explain.

    By moments, as Breslow (1984, "Extra-Poisson variation in log-linear models") has it, with
    weights that suit a variance of mean + mean^2, and without the 1 % farthest off.
    """
    weight = 1 / (1 + mean) ** 2
    distance = (x - mean) ** 2 * weight
    kept = distance <= np.quantile(distance, 1 - TRIMMED)
    excess = (x - mean) ** 2 - mean - own * mean**2
    scale = float((weight * times * mean**2)[kept].sum())
    return max(0.0, float((weight * excess)[kept].sum()) / scale) if scale > 0 else 0.0
