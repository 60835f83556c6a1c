"""What a day of the gaming log looks like: volumes, segments, dirt shares, planted structure."""

from __future__ import annotations

from dataclasses import dataclass

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
MINUTE_MS = 60_000

# Rows on an average day of `FULL_DAY` events; GridClick comes on top of it.
FULL_DAY = 958_000
VOLUMES = {
    "Login": 57_000,
    "GameOpened": 308_000,
    "API Error": 421_000,
    "PopupModule": 172_000,
    "GridClick": 2_000,
}
POPUP_NEW_SPELLING = "PopUpModule"
POPUP_NEW_SHARE = 0.06
COLUMN_COUNTS = {
    "Login": 72,
    "GameOpened": 80,
    "API Error": 155,
    "PopupModule": 60,
    "GridClick": 48,
}
WEEKDAYS = (0.97, 0.96, 0.97, 0.98, 1.01, 1.06, 1.05)  # Monday first; their mean is 1
VOLUME_NOISE = 0.012

# Sizes at FULL_DAY.
REGULARS = 21_000
OCCASIONALS = 760_000
GAMES, AFFILIATES = 1_200, 520
CORE_GAMES = 0.32  # share of the games that are on offer every day
TAIL_ON_OFFER = 0.16  # chance of any other game to be on offer on a day

CURRENCIES = ("VND", "THB", "IDR")
CURRENCY_SHARES = (0.58, 0.28, 0.14)
VIP_GROUPS = ("VIPB", "VIPS", "VIPG", "VIPP", "VIPA", "VIPC")  # lowest first
KINDS = ("android", "ios", "desktop")
PLATFORMS = {
    "web-android": "android",
    "android": "android",
    "pwa-android": "android",
    "web-ios": "ios",
    "ios": "ios",
    "pwa-ios": "ios",
    "web-windows": "desktop",
    "web-mac": "desktop",
}
CATEGORIES = ("slots", "live-casino", "sports", "fishing", "table-games", "lottery")
GAME_SHARES = (0.58, 0.14, 0.06, 0.08, 0.08, 0.06)
# One community of games each, by its main category.
COMMUNITIES = (
    *("slots", "slots", "slots", "slots", "slots", "live-casino", "live-casino", "live-casino"),
    *("sports", "fishing", "table-games", "lottery"),
)
COMMUNITY_PURITY = 0.88  # share of a community's games that are of its main category
COMMUNITY_LOYALTY = 0.80  # share of a member's games picked from the member's own communities
FAVOURITES = 0.6  # share of a member's games that are one of three favourites


@dataclass(frozen=True)
class Segment:
    """How members of one segment behave; rates are relative to each other, per active day."""

    name: str
    description: str
    share: float  # of all members
    regular: float  # of its members, those who come nearly every day
    login: float
    game: float
    error: float
    popup: float
    sessions: float  # expected sessions a day beyond the first
    minutes: float  # mean length of a session
    peak: float  # hour (UTC) with most sessions
    spread: float  # hours; standard deviation around the peak
    vip: tuple[float, ...]
    kinds: tuple[float, ...]  # android, ios, desktop
    app: float  # share of members with an installed app
    categories: tuple[float, ...]
    weekend: float = 1.0  # factor of activity on Saturday and Sunday


