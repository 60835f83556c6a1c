"""What a text says, read against a profile: its names, numbers and other words.

A name is what stands in the profile as a whole: in quotation marks, or as it is where nobody takes
it for a statement. What else a value says are words and numbers like any others. A number is known
by the places of the profile that are shown like it, so that words can be kept while their numbers
change.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

from stupid_dagster.compute import quoting, words
from stupid_dagster.compute.profiles.traits import Profile
from stupid_dagster.llm import numbers, phrases

_SLOT = re.compile(r"\u27e6(.+?)\u27e7")
_REST = (
    r"(?P<number>(?:(?<!\w)[-\u2212](?=\d))?[^\W\d_]*\d[\w.,%/+\-]*)"
    r"|(?P<word>[^\W\d_]+(?:['\u2019][^\W\d_]+)?)|(?P<other>.)"
)
_NUMBER = re.compile(rf"-?{numbers.DIGITS}%?")
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
        found = [*self._entities, *(trait.value for trait in p.properties)]
        found += [step.value for step in p.steps]
        for feature in p.features:
            found += [*feature.values, "-".join(feature.values)]
        return _longest_first(found)

    @property
    def _entities(self) -> list[str]:
        return [one.name for one in (*self.profile.entities, *self.profile.key_members)]

    @cached_property
    def _numeric(self) -> list[str]:
        """Values that read as numbers, behind what they are values of: "seats 300".

        Entities' are only names in quotation marks: behind "aircraft" a number counts those.
        """
        p = self.profile
        found = [(words.humanise(t.property), t.value) for t in p.properties]
        found += [(words.humanise(s.field), s.value) for s in p.steps]
        found += [(phrases.subject_of(f), "-".join(f.values)) for f in p.features]
        return [
            f"{before} {name}"
            for before, name in found
            if before and _is_number(name) and "%" not in name
        ]

    @cached_property
    def numbers(self) -> Mapping[str, list[str]]:
        """Numbers as they are shown, without commas, and the places where they stand."""
        found: dict[str, list[str]] = {}
        for place, shown in _shown(self.profile):
            found.setdefault(numbers.digits_of(shown), []).append(place)
        for step in self.profile.steps:
            rest = step.text.replace(step.value, "") if step.value else step.text
            for number in _NUMBER.findall(rest):
                found.setdefault(numbers.digits_of(number), []).append("steps")
        return found

    @cached_property
    def _token(self) -> re.Pattern[str]:
        """Return what finds names, longest first, and else numbers, words and other characters."""
        inner = "|".join(re.escape(quoting.unquoted(name)) for name in self.names)
        plain = [name for name in self.names if quoting.is_plain(name) and not _is_number(name)]
        # Of several words, only their case tells that they are a name; in a sentence it may begin
        # with a small letter.
        cased = [name for name in plain if sum(p.isalpha() for p in name.split()) > 1]
        short = {s for name in self._entities for s in _shortened(name)}
        first = {name: f"[{name[0]}{name[0].lower()}]{re.escape(name[1:])}" for name in cased}
        listed = _longest_first([*cased, *short])
        exact = "|".join(first.get(name, re.escape(name)) for name in listed)
        own = _longest_first(self._numeric)
        alike = "|".join(map(re.escape, [*own, *(name for name in plain if name not in cased)]))
        found = [rf"[{quoting.OPENING}](?:{inner})[{quoting.CLOSING}]"] if inner else []
        found += [rf"(?<!\w)(?-i:{exact})(?!\w)"] if exact else []
        found += [rf"(?<!\w)(?:{alike})(?!\w)"] if alike else []
        named = f"(?P<name>{'|'.join(found)})|" if found else ""
        return re.compile(f"{named}{_REST}", re.IGNORECASE | re.DOTALL)

    def tokens(self, text: str) -> Iterator[Token]:
        """Yield names, numbers, words and other characters, white space left out."""
        text = numbers.with_percent_signs(text)
        for match in self._token.finditer(text):
            kind: Any = match.lastgroup
            said = match.group()
            start, end = match.span()
            if kind == "number":
                said, kind = said.rstrip(".,-+/"), "number"
                end = start + len(said)
            elif kind == "word" and numbers.is_number_word(said):
                kind = "number"
            if not said.isspace():
                yield Token(kind, said, start, end)

    def has_number(self, said: str) -> bool:
        """Return whether a number, as it stands in a text, is one of the profile's."""
        if said.lower() == "twice":
            return any(one == next for one, next in itertools.pairwise(self.profile.steps))
        return numbers.shown(said) in self.numbers

    def bound(self, text: str) -> str:
        """Return the text with each number that stands at one place alone replaced by its place."""
        text = numbers.with_percent_signs(text)
        parts, at = [], 0
        for token in self.tokens(text):
            places = self.numbers.get(numbers.digits_of(token.text), [])
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


def _is_number(name: str) -> bool:
    """Return whether a name would be read as a number of the group's: "300", "Twelve"."""
    return quoting.is_number(name) or all(map(numbers.is_number_word, name.split()))


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
    """Yield the beginnings of a plain name of a few words: "Delta" of "Delta Air Lines Inc."."""
    parts = name.split()
    for number in range(len(parts) - 1, 0, -1) if quoting.is_plain(name) else ():
        short = " ".join(parts[:number]).rstrip(",")
        if len(short) >= 3 and quoting.is_plain(short):
            yield short


def _longest_first(names: Iterable[str]) -> list[str]:
    return sorted({name for name in names if name}, key=lambda name: (-len(name), name))
