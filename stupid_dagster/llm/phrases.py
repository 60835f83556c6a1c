"""Short phrases for what a profile holds, from the event model's names and units."""

from __future__ import annotations

import re

from stupid_dagster.compute import words
from stupid_dagster.compute.profiles.build import EVENTS
from stupid_dagster.compute.profiles.traits import (
    EntityTrait,
    FeatureTrait,
    Figure,
    Profile,
    PropertyTrait,
    Step,
)
from stupid_dagster.compute.quoting import CLOSING, OPENING, as_name, as_value, is_number, quoted
from stupid_dagster.llm.privacy import PSEUDONYM, Pseudonyms

_AGGREGATES = {"mean", "avg", "average", "total", "sum", "num", "number", "of", "count", "n"}
_AGGREGATES |= {"unique", "distinct", "different", "last"}
HARDLY, MOST = 0.05, 0.5
"""Shares below which hardly any are, from which most are."""
_SHARES = {"ratio", "share", "rate", "fraction", "is", "has"}
_EXTENTS = {"seconds", "minutes", "hours", "days", "weeks", "s", "min", "h"}
_EXTENTS |= {"m", "km", "metres", "meters", "miles", "feet", "ft", "mi"}
_TRUTHS = ("true", "false", "yes", "no")
_PREPOSITIONS = ("from", "at", "on", "in", "via", "through", "to")


def subject_of(feature: FeatureTrait) -> str:
    """Return what a feature is about: `mean_delay` -> "delay", `login_count` -> "logins"."""
    parts = _name(feature).split()
    unwanted = _AGGREGATES | (_SHARES if of_yes(feature) else set())
    name = " ".join([part for part in parts if part not in unwanted] or parts)
    return words.plural(name) if countable(feature) else name


def adjective(feature: FeatureTrait) -> str | None:
    """Return what goes before the noun: "busy", "short-distance", "mobile", "VIPB", or None."""
    high = feature.z > 0
    if feature.name == EVENTS:
        return "busy" if high else "occasional"
    if feature.values:
        said = "-".join(feature.values)
        return None if is_number(said) else said
    if of_yes(feature):
        return subject_of(feature) if high and feature.mean >= MOST else None
    if _extended(feature):
        return f"{'long' if high else 'short'}-{subject_of(feature).replace(' ', '-')}"
    return None


def attribute(feature: FeatureTrait) -> str:
    """Return what goes after "with": "many destinations", "few seats", "high tier"."""
    high, subject = feature.z > 0, subject_of(feature)
    if of_yes(feature):
        if high:
            return f"{'mostly' if feature.mean >= MOST else 'more'} {subject}"
        return f"{'hardly any' if feature.mean < HARDLY else 'less'} {subject}"
    if feature.values:
        return f"{subject} {'-'.join(feature.values)}"
    if _extended(feature):
        return f"{'long' if high else 'short'} {subject}"
    if words.is_plural(subject.split()[-1]):
        few = "no" if words.number(feature.mean) == "0" else "few"
        return f"{'many' if high else few} {subject}"
    return f"{'high' if high else 'low'} {subject}"


def amount(feature: FeatureTrait, value: float, days: int | None, after: str = "") -> str:
    """Return a feature's value with its unit and period: "5.7 a week", "19 minutes".

    Without the unit where the words that it comes `after` end with that: "mean bytes 512".
    """
    if feature.share:
        return words.percent(value)
    unit = f" {feature.unit}" if feature.unit else ""
    unit = "" if after.endswith(unit) else unit
    adds_up = countable(feature) or feature.kind == "sum"
    period = f" {words.per_period(days)}" if days and adds_up else ""
    return f"{words.number(value)}{unit}{period}"


def measure(feature: FeatureTrait, value: float, days: int | None) -> str:
    """Return a feature's value with its name: "5.7 flights a week", "mean delay 19 minutes"."""
    said, subject = amount(feature, value, days), subject_of(feature)
    figure, _, rest = said.partition(" ")
    if feature.share and not of_yes(feature):
        return f"{_name(feature)} {said}"
    names_itself = countable(feature) or (feature.kind == "last" and words.is_plural(subject))
    if feature.share or (names_itself and not feature.unit):
        return " ".join(filter(None, [figure, subject, rest]))
    # "10,108 km a week" needs no "kilometres", "120 EUR a week" needs its "spent".
    if says_itself(feature):
        return said
    name = _name(feature)
    return f"{name} {amount(feature, value, days, name)}"


def from_where(entity: EntityTrait) -> tuple[str, str]:
    """Return an entity's preposition, if its relation has one, and it with its name.

    `DepartedFrom` LGA -> ("from", "from LGA"); `OperatedBy` Delta -> ("", "Delta").
    """
    said = words.humanise(entity.relation).split()
    kind = words.humanise(entity.type).split()
    while len(said) > 1 and said[-1] in kind:
        said = said[:-1]
    # "flew to", but not "belongs to", which says no direction.
    vague = said[-1] == "to" and said[0].endswith("s")
    if entity.incoming or len(said) < 2 or said[-1] not in _PREPOSITIONS or vague:
        return "", as_name(entity.name)
    return said[-1], f"{said[-1]} {as_name(entity.name)}"


