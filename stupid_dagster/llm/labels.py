"""The deterministic labeller: words for profiles, with no language model."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence

import polars as pl

from stupid_dagster.compute import words
from stupid_dagster.compute.profiles.build import EVENTS
from stupid_dagster.compute.profiles.traits import EntityTrait, FeatureTrait, Profile
from stupid_dagster.llm import phrases
from stupid_dagster.tables import TABLES

PROVENANCE = "rule"
TELLING_Z = 0.4
"""Features whose group mean is nearer to all actors' than this are not named in a label."""
NAMED_SHARE, TOLD_SHARE = 0.4, 0.2
"""Shares of the group's edges from which an entity is named in a label, in a description."""
TELLING_BITS = 0.15
"""Entities of less share * log2(lift) are named in neither: nearly all groups have them."""
MAX_FEATURES, MAX_ENTITIES, MAX_KEY_MEMBERS = 2, 2, 3
MAX_DISTINGUISHING = 8


def label_profiles(profiles: Sequence[Profile]) -> pl.DataFrame:
    """Return the table `labels`: label, description and what distinguishes each profile.

    A label names what deviates most and the entities that stand out: features by |z| that
    don't repeat each other, entities by share and lift. Labels are unique within a kind:
    where two are equal, each gets what comes next in its own profile, and in the end the
    number in its id. Every number is one of the profile's, as `Profile.displayed_numbers` shows
    them. Rows are in the profiles' order; the provenance is `rule`.
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


def describe(profile: Profile) -> str:
    """Return a few sentences about a group, every number from its profile."""
    if profile.kind == "community":
        return _describe_community(profile)
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
    features = [
        (abs(f.z), f"{phrases.attribute(f)}: {phrases.comparison(f, profile.days)}")
        for f in profile.features
        if abs(f.z) >= TELLING_Z and not f.redundant
    ]
    entities = [
        (e.share * e.lift, phrases.entity_comparison(e))
        for e in _telling_entities(profile, TOLD_SHARE)
    ]
    properties = [(p.share * p.lift, phrases.property_comparison(p)) for p in profile.properties]
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
    """Yield labels of growing length; the last holds the number in the id."""
    label = ""
    for more in range(3):
        if profile.kind == "community":
            label = _label_community(profile, MAX_KEY_MEMBERS + more)
        else:
            label = _label_cluster(profile, MAX_FEATURES + more, MAX_ENTITIES + more)
        yield label
    yield f"{label} ({profile.subject.rpartition(':')[2]})"


def _label_cluster(profile: Profile, features: int, entities: int) -> str:
    told = _telling_features(profile)[:features]
    figure = _figure(profile, told)
    before = [said for feature in told if (said := phrases.adjective(feature))]
    after = [f for f in told if not phrases.adjective(f)]
    named = [phrases.from_where(e) for e in _telling_entities(profile, NAMED_SHARE)[:entities]]
    places = [name for preposition, name in named if preposition][:1]
    noun = phrases.noun_of(profile)
    label = " ".join([", ".join(before) if told else "typical", noun, *places]).strip()
    if after:
        label += f" with {words.listed([_with_figure(f, figure, profile) for f in after])}"
    parts = [label, *(name for _, name in named if name not in places)]
    if figure and figure not in after:
        parts.append(phrases.measure(figure, figure.mean, profile.days))
    return words.capitalised(", ".join(parts))


def _with_figure(feature: FeatureTrait, figure: FeatureTrait | None, profile: Profile) -> str:
    said = phrases.attribute(feature)
    if feature is not figure:
        return said
    return f"{said} ({phrases.amount(feature, feature.mean, profile.days)})"


def _figure(profile: Profile, told: list[FeatureTrait]) -> FeatureTrait | None:
    """Return the feature whose number a label shows: a told one, else the strongest count."""
    some = [f for f in profile.features if words.number(f.mean) != "0"]
    measured = [f for f in told if f in some and f.name != EVENTS]
    measured = [f for f in measured if phrases.countable(f) or f.unit]
    counts = [f for f in some if phrases.countable(f)]
    own = [f for f in counts if f.name != EVENTS]
    return next(iter([*measured, *own, *counts, *some]), None)


def _label_community(profile: Profile, members: int) -> str:
    told = _central_names(profile)[:members]
    label = f"Around {words.listed(told)}" if told else "A group"
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
        key = [f"{words.humanise(m.type)} {m.name}" for m in profile.key_members[:5]]
        sentences.append(f"Most central: {words.listed(key)}.")
    if profile.properties:
        traits = [phrases.property_comparison(p) for p in profile.properties[:3]]
        sentences.append(f"More than elsewhere: {'; '.join(traits)}.")
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
