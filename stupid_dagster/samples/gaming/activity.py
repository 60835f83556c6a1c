"""Who does something on a day, and when: the ordinary rows and the planted ones."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date, timedelta

import numpy as np

from stupid_dagster.samples.gaming import profile
from stupid_dagster.samples.gaming.errors_seen import Errors, build_errors
from stupid_dagster.samples.gaming.games import Games, build_games
from stupid_dagster.samples.gaming.population import Population, build_population
from stupid_dagster.samples.gaming.profile import DAY_MS, HOUR_MS, MINUTE_MS
from stupid_dagster.samples.gaming.randomness import Bools, Ints, stream

TYPES = tuple(profile.VOLUMES)
_RATES = {"Login": "login", "GameOpened": "game", "API Error": "error", "PopupModule": "popup"}
BOT_SECONDS = (90, 120, 60, 150)
_LOGINS_OF_BOTS, _LOGINS_OF_ACCOUNTS, _GAMES_OF_CHURNERS = 4, 8, 5


@dataclass(frozen=True)
class World:
    """What stays the same from day to day."""

    seed: int
    first: date
    events_per_day: int
    games: Games
    errors: Errors
    people: Population

    @property
    def scale(self) -> float:
        """The events of a day, as a share of a full one."""
        return self.events_per_day / profile.FULL_DAY


@dataclass
class Rows:
    """Rows of one event type on one day: arrays of one entry per row.

    `at` counts milliseconds from the day's start; -1 in `device`, `game` and `error` leaves the
    choice to the member's habits. Dirt leaves `planted` rows alone.
    """

    member: Ints
    at: Ints
    session: Ints
    device: Ints
    game: Ints
    error: Ints
    planted: Bools
    burst: int = 0  # how many of the rows the burst added

    def __len__(self) -> int:
        return len(self.member)


_ARRAYS = tuple(field.name for field in fields(Rows))[:-1]


def build_world(seed: int, first: date, events_per_day: int) -> World:
    """Return the members, games and errors of a data set."""
    scale = events_per_day / profile.FULL_DAY
    games = build_games(seed, scale)
    people = build_population(seed, scale)
    return World(seed, first, events_per_day, games, build_errors(seed), people)


def rows_of_type(world: World, day: int, event_type: str) -> int:
    """Return how many rows of a type a day has before the burst is added."""
    number = TYPES.index(event_type)
    weekday = profile.WEEKDAYS[(world.first + timedelta(days=day)).weekday()]
    noise = stream(world.seed, 29, day, number).normal(1.0, profile.VOLUME_NOISE)
    return max(1, round(profile.VOLUMES[event_type] * world.scale * weekday * noise))


def day_rows(world: World, day: int) -> dict[str, Rows]:
    """Return the rows of each event type on a day, without dirt."""
    people, rng = world.people, stream(world.seed, 30, day)
    active = np.flatnonzero(rng.random(len(people)) < people.chances(day))
    segment = people.segment[active]
    weekday = (world.first + timedelta(days=day)).weekday()
    weekend = np.array([s.weekend if weekday >= 5 else 1.0 for s in profile.SEGMENTS])
    weight = people.weight[active] * weekend[segment] * rng.lognormal(0.0, 0.4, len(active))
    visits = _Visits(rng, segment)
    quiet = np.isin(people.churn_day[active], (day - 1, day - 2)) & (day > 1)
    planted = _planted(world, day, visits.count)
    days: dict[str, Rows] = {}
    for number, event_type in enumerate(TYPES):
        own = stream(world.seed, 31, day, number)
        total = rows_of_type(world, day, event_type)
        extra = planted.get(event_type)
        total = max(1, round(total / (1 + profile.DUPLICATES)) - (len(extra) if extra else 0))
        attribute = _RATES.get(event_type, "popup")
        rates = np.array([getattr(s, attribute) for s in profile.SEGMENTS])[segment]
        if event_type == "GameOpened":
            rates = np.where(quiet, 0.0, rates)
        bounds = np.cumsum(weight * rates)
        who = np.searchsorted(bounds, own.random(total) * bounds[-1], side="right")
        who = np.minimum(who, len(active) - 1)
        at, session = visits.moments(own, who, event_type == "Login")
        rows = plain_rows(active[who], at, session)
        if event_type == "API Error":
            rows.error = world.errors.draw(own, people.segment[rows.member] == profile.NEWCOMER)
            if day == profile.BURST_DAY:
                rows = _joined(rows, _burst(world, own, rows))
        days[event_type] = _joined(rows, extra) if extra else rows
    return days


def plain_rows(member: Ints, at: Ints, session: Ints, planted: bool = False) -> Rows:
    """Return rows whose device, game and error are left to the member's habits."""
    none = np.full(len(member), -1, dtype=np.int64)
    return Rows(member, at, session, none, none, none, np.full(len(member), planted))


def _joined(*parts: Rows) -> Rows:
    return Rows(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in _ARRAYS),
        burst=sum(part.burst for part in parts),
    )


