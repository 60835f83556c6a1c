"""The members and their devices: who they are stays the same from day to day."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stupid_dagster.samples.gaming import profile
from stupid_dagster.samples.gaming.randomness import (
    Bools,
    Floats,
    Ints,
    fixed_width,
    hex_strings,
    pick,
    pick_per_row,
    stream,
    zipf_shares,
)

PLATFORM_NAMES = tuple(profile.PLATFORMS)
_ALPHABET = np.frombuffer(b"0123456789abcdefghijklmnopqrstuvwxyz", dtype=np.uint8)
_OCCASIONAL_P = 0.044  # mean chance of an occasional member to come on a day
_REGULAR_P = 0.78
_NEWCOMER_DAYS, _NEWCOMER_CYCLE, _NEWCOMER_P = 6, 30, 0.28


@dataclass(frozen=True)
class Population:
    """All members: arrays of one entry per member; -1 says that there is none."""

    code: pa.Array  # memberCode
    segment: Ints
    vip: Ints
    currency: Ints
    kind: Ints
    platform: Ints  # the favourite one
    platform_2: Ints  # another of the same kind
    device: Ints
    device_2: Ints
    affiliate: Ints
    community: Ints
    community_after: Ints  # from the day of the shift on
    community_2: Ints  # of members with two tastes, else -1
    chance: Floats  # of a visit on a day
    joined: Ints  # newcomers: the day of the cycle of 30 days on which their 6 days begin
    weight: Floats  # how active on a day with a visit
    is_test: Bools
    bot_group: Ints
    shared_account: Ints
    shared_device: Ints
    churn_day: Ints
    fingerprint: pa.Array  # of each device
    account_devices: list[Ints]  # of each shared account

    def __len__(self) -> int:
        return len(self.segment)

    def chances(self, day: int) -> Floats:
        """Return each member's chance of ordinary visits: 0 for bots, and on the day of churn."""
        age = (day - self.joined) % _NEWCOMER_CYCLE
        waiting = (self.joined >= 0) & (age >= _NEWCOMER_DAYS)
        return np.where(waiting | (self.churn_day == day), 0.0, self.chance)


def sized(n: int, scale: float, least: int, power: float = 1.0) -> int:
    """Return `n`, which is for a full day, for `scale` full days."""
    return max(least, round(n * scale**power))


def build_population(seed: int, scale: float) -> Population:
    """Return the members for `scale` days' worth of events (1 is a full day)."""
    rng = stream(seed, 20)
    regulars = sized(profile.REGULARS, scale, 20)
    occasionals = sized(profile.OCCASIONALS, scale, 150)
    churners = np.repeat(
        np.arange(profile.CHURN_DAYS) + profile.CHURN_FIRST_DAY,
        sized(profile.CHURNERS_A_DAY, scale, 1),
    )
    few = min(1.0, scale)
    bots = np.repeat(
        np.arange(len(profile.BOT_GROUPS)),
        [sized(size, few, 3, 0.5) for size in profile.BOT_GROUPS],
    )
    accounts = sized(profile.SHARED_ACCOUNTS, few, 2, 0.5)
    top = sized(profile.SHARED_DEVICES, few, 2, 0.5)
    degrees = rng.integers(profile.DEGREES[0], profile.DEGREES[1] + 1, top + accounts)
    crowds = np.repeat(
        np.arange(top), np.maximum(8, degrees[:top] * min(1.0, scale**0.25)).astype(int)
    )

    # Planted members come last; their codes don't tell.
    blocks = np.repeat(
        np.arange(6),
        [regulars, occasionals, len(churners), accounts, len(crowds), len(bots)],
    )
    n = len(blocks)

    def planted(block: int, numbers: npt.ArrayLike) -> Ints:
        column = np.full(n, -1, dtype=np.int64)
        column[blocks == block] = numbers
        return column

    shares = np.array([s.share for s in profile.SEGMENTS])
    regular_shares = np.array([s.share * s.regular for s in profile.SEGMENTS])
    segment = np.where(blocks == 1, pick(rng, shares, n), pick(rng, regular_shares, n))
    # A newcomer plays next to nothing and could not be seen to stop.
    churning = (blocks == 2) & (segment >= profile.CLICKER)
    segment[churning] = rng.integers(0, profile.CLICKER, size=int(churning.sum()))
    segment[blocks == 5] = profile.BOT
    base = np.minimum(segment, len(shares) - 1)  # bots get rows of the last segment, unused

    kind = pick_per_row(rng, np.array([s.kinds for s in profile.SEGMENTS]), base)
    bot_group = planted(5, bots)
    is_bot = bot_group >= 0
    kind[is_bot] = bot_group[is_bot] % 3
    crowd = planted(4, crowds)
    kind[crowd >= 0] = crowd[crowd >= 0] % 2
    vip = pick_per_row(rng, np.array([s.vip for s in profile.SEGMENTS]), base)
    vip[is_bot] = 0
    currency = pick(rng, profile.CURRENCY_SHARES, n)
    currency[is_bot] = bot_group[is_bot] % len(profile.CURRENCIES)
    platform, platform_2 = _platforms(rng, kind, base)
    platform[is_bot] = kind[is_bot] * 3
    device, device_2, fingerprint, account_devices = _devices(
        rng, kind, crowd, planted(3, np.arange(accounts)), degrees[top:]
    )

    chance = np.where(blocks == 1, rng.gamma(2.0, _OCCASIONAL_P / 2.0, n), _REGULAR_P)
    chance = np.minimum(chance, 0.9)
    newcomer = (segment == profile.NEWCOMER) & (blocks == 1)
    chance[newcomer] = _NEWCOMER_P
    chance[is_bot] = 0.0
    chance[(blocks == 3) | (blocks == 4)] = 1.0
    joined = np.where(newcomer, rng.integers(0, _NEWCOMER_CYCLE, n), -1)
    weight = rng.lognormal(0.0, 1.0, n) * np.where(blocks == 1, 0.8, 1.6)

    affiliates = sized(profile.AFFILIATES, few, 12, 0.4)
    affiliate = pick(rng, zipf_shares(affiliates, 0.7), n)
    affiliate[rng.random(n) < 0.3] = -1

    categories = np.array([s.categories for s in profile.SEGMENTS])
    community = _community(rng, pick_per_row(rng, categories, base))
    community[is_bot] = bot_group[is_bot]
    live = np.full(n, profile.CATEGORIES.index("live-casino"))
    after = np.where(segment == profile.SHIFTING, _community(rng, live), community)
    # High rollers play slots and live casino, whichever they were given first.
    slots = np.array(profile.COMMUNITIES)[community] == "slots"
    other = np.where(slots, live, profile.CATEGORIES.index("slots"))
    second = np.where(segment == profile.ROLLER, _community(rng, other), -1)
    is_test = (rng.random(n) < profile.TEST_ACCOUNTS) & (blocks < 2)
    if not is_test[blocks == 0].any():
        is_test[0] = True
    return Population(
        _codes(rng, n, currency),
        *(segment, vip, currency, kind, platform, platform_2, device, device_2),
        *(affiliate, community, after, second, chance, joined, weight, is_test, bot_group),
        *(planted(3, np.arange(accounts)), crowd, planted(2, churners)),
        *(fingerprint, account_devices),
    )


