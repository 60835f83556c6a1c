"""Who did something, from where and with what: the columns that all event types share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from stupid_dagster.samples.gaming import profile, words
from stupid_dagster.samples.gaming.activity import Rows, World
from stupid_dagster.samples.gaming.columns import AFFILIATES, Coded, blanked, variants
from stupid_dagster.samples.gaming.population import PLATFORM_NAMES
from stupid_dagster.samples.gaming.randomness import Bools, Ints, hex_of, pick, stream, unit_of

_IPS, _AGENTS = 65_000, 240
_PRIVATE_SALT = 1 << 41
Columns = dict[str, Coded]


@dataclass(frozen=True)
class Vocabulary:
    """Values that are the same on all days."""

    ips: pa.Array
    agents: pa.Array
    models: pa.Array
    systems: pa.Array


def build_vocabulary(seed: int) -> Vocabulary:
    """Return the values that are the same on all days."""
    rng = stream(seed, 13)
    parts = rng.integers(1, 255, (_IPS, 4))
    first = np.array([14, 27, 42, 49, 58, 103, 113, 115, 171, 182])[parts[:, 0] % 10]
    ips = [f"{a}.{b}.{c}.{d}" for a, (_, b, c, d) in zip(first, parts, strict=True)]
    models = [model for kind in profile.KINDS for model in words.MODELS[kind]]
    agents = [
        f"Mozilla/5.0 ({models[n % len(models)]}) AppleWebKit/537.36 (KHTML, like Gecko) "
        f"Chrome/{100 + n % 33}.0.{4_000 + n}.0 Safari/537.36"
        for n in range(_AGENTS)
    ]
    systems = [system for kind in profile.KINDS for system in words.SYSTEMS[kind]]
    return Vocabulary(*(pa.array(values) for values in (ips, agents, models, systems)))


def of_member(
    world: World,
    vocabulary: Vocabulary,
    day: int,
    event_type: str,
    rows: Rows,
    rng: np.random.Generator,
) -> Columns:
    """Return the columns that say who did something, from where and with what."""
    people, member, spared = world.people, rows.member, rows.planted
    n = len(member)
    device = rows.device.copy()
    habit = np.where(rng.random(n) < 0.75, people.device[member], people.device_2[member])
    free = device < 0
    device[free] = habit[free]
    for number, own in enumerate(people.account_devices):
        mine = np.flatnonzero(free & (people.shared_account[member] == number))
        device[mine] = own[rng.integers(len(own), size=len(mine))]

    anonymous = rng.random(n) < profile.NO_MEMBER[event_type]
    anonymous &= ~spared
    blank = -1 - pick(rng, profile.NULL_SHARES, n)
    vip = np.where(anonymous, -1, people.vip[member])
    platform = np.where(
        (rng.random(n) < 0.06) & ~spared, people.platform_2[member], people.platform[member]
    )
    kind = people.kind[member]
    currency = people.currency[member]
    # Some members' browsers never give a fingerprint.
    private = (unit_of(member + _PRIVATE_SALT) < profile.PRIVATE) & ~spared
    prints = blanked(rng, device, profile.NO_FINGERPRINT[event_type], spared)
    prints = np.where(private, blank, prints)
    model = _of_kind(words.MODELS, kind, device)
    system = _of_kind(words.SYSTEMS, kind, device // 7)
    tablet = (device % 17 == 0) & (people.bot_group[member] < 0)
    forms = np.where(kind == 2, 1, np.where(tablet, 2, 0))
    ip = (member * 2_654_435_761 + (day + member % 5) // 5 * 40_503) % _IPS
    flagged = people.is_test[member]
    columns = {
        "memberCode": Coded(people.code, np.where(anonymous, blank, member)),
        "platform": variants(
            rng, list(PLATFORM_NAMES), blanked(rng, platform, 0.005, spared), spared
        ),
        "currency": Coded(pa.array(profile.CURRENCIES), blanked(rng, currency, 0.008, spared)),
        "rGroup": Coded(pa.array(profile.VIP_GROUPS), blanked(rng, vip, 0.02, spared)),
        "fingerprint": Coded(people.fingerprint, prints),
        "ipAddress": Coded(vocabulary.ips, blanked(rng, ip, 0.01)),
        "device": Coded(
            pa.array(("mobile", "desktop", "tablet")), blanked(rng, forms, 0.01, spared)
        ),
        "os": Coded(vocabulary.systems, blanked(rng, system, 0.02)),
        "deviceModel": Coded(vocabulary.models, blanked(rng, model, 0.15)),
        "isTestAccount": _flags(rng, flagged, event_type, anonymous),
        "sessionId": Coded(
            hex_of(rows.session + (day << 32) + (world.seed % 1_000 << 50)), np.arange(n)
        ),
        "userAgent": Coded(vocabulary.agents, blanked(rng, device % _AGENTS, 0.02)),
        "language": Coded(pa.array(list(words.LANGUAGES.values())), blanked(rng, currency, 0.03)),
        "country": Coded(pa.array(list(words.COUNTRIES.values())), blanked(rng, currency, 0.2)),
    }
    return columns | _affiliates(world, rng, member, platform, event_type)


def _of_kind(names: dict[str, tuple[str, ...]], kind: Ints, number: Ints) -> Ints:
    """Positions in the names of all kinds laid end to end, each within its kind's."""
    sizes = np.array([len(names[k]) for k in profile.KINDS])
    starts = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    # Squared, so that low numbers come more often.
    share = (number * 40_503 % 1_009 / 1_009) ** 2
    return starts[kind] + (share * sizes[kind]).astype(np.int64)


def _flags(rng: np.random.Generator, flagged: Bools, event_type: str, anonymous: Bools) -> Coded:
    """isTestAccount: in API Error hardly ever there; elsewhere always for test accounts."""
    yes, no = profile.TRUE_SPELLINGS, profile.FALSE_SPELLINGS
    n = len(flagged)
    codes = len(yes) + pick(rng, (0.8, 0.08, 0.08, 0.04), n)
    codes = blanked(rng, codes, 0.6)
    codes[flagged] = pick(rng, (0.5, 0.12, 0.08, 0.16, 0.1, 0.04), int(flagged.sum()))
    if event_type == "API Error":
        codes[rng.random(n) < 0.8] = -1
    codes[anonymous] = -1
    return Coded(pa.array([*yes, *no]), codes)


def _affiliates(
    world: World, rng: np.random.Generator, member: Ints, platform: Ints, event_type: str
) -> Columns:
    """One spelling a row: which one depends mostly on the platform's kind."""
    affiliate, n = world.people.affiliate[member], len(member)
    spelling = np.where(rng.random(n) < 0.9, platform // 3, rng.integers(3, size=n))
    if event_type == "PopupModule":
        spelling = np.zeros(n, dtype=np.int64)
    values = pa.array(
        [f"aff{3_000 + 17 * n}" for n in range(int(world.people.affiliate.max()) + 1)]
    )
    columns = {}
    for number, name in enumerate(AFFILIATES):
        empty = blanked(rng, np.full(n, -1), 0.1)
        filled = (spelling == number) & (affiliate >= 0)
        columns[name] = Coded(values, np.where(filled, affiliate, empty))
    return columns
