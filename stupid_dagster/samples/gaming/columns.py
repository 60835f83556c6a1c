"""The columns of each event type, and what fills those that mean little."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from stupid_dagster.samples.gaming import profile
from stupid_dagster.samples.gaming.randomness import Bools, Ints, hex_strings, pick, zipf_shares

TIMESTAMP = "@timestamp"
AFFILIATES = ("affiliateId", "affiliateid", "affiliateID")
_MEMBER = ("memberCode", "platform", "currency", "rGroup")
_CLIENT = ("fingerprint", "ipAddress", "device", "os", "deviceModel", "isTestAccount")
_TRACE = ("sessionId", "userAgent", "language", "country")
# The columns with a meaning; `events.py` fills them.
MEANINGFUL = {
    "Login": (TIMESTAMP, *_MEMBER, "success", "method", *_CLIENT, *AFFILIATES, *_TRACE),
    "GameOpened": (
        *(TIMESTAMP, *_MEMBER, "game", "gameUid", "category", "gameTrackingProvider"),
        *("gameTrackingCategory", "from", "componentId", *_CLIENT, *AFFILIATES, *_TRACE),
    ),
    "API Error": (
        *(TIMESTAMP, *_MEMBER, "error", "stage", "page", "method", "status"),
        *(*_CLIENT, *AFFILIATES, *_TRACE),
    ),
    "PopupModule": (
        *(TIMESTAMP, *_MEMBER, "popupType", "clickType", "componentId", "displayTime"),
        *("isManual", "game", "fingerprint", "device", "os", "isTestAccount", "affiliateId"),
        *_TRACE,
    ),
    "GridClick": (
        *(TIMESTAMP, *_MEMBER, "game", "componentId", "gridRow", "gridColumn"),
        *("fingerprint", "device", "isTestAccount", *_TRACE),
    ),
}
_CHOICES = {
    "env": ("production",),
    "brand": ("b9",),
    "schemaVersion": ("3",),
    "logLevel": ("info", "error"),
    "site": ("main", "mirror-1", "mirror-2", "mirror-3"),
    "appVersion": ("5.41.2", "5.41.1", "5.40.0", "5.38.6"),
    "hostname": ("www.play.example", "m.play.example", "w2.play.example", "w7.play.example"),
    "timezone": ("Asia/Ho_Chi_Minh", "Asia/Bangkok", "Asia/Jakarta", "Asia/Manila"),
    "browser": ("Chrome Mobile", "Mobile Safari", "Chrome", "Samsung Browser", "Edge", "Firefox"),
    "browserVersion": tuple(str(v) for v in range(133, 93, -1)),
    "screen": ("360x800", "390x844", "412x915", "1920x1080", "414x896", "1366x768", "393x852"),
    "pixelRatio": ("3", "2", "2.625", "1", "2.75", "1.5"),
    "networkType": ("4g", "wifi", "3g", "5g", "slow-2g"),
    "abTestGroup": ("control", "a", "b"),
    "theme": ("dark", "light"),
    "orientation": ("portrait-primary", "landscape-primary"),
    "pod": tuple(f"web-6c9f{n:x}" for n in range(40, 64)),
    "region": ("ap-southeast-1", "ap-east-1"),
    "cookieEnabled": ("true", "false"),
    "touchSupport": ("true", "false"),
    "hardwareConcurrency": ("8", "4", "6", "2", "12"),
    "deviceMemory": ("4", "8", "2", "undefined"),
}
_NUMBERS = {"rtt": 160, "duration": 420, "scrollDepth": 40, "sequence": 30, "pageLoadTime": 900}
_IDS = {"requestId": 32}
_EMPTY = ("legacyUserId", "gclid", "fbclid", "deprecatedFlag", "oldSessionId", "region2")
_PARTS = ("response", "config", "params", "payload", "headers", "meta", "context", "extra")
_NAMES = (
    *("code", "message", "type", "url", "timeout", "attempt", "version", "source", "label"),
    *("value", "flag", "reason", "target", "channel", "ref", "state"),
)
_SPARSE = tuple(f"{part}.{name}" for name in _NAMES for part in _PARTS)
_VALUES = ("0", "1", "true", "false", "ok", "default", "N/A", "[object Object]", "2", "10", "{}")
# Each day has some of these, another day others.
_OPTIONAL = tuple(f"experiment.{name}" for name in ("a1", "b7", "c2", "d4", "e9", "f3", "g8", "h5"))
_OPTIONAL_A_DAY = 4
_NGINX = (
    "<html>\r\n<head><title>{0}</title></head>\r\n<body>\r\n<center><h1>{0}</h1></center>\r\n"
    "<hr><center>{1}</center>\r\n</body>\r\n</html>\r\n"
)
_CLOUDFLARE = (
    '<!DOCTYPE html>\n<!--[if lt IE 7]> <html class="no-js ie6 oldie" lang="en-US"> <![endif]-->\n'
    '<head><title>{0}</title>\n<meta charset="UTF-8" />\n<meta name="robots" '
    'content="noindex, nofollow" />\n</head>\n<body><div id="cf-wrapper"><div class="cf-alert">'
    "Please enable cookies.</div><h1>{0}</h1><p>You are unable to access <span>play.example</span>"
    "</p>"
    + "<p>Why have I been blocked? This website uses a security service.</p>" * 12
    + "</div></body></html>"
)
JUNK = (
    *(_NGINX.format(title, "nginx") for title in ("502 Bad Gateway", "504 Gateway Time-out")),
    *(_NGINX.format(title, "openresty") for title in ("503 Service Temporarily Unavailable",)),
    *(_NGINX.format(title, "nginx/1.18.0") for title in ("413 Request Entity Too Large",)),
    *(_CLOUDFLARE.format(title) for title in ("Attention Required!", "Access denied", "522")),
    "<html><body><script>document.cookie='guard=1';location.reload()</script></body></html>",
    '{"status":false,"data":{"list":[],"message":"' + "maintenance " * 12 + '"}}',
)
_MOST_IN_DICTIONARY = 60_000
_SMALL = np.int16  # API Error has a hundred columns in memory at a time
_EMPTIES_OF_ERRORS = tuple(f"stack.frame{n}" for n in range(12))


@dataclass(frozen=True)
class Coded:
    """A column: values, and the position of each row's value in them.

    A code below 0 is a spelling of nothing, see `profile.NULLS`. Values from position `plain` on
    differ from earlier ones in case only.
    """

    values: pa.Array
    codes: Ints
    plain: int | None = None

    def arrow(self, rows: Ints) -> pa.Array:
        """Return the column for the given rows as strings (in dictionary form where few)."""
        codes = self.codes[rows]
        # Only the values that occur, then the spellings of nothing.
        used = np.zeros(len(self.values), dtype=np.bool_)
        used[codes[codes >= 0]] = True
        values = self.values.cast(pa.large_string()).filter(pa.array(used))
        count, spellings = len(values), profile.NULLS[1:]
        places = np.concatenate(
            (np.cumsum(used) - 1, count + np.arange(len(spellings))[::-1], [-1])
        )
        values = pa.concat_arrays([values, pa.array(spellings, pa.large_string())])
        codes = places[codes]  # codes below 0 count from the end
        missing = codes < 0
        if count > _MOST_IN_DICTIONARY:
            return values.take(pa.array(codes, mask=missing))
        # A value that equals a spelling of nothing must not be in the dictionary twice: the
        # writer of Parquet files relies on it.
        unique = values.dictionary_encode()
        codes = unique.indices.to_numpy()[codes].astype(np.int32)
        return pa.DictionaryArray.from_arrays(pa.array(codes, mask=missing), unique.dictionary)


def columns_of(event_type: str, rng: np.random.Generator) -> tuple[list[str], list[str]]:
    """Return the names of a day's columns: those with a meaning, and the others."""
    known = list(MEANINGFUL[event_type])
    fillers = [*_IDS, *_NUMBERS, *_CHOICES, *_EMPTY]
    if event_type == "API Error":
        fillers = [*_IDS, "duration", "rtt", *list(_CHOICES)[:9], *JUNK, *_EMPTIES_OF_ERRORS]
    room = profile.COLUMN_COUNTS[event_type] - len(known) - _OPTIONAL_A_DAY
    optional = sorted(rng.choice(len(_OPTIONAL), _OPTIONAL_A_DAY, replace=False))
    fillers = [*fillers, *_SPARSE][:room]
    return known, [*fillers, *(_OPTIONAL[position] for position in optional)]