def _codes(rng: np.random.Generator, n: int, currency: Ints) -> pa.Array:
    """`vn4k0z81p`: two letters of the country, then a number scrambled so that none repeats."""
    size = 36**7
    numbers = (np.arange(n) * 7_862_543_987 + int(rng.integers(size))) % size
    letters = np.empty((n, 9), dtype=np.uint8)
    prefixes = np.frombuffer(b"vnthid", dtype=np.uint8).reshape(3, 2)
    letters[:, :2] = prefixes[currency]
    for place in range(7):
        letters[:, 8 - place] = _ALPHABET[numbers % 36]
        numbers //= 36
    return fixed_width(letters)


def _platforms(rng: np.random.Generator, kind: Ints, base: Ints) -> tuple[Ints, Ints]:
    """Favourite and second platform, by position in PLATFORM_NAMES."""
    n = len(kind)
    app = rng.random(n) < np.array([s.app for s in profile.SEGMENTS])[base]
    web, installed, pwa = np.array([0, 3, 6])[kind], np.array([1, 4, 7])[kind], kind * 3 + 2
    pwa = np.where(kind == 2, 6, pwa)
    home = rng.random(n) < 0.12
    favourite = np.where(app, installed, np.where(home, pwa, web))
    return favourite, np.where(favourite == web, installed, web)


def _community(rng: np.random.Generator, category: Ints) -> Ints:
    mains = np.array([profile.CATEGORIES.index(main) for main in profile.COMMUNITIES])
    of = np.equal.outer(np.arange(len(profile.CATEGORIES)), mains).astype(float)
    return pick_per_row(rng, of, category)


def _devices(
    rng: np.random.Generator, kind: Ints, crowd: Ints, account: Ints, degrees: Ints
) -> tuple[Ints, Ints, pa.Array, list[Ints]]:
    """Own devices for half of the members, one among three for the others; crowds and accounts."""
    n = len(kind)
    device = np.arange(n)
    shares = np.flatnonzero((rng.random(n) < 0.5) & (crowd < 0) & (account < 0))
    shares = shares[np.argsort(kind[shares], kind="stable")]
    device[shares] = shares[np.arange(len(shares)) // 3 * 3]
    crowded = crowd >= 0
    device[crowded] = n + crowd[crowded]
    total = n + int(crowd.max()) + 1
    device_2 = device.copy()
    second = np.flatnonzero((rng.random(n) < 0.15) & ~crowded)
    device_2[second] = total + np.arange(len(second))
    total += len(second)
    bounds = total + np.concatenate(([0], np.cumsum(degrees)))
    own = [np.arange(a, b) for a, b in itertools.pairwise(bounds)]
    return device, device_2, hex_strings(rng, int(bounds[-1]), 32), own
