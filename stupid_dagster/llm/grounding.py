"""Is every number of a text one that it was given? Sentences that have another are taken out.

A text may round what it was given, and part thousands. Dates and ids count as a whole.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from stupid_dagster.llm import numbers

_MONTH_NUMBERS = {
    **{"jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6},
    **{"jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11, "dec": 12},
}
_MONTH = r"(?:jan|feb|mar|apr|may|june?|july?|aug|sept?|oct|nov|dec)[a-z]*\.?"
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
        {numbers.DIGITS}(?:e[+-]?\d+)?)
        (?:\ ?(?P<percent>{numbers.PERCENT})
          |(?P<glued>[a-z\u00b0]{{1,4}})(?![\w:/-])
          |\ (?P<scale>hundred|thousand|million|billion)\b
          |(?![\w:/]|-\w|\.\d))
  | (?P<id>[\w]+(?:[:/#@.+-]+\w+)*)
    """,
    re.VERBOSE | re.IGNORECASE,
)
_ABOUT = re.compile(
    r"(?:(?P<least>over|more than|at least)|"
    r"(?P<most>nearly|almost|under|(?:less|fewer) than|up to)|"
    r"about|around|roughly|approximately|approx\.?|some|~|close to)\s*$",
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
    end: int = 0


def tokens(text: str) -> Iterator[Token]:
    """Yield the numbers, dates, times and ids with digits in a text."""
    for match in _TOKEN.finditer(text):
        for token in _read(match):
            yield token._replace(start=match.start(), end=match.end())


def _read(match: re.Match[str]) -> Iterator[Token]:
    said = match.group()
    if iso := match["iso"]:
        yield Token("date", iso[:10])
        if len(iso) > 10:
            yield Token("clock", iso[11:16])
    elif match["day"] or match["day2"]:
        month = (match["month"] or match["month2"])[:3].lower()
        day = int(match["day"] or match["day2"])
        year = match["year"] or match["year2"] or _ANY_YEAR
        yield Token("date", f"{year}-{_MONTH_NUMBERS[month]:02}-{day:02}")
    elif clock := match["clock"]:
        hour, minute = clock.split(":")[:2]
        yield Token("clock", f"{int(hour):02}:{minute}")
    elif number := match["number"]:
        yield _number(match, number)
    elif (value := numbers.value_of(said)) is not None:
        yield Token("number", said, value)
    elif any(letter.isdigit() for letter in said):
        yield Token("id", said.lower())


def _number(match: re.Match[str], number: str) -> Token:
    glued = (match["glued"] or "").lower()
    if glued and glued not in _SCALES and glued.strip("\u00b0") not in _UNITS | {""}:
        return Token("id", match.group().lower())
    plain = numbers.digits_of(number)
    scale = _SCALES.get(glued) or _SCALES.get((match["scale"] or "").lower(), 1.0)
    mantissa, _, exponent = plain.lower().partition("e")
    if len(exponent) > 4 or int(exponent or 0) > 99 or len(plain) > 200:  # No float can tell it.
        return Token("id", match.group().lower())
    decimals = len(mantissa.partition(".")[2])
    unit = scale * 10.0 ** (int(exponent or 0) - decimals)
    kind: Kind = "percent" if match["percent"] else "number"
    return Token(kind, match.group(), abs(float(plain)) * scale, unit)


@dataclass
class Evidence:
    """What a text may say: what stands in other texts.

    `strict` evidence tells percentages from numbers; else 0.4 may be said as 40 %, and 40 % as 40.
    """

    strict: bool = False
    numbers: list[float] = field(default_factory=list)
    percentages: list[float] = field(default_factory=list)
    words: set[str] = field(default_factory=set)
    dates: set[str] = field(default_factory=set)
    clocks: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, *texts: str, strict: bool = False) -> Evidence:
        """Return what stands in texts."""
        found = cls(strict)
        for text in texts:
            found.words |= {word.lower() for word in re.findall(r"[\w:/#@.+-]+", text)}
            for token in tokens(text):
                match token.kind:
                    case "date":
                        found.dates |= {token.text, f"{_ANY_YEAR}{token.text[4:]}"}
                        if not token.text.startswith(_ANY_YEAR):
                            found.numbers.append(float(token.text[:4]))
                    case "clock":
                        found.clocks.add(token.text)
                    case "id":
                        found.words.add(token.text)
                    case "percent" if strict:
                        found.percentages.append(token.value)
                    case _:
                        found.numbers.append(token.value)
        found.numbers.sort()
        found.percentages.sort()
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
        below = above = token.unit / 2
        if about := _ABOUT.search(sentence[: token.start]):
            much = max(below, _ABOUT_SHARE * token.value)
            # "More than 50" holds of 52, not of 48.
            below, above = 0 if about["least"] else much, 0 if about["most"] else much
        low, high = token.value - below, token.value + above
        if token.kind == "number":
            return _has(self.numbers, low, high)
        if self.strict:
            return _has(self.percentages, low, high)
        return _has(self.numbers, low, high) or _has(self.numbers, low / 100, high / 100)


def _has(numbers: list[float], low: float, high: float) -> bool:
    slack = 1e-9 * max(high - low, high)
    at = bisect.bisect_left(numbers, low - slack)
    return at < len(numbers) and numbers[at] <= high + slack


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
