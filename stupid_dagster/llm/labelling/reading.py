"""What a text says, read against a profile: its names, numbers and other words.

A number is known by the places of the profile that are shown like it, so that words can be kept
while their numbers change.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

from stupid_dagster.compute import words
from stupid_dagster.compute.profiles.traits import Profile

_NUMBER = re.compile(r"-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?%?")
_PERCENT = re.compile(r"(?<=\d)\s*(?:%|per ?cent\b)", re.IGNORECASE)
_SLOT = re.compile(r"\u27e6(.+?)\u27e7")
_REST = (
    r"(?P<number>[^\W\d_]*\d[\w.,%/+\-]*)|(?P<word>[^\W\d_]+(?:['\u2019][^\W\d_]+)?)|(?P<other>.)"
)
_LONGEST_SHORTENED = 5
NUMBER_WORD = re.compile(
    "two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|(?:thir|four|fif|six|seven|eigh|nine)"
    "teen|(?:twen|thir|for|fif|six|seven|eigh|nine)ty|(?:hundred|thousand|[mb]illion|dozen|third)s?|"
    "half|halves|halve|twice|thrice|double|triple|quarter|tenth|fifth|(?:two|three|ten)fold",
    re.IGNORECASE,
)

Kind = Literal["name", "number", "word", "other"]


class Token(NamedTuple):
    """A part of a text; of a number, `text` is how a profile would show it."""

    kind: Kind
    text: str
    start: int
    end: int


@dataclass(frozen=True)
class Reading:
    """What texts about a profile may hold: its `names`, and its numbers as they are shown."""

    profile: Profile

    @cached_property
    def names(self) -> list[str]:
        """Names and values from the data, longest first, each as a whole."""
        p = self.profile
        found = [e.name for e in p.entities] + [m.name for m in p.key_members]
        found += [trait.value for trait in p.properties] + [step.value for step in p.steps]
        for feature in p.features:
            found += [*feature.values, "-".join(feature.values)]
        return sorted({name for name in found if name}, key=lambda name: (-len(name), name))

    @cached_property
    def numbers(self) -> Mapping[str, list[str]]:
        """Numbers as they are shown, without commas, and the places where they stand."""
        found: dict[str, list[str]] = {}
        for place, shown in _shown(self.profile):
            found.setdefault(shown.replace(",", ""), []).append(place)
        for step in self.profile.steps:
            rest = step.text.replace(step.value, "") if step.value else step.text
            for number in _NUMBER.findall(rest):
                found.setdefault(number, []).append("steps")
        return found

    @cached_property
    def _token(self) -> re.Pattern[str]:
        shortened = [short for name in self.names for short in _shortened(name)]
        alternatives = "|".join(re.escape(name) for name in [*self.names, *shortened])
        named = rf"(?P<name>(?<!\w)(?:{alternatives})(?!\w))|" if alternatives else ""
        return re.compile(f"{named}{_REST}", re.IGNORECASE | re.DOTALL)

    def tokens(self, text: str) -> Iterator[Token]:
        """Yield names, numbers, words and other characters, white space left out."""
        text = _PERCENT.sub("%", text)
        for match in self._token.finditer(text):
            kind: Any = match.lastgroup
            said = match.group()
            start, end = match.span()
            if kind == "number":
                said, kind = said.rstrip(".,-+/"), "number"
                end = start + len(said)
            elif kind == "word" and NUMBER_WORD.fullmatch(said):
                kind = "number"
            if not said.isspace():
                yield Token(kind, said, start, end)

    def has_number(self, said: str) -> bool:
        """Return whether a number, as it stands in a text, is one of the profile's."""
        if said.lower() == "twice":
            return any(one == next for one, next in itertools.pairwise(self.profile.steps))
        return bool(_NUMBER.fullmatch(said)) and said.replace(",", "") in self.numbers

    def bound(self, text: str) -> str:
        """Return the text with each number that stands at one place alone replaced by its place."""
        text = _PERCENT.sub("%", text)
        parts, at = [], 0
        for token in self.tokens(text):
            places = self.numbers.get(token.text.replace(",", ""), [])
            if token.kind == "number" and len(set(places)) == 1 and places[0] != "steps":
                parts += [text[at : token.start], f"\u27e6{places[0]}\u27e7"]
                at = token.end
        return "".join([*parts, text[at:]])

    def filled(self, template: str) -> str | None:
        """Return a bound text with this profile's numbers; None where it lacks a place."""
        places = dict(_shown(self.profile))
        wanted = _SLOT.findall(template)
        if not all(place in places for place in wanted):
            return None
        return _SLOT.sub(lambda match: places[match[1]], template)


def _shown(profile: Profile) -> Iterator[tuple[str, str]]:
    """Yield the place and the shown form of each number that is told of a profile."""
    yield "size", words.number(profile.size)
    yield "share", words.percent(profile.share)
    if profile.days:
        yield "days", words.number(profile.days)
    for f in profile.features:
        form = words.percent if f.share else words.number
        yield f"{f.name}.mean", form(f.mean)
        yield f"{f.name}.all", form(f.overall)
    for e in profile.entities:
        place = f"{e.relation}{'<' if e.incoming else '>'}{e.entity_id}"
        yield f"{place}.share", words.percent(e.share)
        yield f"{place}.all", words.percent(e.overall)
    for p in profile.properties:
        yield f"{p.type}.{p.property}={p.value}.share", words.percent(p.share)
        yield f"{p.type}.{p.property}={p.value}.all", words.percent(p.overall)
    for t in profile.types:
        yield f"{t.type}.members", words.number(t.members)
        yield f"{t.type}.share", words.percent(t.share)
    for figure in profile.figures:
        form = words.percent if figure.share else words.number
        yield figure.name, form(figure.value)


def _shortened(name: str) -> Iterator[str]:
    """Yield the beginnings of a name of a few words: "Delta" of "Delta Air Lines Inc."."""
    parts = name.split()
    if len(parts) <= _LONGEST_SHORTENED and not re.search(r"[.:;!?](?=\s)|[<>{}\"]", name):
        for number in range(len(parts) - 1, 0, -1):
            if len(short := " ".join(parts[:number]).rstrip(",")) >= 3:
                yield short