class _Visits:
    """The sessions of the active members of a day."""

    def __init__(self, rng: np.random.Generator, segment: Ints) -> None:
        def of(attribute: str) -> np.ndarray:
            return np.array([getattr(s, attribute) for s in profile.SEGMENTS])

        self.sessions = 1 + np.minimum(rng.poisson(of("sessions")[segment]), 8)
        self.offset = np.concatenate(([0], np.cumsum(self.sessions)))
        self.count = int(self.offset[-1])
        owner = np.repeat(segment, self.sessions)
        hour = rng.normal(of("peak")[owner], of("spread")[owner])
        anytime = rng.random(self.count) < 0.2
        hour[anytime] = rng.uniform(0.0, 24.0, int(anytime.sum()))
        self.start = hour % 24.0 * HOUR_MS
        minutes = 1.0 + rng.exponential(of("minutes")[owner])
        self.length = np.minimum(minutes, 240.0) * MINUTE_MS

    def moments(self, rng: np.random.Generator, who: Ints, logins: bool) -> tuple[Ints, Ints]:
        """Return for each row the millisecond of the day and the number of its session."""
        session = self.offset[who] + (rng.random(len(who)) * self.sessions[who]).astype(np.int64)
        passed = rng.random(len(who)) * self.length[session]
        if logins:
            passed = np.minimum(passed, rng.exponential(20_000.0, len(who)))
        at = self.start[session] + passed
        # A session that would cross midnight is mirrored at its start instead.
        at = np.where(at >= DAY_MS, self.start[session] - passed, at)
        return at.astype(np.int64), session


def _burst(world: World, rng: np.random.Generator, rows: Rows) -> Rows:
    """What makes the burst's error as frequent as it has to be in the burst's hour."""
    hour = (rows.at // HOUR_MS == profile.BURST_HOUR) & (rows.error == world.errors.burst)
    extra = max(20, (profile.BURST_FACTOR - 1) * int(hour.sum()))
    source = rng.integers(len(rows), size=extra)
    at = profile.BURST_HOUR * HOUR_MS + (rng.beta(1.6, 2.2, extra) * HOUR_MS).astype(np.int64)
    burst = plain_rows(rows.member[source], at, rows.session[source])
    burst.error = np.full(extra, world.errors.burst)
    burst.burst = extra
    return burst


def _planted(world: World, day: int, sessions: int) -> dict[str, Rows]:
    people, rng = world.people, stream(world.seed, 32, day)
    bots = _bots(world, day, rng)
    accounts = _of_shared_accounts(world, day)
    crowd = np.flatnonzero(people.shared_device >= 0)
    at = rng.integers(HOUR_MS, 23 * HOUR_MS, len(crowd))
    churn = _churn(world, day, rng)
    planted = {
        "Login": _joined(bots["Login"], accounts, plain_rows(crowd, at, crowd, True), churn[0]),
        "GameOpened": _joined(bots["GameOpened"], churn[1]),
        "API Error": churn[2],
    }
    for rows in planted.values():
        # Planted sessions: one per member, numbered after the ordinary ones.
        rows.session = sessions + rows.member
    return planted


def _bots(world: World, day: int, rng: np.random.Generator) -> dict[str, Rows]:
    """Each bot's games come in its group's fixed interval, its logins five hours apart."""
    people = world.people
    bots = np.flatnonzero(people.bot_group >= 0)
    group = people.bot_group[bots]
    share = profile.BOT_ROWS * rows_of_type(world, day, "GameOpened") / len(bots)
    each = int(np.clip(share, 6, 240))
    step = np.array(BOT_SECONDS)[group] * 1_000
    place = np.arange(len(bots)) - np.searchsorted(group, group)
    start = HOUR_MS * (1 + group) + place * 7_000
    number = np.tile(np.arange(each), len(bots))
    wobble = rng.integers(-150, 151, len(number))
    member = np.repeat(bots, each)
    games = plain_rows(
        member, np.repeat(start, each) + number * np.repeat(step, each) + wobble, member, True
    )
    games.game = bot_games(world)[np.repeat(group, each), number % 3]
    member = np.repeat(bots, _LOGINS_OF_BOTS)
    turn = np.tile(np.arange(_LOGINS_OF_BOTS), len(bots)) * 5 * HOUR_MS
    at = np.repeat(start, _LOGINS_OF_BOTS) - 60_000 + turn
    return {"Login": plain_rows(member, at, member, True), "GameOpened": games}


def bot_games(world: World) -> Ints:
    """Return the (groups, 3) games that each bot group opens in turn; some repeat."""
    chosen = []
    for group in range(len(profile.BOT_GROUPS)):
        low, high = world.games.starts[group], world.games.starts[group + 1]
        core = low + np.flatnonzero(world.games.core[low:high])
        chosen.append(core[np.arange(3) % (1 + group % 3) % len(core)])
    return np.array(chosen)


def _of_shared_accounts(world: World, day: int) -> Rows:
    """Logins of the shared accounts, each from the next of the account's devices."""
    people = world.people
    accounts = np.flatnonzero(people.shared_account >= 0)
    turn = np.arange(_LOGINS_OF_ACCOUNTS)
    member = np.repeat(accounts, len(turn))
    at = np.tile(turn * 2 * HOUR_MS + 4 * HOUR_MS, len(accounts)) + member % 1_800_000
    rows = plain_rows(member, at, member, True)
    rows.device = np.concatenate(
        [devices[(day * len(turn) + turn) % len(devices)] for devices in people.account_devices]
    )
    return rows


def _churn(world: World, day: int, rng: np.random.Generator) -> tuple[Rows, Rows, Rows]:
    """A login, some games, then two errors between 10:00 and 16:30; nothing after that."""
    who = np.flatnonzero(world.people.churn_day == day)
    error = rng.integers(10 * HOUR_MS, 16 * HOUR_MS, len(who))
    second = error + rng.integers(30_000, 8 * MINUTE_MS, len(who))
    player = np.repeat(who, _GAMES_OF_CHURNERS)
    before = rng.integers(2 * MINUTE_MS, 50 * MINUTE_MS, len(player))
    games = plain_rows(player, np.repeat(error, _GAMES_OF_CHURNERS) - before, player, True)
    twice = np.concatenate((who, who))
    errors = plain_rows(twice, np.concatenate((error, second)), twice, True)
    errors.error = np.full(len(twice), world.errors.churn)
    return plain_rows(who, error - HOUR_MS, who, True), games, errors
