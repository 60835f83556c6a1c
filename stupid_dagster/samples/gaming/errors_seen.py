"""The errors that members run into: messages with their status and the stage they occur in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stupid_dagster.samples.gaming import words
from stupid_dagster.samples.gaming.randomness import Floats, Ints, pick, stream, zipf_shares

_BURST_SHARE, _CHURN_SHARE, _ID_SHARE, _ONBOARDING_SHARE = 0.02, 0.004, 0.004, 0.02
_ONBOARDING_OF_NEWCOMERS = 0.6
_IDS = 1_500
_PAIRS = 420


@dataclass(frozen=True)
class Errors:
    """All kinds of error, one entry per message and stage."""

    message: list[str]
    status: list[str]
    stage: list[str]
    shares: Floats
    onboarding: Ints  # positions of what newcomers run into
    burst: int
    churn: int

    def draw(self, rng: np.random.Generator, newcomer: np.ndarray) -> Ints:
        """Return the position of one error for each entry of `newcomer`."""
        drawn = pick(rng, self.shares, len(newcomer))
        own = newcomer & (rng.random(len(newcomer)) < _ONBOARDING_OF_NEWCOMERS)
        chosen = pick(rng, zipf_shares(len(self.onboarding), 0.6), int(own.sum()))
        drawn[own] = self.onboarding[chosen]
        return drawn


def build_errors(seed: int) -> Errors:
    """Return the kinds of error: some 2,000, most of them rare."""
    rng = stream(seed, 12)
    messages, stages = len(words.ERRORS), len(words.STAGES)
    weights = np.multiply.outer(
        rng.permutation(zipf_shares(messages, 1.2)), rng.permutation(zipf_shares(stages, 1.1))
    ) * rng.lognormal(0.0, 0.7, (messages, stages))
    best = np.sort(np.argsort(-weights, axis=None)[:_PAIRS])
    kinds = [(*words.ERRORS[i // stages], words.STAGES[i % stages]) for i in best]
    special = (_BURST_SHARE, _CHURN_SHARE, _ID_SHARE, _ONBOARDING_SHARE)
    rest = weights.ravel()[best] / weights.ravel()[best].sum() * (1.0 - sum(special))
    template, status, stage = words.ID_TEMPLATE
    numbers = rng.integers(10_000_000, 99_999_999, size=_IDS)
    onboarding = len(words.ONBOARDING)
    shares = np.concatenate(
        (
            rest,
            np.full(onboarding, _ONBOARDING_SHARE / onboarding),
            [_BURST_SHARE, _CHURN_SHARE],
            np.full(_IDS, _ID_SHARE / _IDS),
        )
    )
    kinds += [
        *words.ONBOARDING,
        words.BURST,
        words.CHURN,
        *((template.format(number), status, stage) for number in numbers),
    ]
    columns = [list(column) for column in zip(*kinds, strict=True)]
    first = len(best)
    return Errors(
        *(columns[0], columns[1], columns[2], shares, first + np.arange(onboarding)),
        *(first + onboarding, first + onboarding + 1),
    )