SEGMENTS = (
    Segment(
        "high_roller",
        "VIPP and above, every day, many sessions, live casino and slots, few errors",
        *(0.03, 0.45, 3.0, 5.0, 0.8, 0.8, 3.0, 70.0, 13.0, 4.5),
        vip=(0.0, 0.02, 0.08, 0.4, 0.3, 0.2),
        kinds=(0.25, 0.3, 0.45),
        app=0.3,
        categories=(0.35, 0.5, 0.05, 0.0, 0.1, 0.0),
    ),
    Segment(
        "casual_slots",
        "one short evening session with slots on a phone's browser",
        *(0.41, 0.015, 0.8, 0.8, 0.7, 0.7, 0.25, 22.0, 13.5, 3.5),
        vip=(0.68, 0.24, 0.06, 0.02, 0.0, 0.0),
        kinds=(0.68, 0.24, 0.08),
        app=0.15,
        categories=(0.9, 0.01, 0.0, 0.05, 0.02, 0.02),
    ),
    Segment(
        "live_casino_fan",
        "long sessions at few live tables, middle VIP groups",
        *(0.14, 0.03, 1.2, 1.6, 1.0, 0.6, 0.8, 80.0, 14.5, 3.0),
        vip=(0.2, 0.35, 0.3, 0.12, 0.03, 0.0),
        kinds=(0.45, 0.35, 0.2),
        app=0.3,
        categories=(0.03, 0.9, 0.01, 0.0, 0.06, 0.0),
    ),
    Segment(
        "sports_fan",
        "sports before the evening matches, twice as active on weekends, often on a desktop",
        *(0.12, 0.03, 1.5, 0.7, 0.9, 0.5, 1.2, 30.0, 11.0, 2.5),
        vip=(0.45, 0.35, 0.15, 0.05, 0.0, 0.0),
        kinds=(0.35, 0.2, 0.45),
        app=0.25,
        categories=(0.02, 0.03, 0.9, 0.0, 0.0, 0.05),
        weekend=2.0,
    ),
    Segment(
        "night_mobile",
        "installed app after local midnight; slots at first, live casino after the shift",
        *(0.10, 0.035, 1.0, 1.5, 0.8, 0.4, 0.5, 45.0, 18.5, 1.6),
        vip=(0.4, 0.4, 0.18, 0.02, 0.0, 0.0),
        kinds=(0.62, 0.38, 0.0),
        app=0.95,
        categories=(0.95, 0.0, 0.0, 0.05, 0.0, 0.0),
    ),
    Segment(
        "popup_clicker",
        "lives in the promotions: many popups, most of them clicked, few games",
        *(0.08, 0.03, 1.2, 0.25, 0.8, 5.0, 1.0, 18.0, 10.0, 5.0),
        vip=(0.75, 0.2, 0.05, 0.0, 0.0, 0.0),
        kinds=(0.7, 0.22, 0.08),
        app=0.2,
        categories=(0.5, 0.05, 0.0, 0.2, 0.1, 0.15),
    ),
    Segment(
        "error_newcomer",
        "joined lately, failing logins, many errors of onboarding and deposits, hardly a game",
        *(0.12, 0.01, 1.5, 0.12, 4.0, 0.5, 0.3, 14.0, 12.5, 5.0),
        vip=(0.97, 0.03, 0.0, 0.0, 0.0, 0.0),
        kinds=(0.78, 0.17, 0.05),
        app=0.1,
        categories=(0.6, 0.15, 0.05, 0.1, 0.05, 0.05),
    ),
)
SEGMENT_NAMES = tuple(segment.name for segment in SEGMENTS)
NEWCOMER = SEGMENT_NAMES.index("error_newcomer")
CLICKER = SEGMENT_NAMES.index("popup_clicker")
SHIFTING = SEGMENT_NAMES.index("night_mobile")
ROLLER = SEGMENT_NAMES.index("high_roller")
BOT = len(SEGMENTS)  # the segment number of bots
BOT_DESCRIPTION = "planted bots: the same texts in fixed intervals, one to three games"

# Planted structure: days are counted from the first one, which is 0.
BURST_DAY, BURST_HOUR, BURST_FACTOR = 2, 13, 8
SHIFT_DAY = 4
CHURN_FIRST_DAY, CHURN_DAYS, CHURN_QUIET_HOURS = 1, 26, 48
CHURNERS_A_DAY = 40  # at FULL_DAY
BOT_GROUPS = (40, 30, 25, 20)  # members at FULL_DAY
BOT_ROWS = 0.05  # of GameOpened, at most
SHARED_ACCOUNTS, SHARED_DEVICES = 30, 20  # at FULL_DAY
DEGREES = (12, 48)  # devices of a shared account, accounts of a shared device
TEST_ACCOUNTS = 0.004

# Dirt, as shares of a file's rows.
DUPLICATES = 0.004
PREVIOUS_DAY = 0.005
NEXT_DAY = 0.0005
MISSING_TIMESTAMP = 0.0001
GARBLED_TIMESTAMP = 0.0001
CASE_VARIANTS = 0.01
NO_MEMBER = {
    "Login": 0.004,
    "GameOpened": 0.002,
    "API Error": 0.35,
    "PopupModule": 0.03,
    "GridClick": 0.01,
}
NO_FINGERPRINT = {
    "Login": 0.03,
    "GameOpened": 0.12,
    "API Error": 0.7,
    "PopupModule": 0.6,
    "GridClick": 0.5,
}
PRIVATE = 0.22  # share of members without any fingerprint
NO_GAME_UID = 0.01
GAMES_WITHOUT_UID = 0.04

# A code below 0 is one of these ways to say nothing: -1 is a real null, -2 "None" and so on.
NULLS = (None, "None", "null", "undefined", "", " ")
NULL_SHARES = (0.6, 0.13, 0.09, 0.1, 0.06, 0.02)
TRUE_SPELLINGS = ("true", "True", "TRUE", "1", "yes", "Yes")
FALSE_SPELLINGS = ("false", "False", "0", "no")
GARBLED = ("Invalid Date", "NaN", "2025-13-45T99:61:00.000Z", "-", "[object Object]", "T::.Z")