def filler(name: str, rng: np.random.Generator, n: int) -> Coded | None:
    """Return a column without meaning for n rows; None for one without any value."""
    if name in _EMPTY or name in _EMPTIES_OF_ERRORS:
        return None
    if name in _IDS:
        return Coded(hex_strings(rng, n, _IDS[name]), np.arange(n))
    if name in _NUMBERS:
        drawn = rng.gamma(1.5, _NUMBERS[name] / 1.5, n).astype(np.int64)
        codes = np.minimum(drawn, len(NUMERALS) - 1).astype(_SMALL)
        return Coded(NUMERALS, blanked(rng, codes, 0.02))
    if name in _CHOICES:
        values = _CHOICES[name]
        codes = pick(rng, zipf_shares(len(values), 1.2), n).astype(_SMALL)
        return Coded(pa.array(values), blanked(rng, codes, 0.01 if len(values) > 1 else 0.0))
    return _sparse(name, rng, n)


def _sparse(name: str, rng: np.random.Generator, n: int) -> Coded:
    """A few values, and nothing in most rows, spelled in one of two ways."""
    place = _SPARSE.index(name) if name in _SPARSE else 40
    share = 0.0004 if name in JUNK else max(0.25 * 0.93**place, 0.0005)
    count = int(rng.binomial(n, share))
    # Some senders write "undefined" where others leave the field out.
    codes = np.full(n, -4 if place % 11 == 5 else -1, dtype=_SMALL)
    width = 1 if name in JUNK else 2 + place % (len(_VALUES) - 2)
    codes[rng.integers(n, size=count)] = rng.integers(width, size=count)
    return Coded(pa.array([""] if name in JUNK else list(_VALUES[:width])), codes)


def blanked(
    rng: np.random.Generator, codes: Ints, share: float, spared: Bools | None = None
) -> Ints:
    """Return the codes with a share of them replaced by a spelling of nothing."""
    count = int(rng.binomial(len(codes), share))
    if not count:
        return codes
    where = rng.integers(len(codes), size=count)
    if spared is not None:
        where = where[~spared[where]]
    codes = codes.copy()
    codes[where] = -1 - pick(rng, profile.NULL_SHARES, len(where))
    return codes


def variants(rng: np.random.Generator, values: Sequence[str], codes: Ints, spared: Bools) -> Coded:
    """Return a column some of whose values differ from others in case only."""
    other = [value.upper() if i % 3 else value.title() for i, value in enumerate(values)]
    other = [b if b != a else a.lower() for a, b in zip(values, other, strict=True)]
    changed = (rng.random(len(codes)) < profile.CASE_VARIANTS) & ~spared & (codes >= 0)
    codes = np.where(changed, codes + len(values), codes)
    return Coded(pa.array([*values, *other]), codes, len(values))


NUMERALS = pa.array([str(n) for n in range(12_000)])
