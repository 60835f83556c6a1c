"""Is every number of a text one that it was given? Sentences that have another are taken out.

A text may round what it was given, and part thousands. Dates and ids count as a whole.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

_MONTH_NUMBERS = {
    **{"jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6},
    **{"jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11, "dec": 12},
}
_MONTH = r"(?:jan|feb|mar|apr|may|june?|july?|aug|sept?|oct|nov|dec)[a-z]*\.?"
_NUMBER_WORDS = {
    **{"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9},
    **{"ten": 10, "eleven": 11, "twelve": 12},
    **{"thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16, "seventeen": 17},
    **{"eighteen": 18, "nineteen": 19, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50},
    **{"sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90, "dozen": 12},
}
_SCALES = {
    **{"k": 1e3, "thousand": 1e3, "m": 1e6, "million": 1e6, "bn": 1e9, "billion": 1e9},
    **{"hundred": 1e2},
}
_UNITS = {
    *("km", "mi", "h", "hr", "hrs", "min", "mins", "s", "sec", "ms", "mph", "kmh", "x", "am", "pm"),
    *("st", "nd", "rd", "th", "d", "kg", "mm", "cm", "f", "c"),
}
_TOKEN = re.compile(
    rf"""
    (?P<iso>\b\d{{4}}-\d\d-\d\d(?:[T\ ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?
        (?![\w/]))
  | (?P<day>\b\d{{1,2}})(?:st|nd|rd|th)?\ (?:of\ )?(?P<month>{_MONTH})\b(?:,?\ (?P<year>\d{{4}})\b)?
  | \b(?P<month2>{_MONTH})\ (?P<day2>\d{{1,2}})(?:st|nd|rd|th)?\b(?:,?\ (?P<year2>\d{{4}})\b)?
  | (?P<clock>\b\d{{1,2}}:\d\d(?::\d\d)?\b)
  | (?P<number>(?<![\w.,])[-+\u2212]?
        (?:\d{{1,3}}(?:[,'\u2019_\u00a0\u202f]\d{{3}})+(?!\d)|\d+)(?:\.\d+)?(?:e[+-]?\d+)?)
        (?:\ ?(?P<percent>%|percent\b|per\ cent\b)
          |(?P<glued>[a-z\u00b0]{{1,4}})(?![\w:/-])
          |\ (?P<scale>hundred|thousand|million|billion)\b
          |(?![\w:/]|-\w|\.\d))
  | (?P<id>[\w]+(?:[:/#@.+-]+\w+)*)
    """,
    re.VERBOSE | re.IGNORECASE,
)
_ABOUT = re.compile(
    r"(?:about|around|roughly|approximately|approx\.?|nearly|almost|over|under|some|~|close to|"
    r"(?:more|less|fewer) than|up to|at least)\s*$",
    re.IGNORECASE,
)
_ABOUT_SHARE = 0.05
_ANY_YEAR = "any-"

Kind = Literal["number", "percent", "date", "clock", "id"]


class Token(NamedTuple):
    """Something in a text that stands for a fact: `text` as it stands there."""

    kind: Kind
    text: str
    value: float = 0
    unit: float = 1
    """What the last digit counts."""
    start: int = 0


def tokens(text: str) -> Iterator[Token]:
    """Yield the numbers, dates, times and ids with digits in a text."""
    for match in _TOKEN.finditer(text):
        yield from _read(match)


def _read(match: re.Match[str]) -> Iterator[Token]:
    said, at = match.group(), match.start()
    if iso := match["iso"]:
        yield Token("date", iso[:10], start=at)
        if len(iso) > 10:
            yield Token("clock", iso[11:16], start=at)
    elif match["day"] or match["day2"]:
        month = (match["month"] or match["month2"])[:3].lower()
        day = int(match["day"] or match["day2"])
        year = match["year"] or match["year2"] or _ANY_YEAR
        yield Token("date", f"{year}-{_MONTH_NUMBERS[month]:02}-{day:02}", start=at)
    elif clock := match["clock"]:
        hour, minute = clock.split(":")[:2]
        yield Token("clock", f"{int(hour):02}:{minute}", start=at)
    elif number := match["number"]:
        yield _number(match, number)
    elif said.lower() in _NUMBER_WORDS:
        yield Token("number", said, _NUMBER_WORDS[said.lower()], start=at)
    elif any(letter.isdigit() for letter in said):
        yield Token("id", said.lower(), start=at)


def _number(match: re.Match[str], number: str) -> Token:
    at, glued = match.start(), (match["glued"] or "").lower()
    if glued and glued not in _SCALES and glued.strip("\u00b0") not in _UNITS | {""}:
        return Token("id", match.group().lower(), start=at)
    plain = re.sub(r"[,'\u2019_\u00a0\u202f+]", "", number).replace("\u2212", "-")
    scale = _SCALES.get(glued) or _SCALES.get((match["scale"] or "").lower(), 1.0)
    mantissa, _, exponent = plain.lower().partition("e")
    if len(exponent) > 4 or int(exponent or 0) > 99 or len(plain) > 200:  # No float can tell it.
        return Token("id", match.group().lower(), start=at)
    decimals = len(mantissa.partition(".")[2])
    unit = scale * 10.0 ** (int(exponent or 0) - decimals)
    kind: Kind = "percent" if match["percent"] else "number"
    return Token(kind, match.group(), abs(float(plain)) * scale, unit, at)


@dataclass
class Evidence:
    """What a text may say: what stands in other texts."""

    numbers: list[float] = field(default_factory=list)
    words: set[str] = field(default_factory=set)
    dates: set[str] = field(default_factory=set)
    clocks: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, *texts: str) -> Evidence:
        """Return what stands in texts."""
        found = cls()
        for text in texts:
            found.words |= {word.lower() for word in re.findall(r"[\w:/#@.+-]+", text)}
            for token in tokens(text):
                match token.kind:
                    case "date":
                        found.dates |= {token.text, f"{_ANY_YEAR}{token.text[4:]}"}
                        found.numbers.append(float(token.text[:4].replace(_ANY_YEAR, "0")))
                    case "clock":
                        found.clocks.add(token.text)
                    case "id":
                        found.words.add(token.text)
                    case _:
                        found.numbers.append(token.value)
        found.numbers.sort()
        return found

    def unsupported(self, sentence: str) -> list[str]:
        """Return what a sentence says that stands nowhere."""
        return [token.text for token in tokens(sentence) if not self._supports(token, sentence)]

    def _supports(self, token: Token, sentence: str) -> bool:
        match token.kind:
            case "date":
                return token.text in self.dates
            case "clock":
                return token.text in self.clocks
            case "id":
                word = token.text.strip(".-+")
                # An id may be said without its prefix.
                return any(known == word or known.endswith(f":{word}") for known in self.words)
        slack = token.unit / 2
        if _ABOUT.search(sentence[: token.start]):
            slack = max(slack, _ABOUT_SHARE * token.value)
        if token.kind == "percent":
            return self._has(token.value, slack) or self._has(token.value / 100, slack / 100)
        return self._has(token.value, slack)

    def _has(self, value: float, slack: float) -> bool:
        slack += 1e-9 * max(slack, value)
        at = bisect.bisect_left(self.numbers, value - slack)
        return at < len(self.numbers) and self.numbers[at] <= value + slack


# Two sentences taken for one are checked together; half a sentence could lose its other half.
_SHORT = ("Inc", "Co", "Ltd", "Corp", "No", "vs", "St", r"e\.g", r"i\.e")
_NO_END = "".join(rf"(?<!\b{word}\.)" for word in _SHORT)
_END = re.compile(rf"(?<=[.!?]){_NO_END}[\"')\]]*\s+(?![a-z\s])|\n+")


def split_sentences(text: str) -> tuple[list[str], str]:
    """Return the sentences that a text ends, white space included, and what isn't ended yet."""
    found, begin = [], 0
    for match in _END.finditer(text):
        if match.end() == len(text) and "\n" not in match.group():
            break  # More white space, or a line's end, may follow.
        found.append(text[begin : match.end()])
        begin = match.end()
    return found, text[begin:]
