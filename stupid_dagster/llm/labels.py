"""The deterministic labeller: words for profiles, with no language model."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence

import polars as pl

from stupid_dagster.compute import words
from stupid_dagster.compute.ordinary import FUNCTION
from stupid_dagster.compute.profiles.build import EVENTS
from stupid_dagster.compute.profiles.traits import EntityTrait, FeatureTrait, Profile
from stupid_dagster.compute.quoting import as_name
from stupid_dagster.llm import phrases
from stupid_dagster.tables import TABLES

PROVENANCE = "rule"
MOST_LABEL = 90
"""Characters of a label, whoever writes it."""
TELLING_Z = 0.4
"""Features whose group mean is nearer to all actors' than this are not named in a label."""
NAMED_SHARE, TOLD_SHARE = 0.5, 0.2
"""Shares of the group's edges from which an entity is named in a label, in a description."""
TELLING_BITS = 0.15
"""Entities of less share * log2(lift) are named in neither: nearly all groups have them."""
MAX_FEATURES, MAX_KEY_MEMBERS = 2, 3
"""Features, and as many entities; members."""
MAX_DISTINGUISHING = 8
LONGEST_NAME = 24
"""Characters; what is longer is a message rather than a name."""
TELLING_LIFT = 1.1
"""Values that are hardly more frequent than elsewhere don't tell events apart."""
COMMON = 0.9
"""Share from which a property is common to a community."""


def label_profiles(profiles: Sequence[Profile]) -> pl.DataFrame:
    """Return the table `labels`: label, description and what distinguishes each profile.

    A label names what deviates most and the entities that stand out: features by |z| that
    don't repeat each other, entities by share and lift. Labels are unique within a kind:
    where two are equal, each gets what comes next in its own profile, and in the end the
    number in its id. Every number is one of the profile's. Rows are in the profiles' order; the
    provenance is `rule`.
    """
    labels = {
        id(profile): label
        for kind in dict.fromkeys(profile.kind for profile in profiles)
        for profile, label in _unique([p for p in profiles if p.kind == kind])
    }
    rows = [
        {
            "subject": profile.subject,
            "kind": profile.kind,
            "label": labels[id(profile)],
            "description": describe(profile),
            "distinguishing": distinguishing(profile),
            "provenance": PROVENANCE,
            "profile_hash": profile.profile_hash,
        }
        for profile in profiles
    ]
    return pl.DataFrame(rows, schema=TABLES["labels"].schema)


def first_label(profile: Profile) -> str:
    """Return the label of a profile by itself, whatever others have."""
    return next(_variants(profile))


def describe(profile: Profile) -> str:
    """Return a few sentences about a group, every number from its profile."""
    match profile.kind:
        case "community":
            return _describe_community(profile)
        case "event_cluster":
            return _describe_events(profile)
        case "pattern":
            return _describe_pattern(profile)
    noun = phrases.noun_of(profile)
    share = words.percent(profile.share)
    sentences = [f"{words.counted(profile.size, _singular(profile))}, {share} of all {noun}."]
    told = [f for f in profile.features if not f.redundant][:4]
    if told:
        means = [phrases.comparison(feature, profile.days) for feature in told]
        sentences.append(f"On average {'; '.join(means)}.")
    if entities := _telling_entities(profile, TOLD_SHARE)[:3]:
        said = [phrases.entity_comparison(entity) for entity in entities]
        sentences.append(f"More than others: {'; '.join(said)}.")
    return " ".join(sentences)


def distinguishing(profile: Profile) -> list[str]:
    """Return what sets a group apart, strongest first, each with its numbers."""
    if profile.kind == "pattern":
        return [phrases.figure(figure) for figure in profile.figures]
    events = profile.kind == "event_cluster"
    told = phrases.value_comparison if events else phrases.property_comparison
    features = [
        (abs(f.z), f"{phrases.attribute(f)}: {phrases.comparison(f, profile.days)}")
        for f in profile.features
        if abs(f.z) >= TELLING_Z and not f.redundant
    ]
    entities = [
        (e.share * e.lift, phrases.entity_comparison(e))
        for e in _telling_entities(profile, TOLD_SHARE)
    ]
    properties = [(p.share * p.lift, told(p)) for p in profile.properties if p.lift >= TELLING_LIFT]
    ranked = itertools.zip_longest(features, entities, properties)
    said = [item[1] for row in ranked for item in row if item is not None]
    return said[:MAX_DISTINGUISHING]


def _unique(profiles: Sequence[Profile]) -> Iterator[tuple[Profile, str]]:
    """Yield each profile with its label, lengthened where two are equal."""
    variants = [list(_variants(profile)) for profile in profiles]
    levels = [0] * len(profiles)
    while True:
        labels = [v[level] for v, level in zip(variants, levels, strict=True)]
        times = Counter(labels)
        equal = [
            n
            for n, label in enumerate(labels)
            if times[label] > 1 and levels[n] + 1 < len(variants[n])
        ]
        if not equal:
            return iter(zip(profiles, labels, strict=True))
        for n in equal:
            levels[n] += 1