def comparison(feature: FeatureTrait, days: int | None) -> str:
    """Return such as "5.7 flights a week, all 2.6"."""
    overall = words.percent(feature.overall) if feature.share else words.number(feature.overall)
    return f"{measure(feature, feature.mean, days)} (all: {overall})"


def entity_comparison(entity: EntityTrait) -> str:
    """Return such as "departed from LGA: 82% (all: 33%)"."""
    relation = words.humanise(entity.relation)
    name = as_name(entity.name)
    said = f"{name} ({relation})" if entity.incoming else f"{relation} {name}"
    return f"{said}: {words.percent(entity.share)} (all: {words.percent(entity.overall)})"


def property_comparison(trait: PropertyTrait) -> str:
    """Return such as "aircraft manufacturer EMBRAER: 61% (all: 20%)"."""
    return f"{property_said(trait)}: {_shares(trait)}"


def property_said(trait: PropertyTrait) -> str:
    """Return such as "aircraft manufacturer EMBRAER"."""
    kind, name = words.humanise(trait.type), words.humanise(trait.property)
    return f"{name if kind in name else f'{kind} {name}'} {as_value(trait.value)}"


def with_property(trait: PropertyTrait) -> str:
    """Return what many have as people say it: "medium-haul routes", "manufacturer EMBRAER"."""
    kind, name = words.humanise(trait.type), words.humanise(trait.property)
    if not _small(trait.value):
        return property_said(trait)
    short = " ".join(part for part in name.split() if part not in kind.split()) or name
    return f"{trait.value}-{short.replace(' ', '-')} {words.plural(kind)}"


def value_comparison(trait: PropertyTrait) -> str:
    """Return such as "time of day morning: 93% (all: 71%)"."""
    return f"{words.humanise(trait.property)} {as_value(trait.value)}: {_shares(trait)}"


def _shares(trait: PropertyTrait) -> str:
    return f"{words.percent(trait.share)} (all: {words.percent(trait.overall)})"


def short_step(step: Step) -> str:
    """Return a step without its field's name: "early departure", "departure on time"."""
    event = step.text.partition(" (")[0]
    if len(step.value) <= 2 or step.value.lower() in _TRUTHS:
        return said_step(step)
    # "password login", but "game opened slots".
    if _small(step.value) and not event.endswith("ed"):
        return f"{step.value} {event}"
    return f"{event} {as_name(step.value)}"


def _small(value: str) -> bool:
    """Return whether a value can stand before a noun as an adjective does: "early"."""
    return value.isalpha() and value.islower() and value not in _TRUTHS


def said_step(step: Step) -> str:
    """Return a step with its field's name: "departure (delay band early)"."""
    if not step.value:
        return step.text
    return step.text.replace(step.value, as_value(step.value))


def figure(figure: Figure) -> str:
    """Return such as "median time: 2 days", "times as often as by chance: 1.2"."""
    said = words.percent(figure.value) if figure.share else words.number(figure.value)
    return f"{figure.name}: {said}{f' {figure.unit}' if figure.unit else ''}"


def noun_of(profile: Profile) -> str:
    """Return the plural noun of the members of a cluster: "aircraft", "members"."""
    return words.plural(words.humanise(profile.noun))


def revealed(text: str, pseudonyms: Pseudonyms) -> str:
    """Return a text with what its pseudonyms stand for, in quotation marks if not plain."""

    def name(match: re.Match[str]) -> str:
        found = pseudonyms.reveal(match[2])
        if found == match[2]:
            return match.group()
        before, after = match[1] or "", match[3] or ""
        return quoted(found) if before and after else f"{before}{quoted(found)}{after}"

    return re.sub(
        rf"([{OPENING}])?({PSEUDONYM.pattern})([{CLOSING}])?", name, text, flags=re.IGNORECASE
    )


def _name(feature: FeatureTrait) -> str:
    name = words.humanise(feature.name)
    short = name.removesuffix(f" {feature.unit}") if feature.unit else name
    # Of "mean bytes" in bytes nothing would be left that says what it is.
    return name if set(short.split()) <= _AGGREGATES else short


def countable(feature: FeatureTrait) -> bool:
    """Return whether a feature is a number of things."""
    return feature.kind in ("count", "distinct")


def of_yes(feature: FeatureTrait) -> bool:
    """Return whether a feature is a share of yes among yes and no."""
    return feature.share and feature.kind == "mean"


def says_itself(feature: FeatureTrait) -> bool:
    """Return whether a feature's unit says what it is: kilometres in km."""
    return bool(feature.kind == "sum" and feature.unit and words.is_plural(subject_of(feature)))


def _extended(feature: FeatureTrait) -> bool:
    named = feature.unit in _EXTENTS and not _name(feature).endswith(f" {feature.unit}")
    return feature.kind == "mean" and named
