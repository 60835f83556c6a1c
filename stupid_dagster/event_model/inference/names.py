"""Names: split into words, read for generic cues, and made into identifiers.

The cues are words that any domain uses (id, name, user, session, ...); no domain's own.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence
from functools import lru_cache

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z]+")


def _cues(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


KEY = _cues("id ids uid uuid guid code key no nr num number ref sku hash")
TITLE = _cues("name title label text desc description")
PERSON = _cues(
    "member user customer client account player visitor subscriber employee patient person driver "
    "rider passenger buyer seller owner actor login email mail sender author username "
    "userid uid"
)
PASSING = _cues(
    "session request trace span correlation transaction event message log record row line token "
    "nonce sequence seq offset"
)
"""Words of things that come and go with an event or a visit."""
DEVICE = _cues("fingerprint device browser cookie ip host hostname address agent machine mac imei")
TROUBLE = _cues("error message exception reason fault failure warning alert cause")
CODED = _cues(
    "status type kind class category version phone mobile zip postcode postal msisdn card iban "
    "isbn account port"
)
"""Words of columns whose digits are no amounts."""
OUTCOME = _cues("success result outcome status verdict action click method error")
MANNER = _cues("type kind state category mode event stage")
"""Words of columns that part events into kinds, less surely than outcomes do."""
EVENT_TYPE = _cues("event type name kind action")
"""All words of a column that names event types are among these."""
ORDERED = _cues("tier level grade rank group class stage degree priority severity")
BOOLEAN = _cues("is has can was did should flag enabled active success test valid")
AMOUNT = _cues(
    "amount price cost total sum count duration elapsed latency ms seconds minutes hours bytes "
    "size length distance delay score rate quantity qty balance weight speed"
)
TIME = _cues("timestamp time datetime date ts at when occurred created logged event")
OTHER_TIME = _cues(
    "expiry expires expire expiration birth birthday birthdate born updated modified last "
    "registered registration joined due deadline end finish until since"
)


@lru_cache(maxsize=4096)
def words(name: str) -> tuple[str, ...]:
    """Return the lower-case words of a name, parted at case changes, digits and punctuation."""
    return tuple(word.lower() for word in _WORD.findall(name))


def has(name: str, cues: Collection[str]) -> bool:
    """Return whether one of the name's words is a cue."""
    return any(word in cues for word in words(name))


def folded(name: str) -> str:
    """Return what is left of a name without case and punctuation; the name if nothing is."""
    return "".join(c for c in name.casefold() if c.isalnum()) or name


@lru_cache(maxsize=4096)
def stem(name: str) -> tuple[str, ...]:
    """Return the words that say what a column is about: `itemId`, `item_name` -> (item,)."""
    found = words(name)
    about = list(found)
    while about and about[-1] in KEY | TITLE:
        about.pop()
    while about and about[0] in KEY:
        about.pop(0)
    return tuple(about or found)


def is_key(name: str) -> bool:
    """Return whether the name ends (or begins) like that of an identifier."""
    found = words(name)
    return bool(found) and (
        found[-1] in KEY
        or found[0] in KEY - {"no", "key", "number"}
        or found[-1].endswith(("uuid", "guid", "code", "num"))
    )


def is_person(name: str) -> bool:
    """Return whether the name is that of somebody who acts: `userCode`, but not `userAgent`."""
    about = stem(name)
    return bool(about) and about[-1] in PERSON


def is_title(name: str) -> bool:
    """Return whether the name is that of a name: `origin_name`."""
    found = words(name)
    return len(found) > 1 and found[-1] in TITLE


def ascii_words(name: str) -> tuple[str, ...]:
    """Return the name's words in ASCII letters and digits; what has no such form is left out."""
    flat = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return words(flat)


def camel(parts: Sequence[str], fallback: str) -> str:
    """Return words as one CamelCase identifier of ASCII letters and digits."""
    joined = "".join(word.capitalize() for part in parts for word in ascii_words(part))
    return _lettered(joined, fallback)


def snake(parts: Sequence[str], fallback: str) -> str:
    """Return words as one snake_case identifier of ASCII letters and digits."""
    return _lettered("_".join(word for part in parts for word in ascii_words(part)), fallback)


def _lettered(identifier: str, fallback: str) -> str:
    start = re.search(r"[A-Za-z]", identifier)
    # A name must stay readable; 60 characters are more than any real one has.
    return identifier[start.start() :][:60].rstrip("_") if start else fallback


def unused(name: str, taken: Collection[str]) -> str:
    """Return the name, with the first number behind it that makes it new."""
    if name not in taken:
        return name
    number = 2
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"
