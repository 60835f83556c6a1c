"""How numbers are written: in digits and in words. Whoever checks a text reads them with this."""

from __future__ import annotations

import re

_WORDS = {
    "zero": 0,
    **{"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9},
    **{"ten": 10, "eleven": 11, "twelve": 12},
    **{"thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16, "seventeen": 17},
    **{"eighteen": 18, "nineteen": 19, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50},
    **{"sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90, "dozen": 12},
}
_VAGUE = re.compile(
    r"(?:hundred|thousand|[mb]illion|dozen|third)s?|half|halves|halved?|twice|thrice|double|triple|"
    r"quarter|tenth|fifth|(?:two|three|ten)fold",
    re.IGNORECASE,
)
SEPARATORS = ",'\u2019_\u00a0\u202f"
"""What stands between thousands."""
DIGITS = rf"(?:\d{{1,3}}(?:[{SEPARATORS}]\d{{3}})+(?!\d)|\d+)(?:\.\d+)?"
"""A number without its sign: the source of a regular expression."""
PERCENT = r"(?:%|percent\b|per\ cent\b)"
"""What makes a number a percentage, white space before it left out."""
_PERCENT = re.compile(rf"(?<=\d)\s*{PERCENT}", re.IGNORECASE)
_SHOWN = re.compile(rf"([-\u2212]?)({DIGITS})(%?)")


def is_number_word(word: str) -> bool:
    """Return whether a word tells a number, or a part or multiple: "twelve", "half", "twice"."""
    return word.lower() in _WORDS or _VAGUE.fullmatch(word) is not None


def value_of(word: str) -> int | None:
    """Return the number that a word stands for, if it is a certain one."""
    return _WORDS.get(word.lower())


def digits_of(said: str) -> str:
    """Return a number in digits without what parts its thousands; a minus is a hyphen."""
    return re.sub(f"[{SEPARATORS}+]", "", said).replace("\u2212", "-")


def with_percent_signs(text: str) -> str:
    """Return a text in which percentages are written in one way: "61 per cent" is "61%"."""
    return _PERCENT.sub("%", text)


def shown(said: str) -> str | None:
    """Return a number as it is shown, thousands not parted: "1,205" is "1205"; None if it is none.

    Percentages keep their sign.
    """
    return digits_of(said) if _SHOWN.fullmatch(said) else None