def _variants(profile: Profile) -> Iterator[str]:
    """Yield labels that say more and more, as far as they fit; the last has the id's number."""
    label = ""
    for more in range(3):
        forms = [*_forms(profile, more)]
        label = next((form for form in forms if len(form) <= MOST_LABEL), forms[-1])
        label = _cut(label, MOST_LABEL, profile)
        yield label
    number = f" ({profile.subject.rpartition(':')[2]})"
    yield _cut(label, MOST_LABEL - len(number), profile) + number


def _forms(profile: Profile, more: int) -> Iterator[str]:
    """Yield a label and what it shrinks to where it is too long."""
    match profile.kind:
        case "community":
            for members in range(MAX_KEY_MEMBERS + more, 0, -1):
                yield _label_community(profile, members)
        case "event_cluster":
            label, _, _ = (full := _label_events(profile, more)).rpartition(": ")
            yield from (full, label)
        case "pattern":
            if more:
                yield _label_pattern(profile, short=False)
            yield _label_pattern(profile, short=True)
        case _:
            for number in range(MAX_FEATURES + more, -1, -1):
                yield _label_cluster(profile, max(1, number), number)


def _cut(label: str, most: int, profile: Profile) -> str:
    """Return a label's first words if it is too long; no name is cut, if one may be spared."""
    if len(label) <= most:
        return label
    p = profile
    names = {one.name for one in (*p.entities, *p.key_members)}
    names |= {trait.value for trait in p.properties} | {step.value for step in p.steps}
    spans = [m.span() for name in names if name for m in re.finditer(re.escape(name), label)]
    spans += [match.span() for match in re.finditer("\u201c[^\u201d]*\u201d", label)]
    ends = [
        match.start()
        for match in re.finditer(" ", label[: most + 1])
        if not any(begin < match.start() < end for begin, end in spans)
    ]
    said = label[: ends[-1] if ends else most].split()
    while len(said) > 1 and said[-1].strip(",:(").lower() in FUNCTION | {""}:
        said.pop()
    return " ".join(said).rstrip(",:( ")


def _label_cluster(profile: Profile, features: int, entities: int) -> str:
    told = _telling_features(profile)[:features]
    figure = _figure(profile, told)
    before = [said for feature in told if (said := phrases.adjective(feature))]
    after = [f for f in told if not phrases.adjective(f)]
    beside = [f for f in after if phrases.of_yes(f)]
    after = [f for f in after if f not in beside and not phrases.says_itself(f)]
    named, ranges = _named(profile, told, entities)
    places = [name for preposition, name in named if preposition][:1]
    noun = phrases.noun_of(profile)
    label = " ".join([", ".join(before) if told else "typical", noun, *places]).strip()
    if after:
        label += f" with {words.listed([_with_figure(f, figure, profile) for f in after])}"
    parts = [label, *ranges, *(name for _, name in named if name not in places)]
    parts += [f"{phrases.attribute(f)} ({words.percent(f.mean)})" for f in beside]
    if figure and figure not in after and figure not in beside:
        parts.append(phrases.measure(figure, figure.mean, profile.days))
    return words.capitalised(", ".join(parts))


def _named(
    profile: Profile, told: Sequence[FeatureTrait], most: int
) -> tuple[list[tuple[str, str]], list[str]]:
    """Return the entities that a label names, and ranges that say more than one of them."""
    named, ranges = [], dict.fromkeys(as_name("-".join(f.values)) for f in told if f.values)
    at_first = len(ranges)
    for entity in _telling_entities(profile, NAMED_SHARE)[:most]:
        wider = next((f.values for f in profile.features if entity.name in f.values), None)
        if wider:
            ranges.setdefault(as_name("-".join(wider)))
        else:
            named.append(phrases.from_where(entity))
    return named, list(ranges)[at_first:]


def _with_figure(feature: FeatureTrait, figure: FeatureTrait | None, profile: Profile) -> str:
    said = phrases.attribute(feature)
    if feature is not figure:
        return said
    return f"{said} ({phrases.amount(feature, feature.mean, profile.days, said)})"


def _figure(profile: Profile, told: list[FeatureTrait]) -> FeatureTrait | None:
    """Return the feature whose number a label shows: a told one, else the strongest count."""
    some = [f for f in profile.features if words.number(f.mean) != "0"]
    measured = [f for f in told if f in some and f.name != EVENTS]
    measured = [f for f in measured if phrases.countable(f) or f.unit or f.kind == "ratio"]
    counts = [f for f in some if phrases.countable(f)]
    own = [f for f in counts if f.name != EVENTS]
    return next(iter([*measured, *own, *counts, *some]), None)


def _label_community(profile: Profile, members: int) -> str:
    told = _central_names(profile)[:members]
    label = f"Around {words.listed([*map(as_name, told)])}" if told else "A group"
    if common := _common_property(profile, told):
        label += f", {common}"
    sizes = {count.type: count.members for count in profile.types}
    if profile.noun in sizes:
        return f"{label}: {words.counted(sizes[profile.noun], _singular(profile))}"
    return f"{label}: {words.counted(profile.size, 'member')}"


