"""What the rows of a day say: the columns with a meaning."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from stupid_dagster.samples.gaming import profile, words
from stupid_dagster.samples.gaming.activity import Rows, World
from stupid_dagster.samples.gaming.columns import NUMERALS, Coded, blanked, variants
from stupid_dagster.samples.gaming.identity import Columns, Vocabulary, of_member
from stupid_dagster.samples.gaming.randomness import (
    Ints,
    pick,
    pick_per_row,
    stream,
    unit_of,
    zipf_shares,
)

_FROM_SALT = 1 << 40
_PROMOTED = 40  # games that popups advertise
# Component ids of popups, grids and lists of games.
_COMPONENTS = pa.array(
    [f"{page.strip('/') or 'home'}-{n}" for page in words.PAGES for n in range(4)]
)


def meaningful(
    world: World, vocabulary: Vocabulary, day: int, event_type: str, rows: Rows
) -> Columns:
    """Return the rows' columns but the timestamp: all of `columns.MEANINGFUL`, and maybe more."""
    rng = stream(world.seed, 40, day, list(profile.VOLUMES).index(event_type))
    columns = of_member(world, vocabulary, day, event_type, rows, rng)
    own = {
        "Login": _login,
        "GameOpened": _game_opened,
        "API Error": _api_error,
        "PopupModule": _popup,
        "GridClick": _grid_click,
    }[event_type]
    return columns | own(world, day, rows, rng)


def _login(world: World, day: int, rows: Rows, rng: np.random.Generator) -> Columns:
    people, n, spared = world.people, len(rows), rows.planted
    segment = people.segment[rows.member]
    success = rng.random(n) < np.where(segment == profile.NEWCOMER, 0.7, 0.94)
    success |= spared
    tables = np.array([(0.7, 0.2, 0.0, 0.08, 0.02), (0.3, 0.1, 0.5, 0.02, 0.08)])
    method = pick_per_row(rng, tables, (people.platform[rows.member] % 3 == 1).astype(np.int64))
    bot = people.bot_group[rows.member] >= 0
    method[bot] = 0
    return {
        "success": Coded(
            pa.array(("false", "true")), blanked(rng, success.astype(np.int64), 0.003, spared)
        ),
        "method": variants(rng, list(words.METHODS), blanked(rng, method, 0.01, spared), spared),
    }


def _game_opened(world: World, day: int, rows: Rows, rng: np.random.Generator) -> Columns:
    games, n, spared = world.games, len(rows), rows.planted
    game = choose_games(world, day, rows, rng)
    category = games.category[game]
    # Most come in the way that they always do.
    bounds = np.cumsum(words.FROM_SHARES)
    habit = np.searchsorted(bounds[:-1], unit_of(rows.member + _FROM_SALT), side="right")
    source = np.where(rng.random(n) < 0.9, habit, pick(rng, words.FROM_SHARES, n))
    bot_group = world.people.bot_group[rows.member]
    bot = bot_group >= 0
    source[bot] = bot_group[bot] % 3
    component = source * 4 + pick(rng, zipf_shares(4), n)
    tracking = blanked(rng, category, 0.05)
    blank = blanked(rng, game, profile.NO_GAME_UID, spared)
    without = np.array([uid is None for uid in games.uid])
    uid = np.where(without[game] & (blank >= 0), -1, blank)
    makers = sorted(set(games.provider))
    maker = np.array([makers.index(name) for name in games.provider])[game]
    categories = list(profile.CATEGORIES)
    return {
        "game": variants(rng, games.name, blanked(rng, game, 0.005, spared), spared),
        "gameUid": Coded(pa.array([uid or "" for uid in games.uid]), uid),
        "category": variants(rng, categories, blanked(rng, category, 0.015, spared), spared),
        "gameTrackingProvider": Coded(pa.array(makers), blanked(rng, maker, 0.01, spared)),
        "gameTrackingCategory": Coded(pa.array([c.upper() for c in categories]), tracking),
        "from": Coded(pa.array(words.FROM), blanked(rng, source, 0.02, spared)),
        "componentId": Coded(_COMPONENTS, blanked(rng, component, 0.25)),
    }


