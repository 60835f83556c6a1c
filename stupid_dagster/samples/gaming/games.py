"""The games: names, providers, popularity, and the communities that play them together."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from stupid_dagster.samples.gaming import profile, words
from stupid_dagster.samples.gaming.randomness import Bools, Floats, Ints, pick, stream, zipf_shares


@dataclass(frozen=True)
class Games:
    """All games, ordered by community: arrays of one entry per game."""

    name: list[str]
    uid: list[str | None]
    provider: list[str]
    category: Ints
    community: Ints
    weight: Floats
    core: Bools
    starts: Ints  # (communities + 1,): where each community's games begin

    def __len__(self) -> int:
        return len(self.name)

    def on_offer(self, seed: int, day: int) -> Floats:
        """Return the games' weights on a day; 0 for those not on offer then."""
        tail = stream(seed, 11, day).random(len(self)) < profile.TAIL_ON_OFFER
        return np.where(self.core | tail, self.weight, 0.0)


def build_games(seed: int, scale: float) -> Games:
    """Return the games for `scale` days' worth of events (1 is a full day)."""
    rng = stream(seed, 10)
    n = max(72, round(profile.GAMES * min(1.0, scale) ** 0.4))
    category = pick(rng, profile.GAME_SHARES, n)
    mains = np.array([profile.CATEGORIES.index(main) for main in profile.COMMUNITIES])
    # Each category has a game and each community a share of its category's games.
    category[: len(mains)] = mains
    community = np.empty(n, dtype=np.int64)
    for number in range(len(profile.CATEGORIES)):
        own = np.flatnonzero(mains == number)
        members = np.flatnonzero(category == number)
        community[members] = own[np.arange(len(members)) % len(own)]
    strayed = rng.random(n) > profile.COMMUNITY_PURITY
    strayed[: len(mains)] = False
    community[strayed] = rng.integers(len(mains), size=int(strayed.sum()))
    order = np.argsort(community, kind="stable")
    category, community, strayed = category[order], community[order], strayed[order]
    starts = np.searchsorted(community, np.arange(len(mains) + 1))

    weight, core = np.empty(n), np.zeros(n, dtype=np.bool_)
    for low, high in itertools.pairwise(starts):
        shares = zipf_shares(high - low, 1.5)
        # Strayed games are the least popular ones: a community is known for its own.
        place = np.argsort(strayed[low:high] + rng.random(high - low))
        weight[low + place] = shares * (high - low)
        best = np.argsort(-weight[low:high])[: max(2, round(profile.CORE_GAMES * (high - low)))]
        core[low + best] = True
    names, uids, providers = _names(rng, category)
    return Games(names, uids, providers, category, community, weight, core, starts)


def _names(
    rng: np.random.Generator, category: Ints
) -> tuple[list[str], list[str | None], list[str]]:
    names: list[str] = []
    uids: list[str | None] = []
    providers: list[str] = []
    seen: set[str] = set()
    without = rng.random(len(category)) < profile.GAMES_WITHOUT_UID
    numbers = rng.permutation(9_000)[: len(category)] + 1_000
    for i, number in enumerate(category):
        kind = profile.CATEGORIES[number]
        makers, nouns = words.PROVIDERS[kind], words.NOUNS[kind]
        providers.append(str(makers[min(int(rng.exponential(1.6)), len(makers) - 1)]))
        name = f"{rng.choice(words.ADJECTIVES)} {rng.choice(nouns)}"
        edition = 2
        while name.lower() in seen:
            name = f"{name.rstrip('0123456789 ')} {edition}"
            edition += 1
        seen.add(name.lower())
        names.append(name)
        uids.append(None if without[i] else f"{providers[-1][:3].upper()}-{numbers[i]}")
    return names, uids, providers