def _central_names(profile: Profile) -> list[str]:
    """Return names of key members, not of actors if others are there, best first.

    A name that repeats another one (a route that has its airport in it) is left out.
    """
    others = [m for m in profile.key_members if m.type != profile.noun]
    names = list(dict.fromkeys(m.name for m in others or profile.key_members))
    names = [name for name in names if len(name) <= LONGEST_NAME] or names
    parts = {name: frozenset(re.findall(r"\w+", name.lower())) for name in names}
    return [n for n in names if not any(parts[o] < parts[n] for o in names if parts[o])]


def _describe_community(profile: Profile) -> str:
    share = words.percent(profile.share)
    sentences = [f"{words.counted(profile.size, 'member')}, {share} of all."]
    if profile.types:
        kinds = [
            f"{words.counted(t.members, words.humanise(t.type))} ({words.percent(t.share)} of all)"
            for t in profile.types[:4]
        ]
        sentences.append(f"Among them {words.listed(kinds)}.")
    if profile.key_members:
        key = [f"{words.humanise(m.type)} {as_name(m.name)}" for m in profile.key_members[:5]]
        sentences.append(f"Most central: {words.listed(key)}.")
    if profile.properties:
        traits = [phrases.property_comparison(p) for p in profile.properties[:3]]
        sentences.append(f"More than elsewhere: {'; '.join(traits)}.")
    return " ".join(sentences)


def _common_property(profile: Profile, told: Sequence[str]) -> str | None:
    """Return the most telling property in words that nearly all have, if names don't say it."""
    known = " ".join(told).lower()
    for trait in profile.properties:
        plain = (
            trait.value.replace("-", "").replace(" ", "").isalpha() and not trait.value.isupper()
        )
        if plain and trait.share >= COMMON and trait.value.lower() not in known:
            return phrases.with_property(trait)
    return None


def _label_events(profile: Profile, more: int) -> str:
    about = _told(profile) or f"Mixed {words.humanise(profile.noun)} events"
    known = profile.told or about
    often = [trait.value for trait in profile.properties if trait.value not in known]
    if often and (not profile.told or more):
        about += f", often {words.listed([*map(as_name, often[: max(1, more)])])}"
    return f"{words.capitalised(about)}: {words.counted(profile.size, 'event')}"


def _told(profile: Profile) -> str | None:
    """Return what events share, values that could be statements in quotation marks."""
    values = sorted({t.value for t in profile.properties}, key=len, reverse=True)
    if not (profile.told and values):
        return profile.told
    found = rf"(?<!\w)(?:{'|'.join(map(re.escape, values))})(?!\w)"
    return re.sub(found, lambda match: as_name(match.group()), profile.told)


def _describe_events(profile: Profile) -> str:
    kind = words.humanise(profile.noun)
    share = words.percent(profile.share)
    counts = [words.counted(int(f.value), _one(f.name)) for f in profile.figures if f.value]
    of = f" {words.listed(counts)}." if counts else ""
    said = f"{words.counted(profile.size, 'event')}, {share} of the day's {kind} events.{of}"
    if more := [p for p in profile.properties if p.lift >= TELLING_LIFT]:
        traits = [phrases.value_comparison(p) for p in more[:4]]
        said += f" More than elsewhere: {'; '.join(traits)}."
    return said


def _one(name: str) -> str:
    return {"different texts": "different text"}.get(name, name)


def _label_pattern(profile: Profile, *, short: bool) -> str:
    steps = [phrases.short_step(s) if short else phrases.said_step(s) for s in profile.steps]
    said = [
        f"{step} twice" if len(list(times)) > 1 else step
        for step, times in itertools.groupby(steps)
    ]
    return words.capitalised(", then ".join(said))


def _describe_pattern(profile: Profile) -> str:
    share = words.percent(profile.share)
    who = words.counted(profile.size, _singular(profile))
    sentences = [f"{who}, {share} of all, one after the other: "
                 f"{'; '.join(map(phrases.said_step, profile.steps))}."]  # fmt: skip
    figures = {figure.name: figure for figure in profile.figures}
    for name, figure in figures.items():
        number = words.number(figure.value)
        if figure.unit:
            sentences.append(f"It takes {number} {figure.unit} in the median.")
        else:
            sentences.append(f"That is {number} {name}.".replace(" 1 times ", " "))
    return " ".join(sentences)


def _telling_features(profile: Profile) -> list[FeatureTrait]:
    return [f for f in profile.features if not f.redundant and abs(f.z) >= TELLING_Z]


def _telling_entities(profile: Profile, least: float) -> list[EntityTrait]:
    """Return the entities that stand out, best first, one per relation and each once."""
    found: dict[tuple[str, bool], EntityTrait] = {}
    for entity in profile.entities:
        told = entity.lift > 1 and entity.share * math.log2(entity.lift) >= TELLING_BITS
        again = entity.entity_id in {e.entity_id for e in found.values()}
        if told and entity.share >= least and not again:
            found.setdefault((entity.relation, entity.incoming), entity)
    return list(found.values())


def _singular(profile: Profile) -> str:
    return words.humanise(profile.noun)