def choose_games(world: World, day: int, rows: Rows, rng: np.random.Generator) -> Ints:
    """Return each row's game: mostly from a community of the member's, else by popularity."""
    games, people, n = world.games, world.people, len(rows)
    weights = games.on_offer(world.seed, day)
    bounds = np.concatenate(([0.0], np.cumsum(weights)))
    table = people.community_after if day >= profile.SHIFT_DAY else people.community
    second = people.community_2[rows.member]
    community = np.where((second >= 0) & (rng.random(n) < 0.5), second, table[rows.member])
    # Mostly a member returns to one of three favourites in the community.
    favourite = rng.random(n) < profile.FAVOURITES
    rest = (profile.COMMUNITY_LOYALTY - profile.FAVOURITES) / (1 - profile.FAVOURITES)
    loyal = favourite | (rng.random(n) < rest)
    low = np.where(loyal, bounds[games.starts[community]], 0.0)
    high = np.where(loyal, bounds[games.starts[community + 1]], bounds[-1])
    same = unit_of(rows.member * 4 + rng.integers(3, size=n))
    drawn = low + np.where(favourite, same, rng.random(n)) * (high - low)
    game = np.minimum(np.searchsorted(bounds, drawn, side="right") - 1, len(games) - 1)
    return np.where(rows.game >= 0, rows.game, game)


def _api_error(world: World, day: int, rows: Rows, rng: np.random.Generator) -> Columns:
    errors, n, spared = world.errors, len(rows), rows.planted
    stages, stage_of = np.unique(errors.stage, return_inverse=True)
    states, state_of = np.unique(errors.status, return_inverse=True)
    stage = stage_of[rows.error]
    page = (stage * 5 + pick(rng, (0.85, 0.12, 0.03), n)) % len(words.PAGES)
    sends = np.array(
        [
            name.split("/")[1]
            in ("login", "register", "transfer", "deposit", "send", "withdraw", "launch", "bank")
            for name in stages
        ]
    )
    spared = spared | (rows.error == errors.burst)
    messages, message_of = np.unique(errors.message, return_inverse=True)
    return {
        "error": Coded(pa.array(messages), blanked(rng, message_of[rows.error], 0.001, spared)),
        "stage": Coded(pa.array(stages), blanked(rng, stage, 0.003, spared)),
        "page": Coded(pa.array(words.PAGES), blanked(rng, page, 0.05)),
        "method": Coded(
            pa.array(("get", "post")), blanked(rng, sends[stage].astype(np.int64), 0.03)
        ),
        "status": Coded(pa.array(states), blanked(rng, state_of[rows.error], 0.02, spared)),
    }


def _popup(world: World, day: int, rows: Rows, rng: np.random.Generator) -> Columns:
    n = len(rows)
    clicker = (world.people.segment[rows.member] == profile.CLICKER).astype(np.int64)
    clicks = np.array([words.CLICKS, words.CLICKS_OF_CLICKERS])
    kind = pick(rng, words.POPUP_SHARES, n)
    component = (kind * 6 + pick(rng, zipf_shares(6, 1.8), n)) % len(_COMPONENTS)
    shown = np.minimum(rng.gamma(1.2, 2_500.0, n).astype(np.int64), len(NUMERALS) - 1)
    promoted = np.argsort(-world.games.weight)[:_PROMOTED]
    game = promoted[pick(rng, zipf_shares(len(promoted), 1.2), n)]
    recommended = (kind == words.POPUP_TYPES.index("game-recommendation")) | (rng.random(n) < 0.03)
    game = np.where(recommended, game, blanked(rng, np.full(n, -1), 0.2))
    manual = (rng.random(n) < 0.15).astype(np.int64)
    none = np.zeros(n, dtype=np.bool_)
    return {
        "popupType": Coded(pa.array(words.POPUP_TYPES), blanked(rng, kind, 0.005)),
        "clickType": Coded(
            pa.array(words.CLICK_TYPES), blanked(rng, pick_per_row(rng, clicks, clicker), 0.05)
        ),
        "componentId": Coded(_COMPONENTS, blanked(rng, component, 0.01)),
        "displayTime": Coded(NUMERALS, blanked(rng, shown, 0.03)),
        "isManual": Coded(pa.array(("false", "true")), blanked(rng, manual, 0.05)),
        "game": variants(rng, world.games.name, game, none),
    }


def _grid_click(world: World, day: int, rows: Rows, rng: np.random.Generator) -> Columns:
    n = len(rows)
    game = blanked(rng, choose_games(world, day, rows, rng), 0.05)
    component = pick(rng, zipf_shares(12), n)
    return {
        "game": Coded(pa.array(world.games.name), game),
        "componentId": Coded(_COMPONENTS, component),
        "gridRow": Coded(NUMERALS, rng.geometric(0.3, n)),
        "gridColumn": Coded(NUMERALS, rng.integers(0, 4, n)),
    }
